"""Who writes a database: one `cva` command at a time, also between two turns of dbt's."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cva_sql.udfs.errors import CvaError
from cva_sql.udfs.places import WORK_FOLDER

IN_USE = "is in use by another process"
TRIES, PAUSE = 10, 0.02  # one that only asks has the lock for an instant
_held_here = set[Path]()


@contextmanager
def held(db: Path) -> Iterator[None]:
    """Holds the database for this process; raises CvaError where another has it.

    The system lets go of it when the process ends, however it ends.
    """
    place = _place(db)
    handle = _open(place)
    try:
        _lock(handle, db, TRIES)
        _held_here.add(place)
        try:
            yield
        finally:
            _held_here.discard(place)
    finally:
        os.close(handle)


def check_free(db: Path) -> None:
    """Raises CvaError where another process holds the database.

    Before it is opened, even for reading: the holder may be about to, between two turns of dbt's,
    and would find it open here.
    """
    place = _place(db)
    if place in _held_here:
        return
    try:
        handle = os.open(place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:  # nobody has ever held it, or it is not for us to see: DuckDB's lock has to do
        return
    try:
        _lock(handle, db, 1, shared=True)
    finally:
        os.close(handle)


def _place(db: Path) -> Path:
    # Always beside the database: two commands with different folders have to meet here.
    return db.resolve().parent / WORK_FOLDER / f"{db.resolve().name}.lock"


def _lock(handle: int, db: Path, tries: int, *, shared: bool = False) -> None:
    try:
        import fcntl
    except ImportError:  # not on Windows: DuckDB's own lock has to do
        return
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    for left in reversed(range(tries)):
        try:
            return fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if not left:
                raise CvaError(f"{db} {IN_USE}; wait for it, or read published/current") from None
            time.sleep(PAUSE)


def _open(file: Path) -> int:
    """A handle on a file that is made where it is missing, and neither followed nor emptied."""
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
    except OSError as error:
        what = "is a link" if file.is_symlink() else f"cannot be opened: {error.strerror}"
        raise CvaError(f"{file} {what}; expected a file of cva's own: remove it") from None
