"""One command at a time may write a shop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cva_sql.cli.shop.connection import check_not_open_here
from cva_sql.cli.shop.encoder_place import is_unfinished, mend
from cva_sql.cli.shop.files import usable_folder
from cva_sql.cli.shop.holder import held
from cva_sql.cli.shop.owner import Owned, claim, is_owner
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.places import WORK_FOLDER


@contextmanager
def exclusive(shop: ResolvedShop) -> Iterator[None]:
    """Keeps other `cva` commands off the shop, also between dbt's turns.

    What a killed one left of its encoder is mended first, so that all of them read by the same.
    Raises CvaError where another process has it, where this one has a connection of its own open,
    or where the folder for dbt's files cannot be used.
    """
    with locked(shop.db):
        claim(shop, Owned.WORK)
        if is_unfinished(shop.models_dir) and is_owner(shop, Owned.MODELS):
            mend(shop.models_dir)
        yield


@contextmanager
def locked(db: Path) -> Iterator[None]:
    """The same for a database alone, whatever folders it was given."""
    if db.exists():
        check_not_open_here(db)
    usable_folder(db.resolve().parent / WORK_FOLDER, "move the database")
    with held(db):
        yield
