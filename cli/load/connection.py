"""The database that a load writes: its connection, its zone, its transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.load.rows import first_row
from cva_sql.cli.shop.connection import check_is_duckdb, check_name, unopened
from cva_sql.cli.shop.expressions import shortened
from cva_sql.cli.shop.files import room_in
from cva_sql.cli.shop.limits import duckdb_limits
from cva_sql.cli.shop.lock import locked
from cva_sql.cli.shop.sql_text import literal, one_line, quoted
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@contextmanager
def connected(db: Path, timezone: str, needed: int = 0) -> Iterator[DuckDBPyConnection]:
    """A connection that writes the database; what is left of a new one when it fails is nothing.

    Other commands that write the shop are kept off one that is there. `needed` are the bytes that
    are said where the disk runs full.
    """
    check_name(db)
    if db.is_dir() or not db.parent.is_dir():
        raise UsageError(f"--db {db}: expected a file in a folder that exists")
    if db.is_symlink() and not db.exists():
        raise UsageError(f"--db {db} is a link to nothing; mend or remove it")
    check_is_duckdb(db)
    with (
        locked(db) if db.exists() else nullcontext(),
        room_in(db.parent, needed),
        _connected(db, timezone) as con,
    ):
        yield con


@contextmanager
def _connected(db: Path, timezone: str) -> Iterator[DuckDBPyConnection]:
    import duckdb

    existed = db.exists()
    # Attached as what it has to be: connect() makes one of another kind where its name says so.
    con = duckdb.connect(
        ":memory:", config={"autoinstall_known_extensions": "false", **duckdb_limits()}
    )
    name = quoted("shop" if db.stem in ("memory", "system", "temp") else db.stem)
    try:
        con.execute(f"set temp_directory = {literal(f'{db}.tmp')}")
        con.execute(f"attach {literal(str(db.resolve()))} as {name} (type duckdb)")
        con.execute(f"use {name}")
    except duckdb.Error as error:
        con.close()
        if not existed:
            _remove(db)
        raise unopened(db, error) from error
    try:
        _set_zone(con, timezone)
        yield con
    except BaseException as error:
        con.close()
        if not existed:  # leave no empty database behind
            _remove(db)
        if isinstance(error, duckdb.Error):
            raise CvaError(f"{db}: {one_line(error)}") from error
        raise
    con.close()


def _remove(db: Path) -> None:
    db.unlink(missing_ok=True)
    db.with_name(f"{db.name}.wal").unlink(missing_ok=True)


@contextmanager
def transaction(con: DuckDBPyConnection) -> Iterator[None]:
    """All that is done within happens, or nothing."""
    con.begin()
    try:
        yield
    except BaseException:
        con.rollback()
        raise
    con.commit()


def _set_zone(con: DuckDBPyConnection, timezone: str) -> None:
    if not first_row(con, "select 1 from pg_timezone_names() where name = ?", [timezone]):
        raise UsageError(
            f"--timezone {shortened(timezone)} is unknown; expected a name like Europe/Berlin"
        )
    con.execute(f"set timezone = {literal(timezone)}")  # the user's expressions go by it as well
