"""One command at a time may write a shop."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cva_sql.cli.shop.connection import IN_USE, check_not_open_here
from cva_sql.cli.shop.files import usable_folder
from cva_sql.cli.shop.owner import Owned, claim
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.errors import CvaError
from cva_sql.udfs.places import WORK_FOLDER


@contextmanager
def exclusive(shop: ResolvedShop) -> Iterator[None]:
    """Keeps other `cva` commands that write off the shop, also between dbt's turns.

    The system lets go of it when the process ends, however it ends. Raises CvaError where another
    process has it, where this one has a connection of its own open, or where the folder for dbt's
    files cannot be used.
    """
    with locked(shop.db):
        claim(shop, Owned.WORK)
        yield


@contextmanager
def locked(db: Path) -> Iterator[None]:
    """The same for a database alone, whatever folders it was given."""
    # Always beside the database: two commands with different folders have to meet here.
    place = db.resolve().parent / WORK_FOLDER / f"{db.resolve().name}.lock"
    if db.exists():
        if place.is_file():
            # Before the database is opened: who holds it may be about to, between dbt's turns.
            with _held(place, db):
                pass
        check_not_open_here(db)
    usable_folder(place.parent, "move the database")
    with _held(place, db):
        yield


@contextmanager
def _held(place: Path, db: Path) -> Iterator[None]:
    """Holds the lock; raises CvaError where another process does."""
    try:
        import fcntl
    except ImportError:  # not on Windows: DuckDB's own lock has to do
        yield
        return
    handle = _open(place)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CvaError(f"{db} {IN_USE}; wait for it, or read published/current") from None
        yield
    finally:
        os.close(handle)


def _open(file: Path) -> int:
    """A handle on a file that is made where it is missing, and neither followed nor emptied."""
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
    except OSError as error:
        what = "is a link" if file.is_symlink() else f"cannot be opened: {error.strerror}"
        raise CvaError(f"{file} {what}; expected a file of cva's own: remove it") from None
