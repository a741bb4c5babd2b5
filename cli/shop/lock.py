"""One command at a time may write a shop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cva_sql.cli.shop.connection import check_not_open_here
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.errors import CvaError


@contextmanager
def exclusive(shop: ResolvedShop) -> Iterator[None]:
    """Keeps other `cva` commands that write off the shop, also between dbt's turns.

    The system lets go of it when the process ends, however it ends. Raises CvaError where another
    process has it, or where this one has a connection of its own open.
    """
    if shop.db.exists():
        check_not_open_here(shop.db)
    try:
        import fcntl
    except ImportError:  # not on Windows: DuckDB's own lock has to do
        yield
        return
    shop.work_dir.mkdir(parents=True, exist_ok=True)
    with (shop.work_dir / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CvaError(
                f"{shop.db} is in use by another process; wait for it, or read published/current"
            ) from None
        yield
