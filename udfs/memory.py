"""DuckDB's memory limit, lowered while texts are read: given back when that ends, well or not."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SIZE = re.compile(r"([0-9.]+) ?(bytes|B|[KMGTP]i?B)", re.IGNORECASE)
UNITS = "KMGTP"


def size_in_bytes(text: str) -> float | None:
    """`12.4 GiB` or `700MB` as a number of bytes; None where it is no size."""
    found = SIZE.fullmatch(text.strip())
    if found is None:
        return None
    number, unit = found.groups()
    base = 1024 if "i" in unit.lower() else 1000
    place = UNITS.find(unit[0].upper()) + 1
    try:
        return float(number) * float(base**place)
    except ValueError:  # 1.2.3
        return None


def in_its_middle(text: str) -> str:
    """A limit as DuckDB shows it, cut off after a digit, as one that it shows the same again.

    Set as it is shown, 18.8 GiB comes back as 18.7 GiB, and less each time.
    """
    found = SIZE.fullmatch(text.strip())
    if found is None or found[2].lower() in ("bytes", "b"):
        return text
    size = size_in_bytes(f"{found[1]}5 {found[2]}")
    return text if size is None else f"{int(size)}B"


@contextmanager
def lowered_memory_limit(con: DuckDBPyConnection, limit: int) -> Iterator[None]:
    """Lets DuckDB take at most `limit` bytes in this block; a lower limit stays as it is.

    The limit is the whole process's, for whoever has the same database open in it.
    """
    before = str(con.execute("select current_setting('memory_limit')").fetchall()[0][0])
    known = size_in_bytes(before)
    if known is not None and known <= limit:
        yield
        return
    con.execute(f"set memory_limit = '{limit}B'").fetchall()
    try:
        yield
    finally:
        con.execute(f"set memory_limit = '{in_its_middle(before)}'").fetchall()


class KeptLimit:
    """The limit that was before a dbt model lowered it, and in which of dbt's threads that was.

    dbt has no hook after a model that failed. But it opens a cursor for whatever the thread builds
    next, and one of its main thread's at the end.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._limit: str | None = None
        self._thread = ""

    def keep(self, limit: str, thread: str) -> str:
        """Remembers a limit, unless one is remembered already; gives the one that is."""
        with self._lock:
            if self._limit is None:
                self._limit, self._thread = in_its_middle(limit), thread
            return self._limit

    def give_back(self) -> str | None:
        """The limit that was, once; None where it was not lowered."""
        with self._lock:
            limit, self._limit = self._limit, None
            return limit

    def restore(self, con: DuckDBPyConnection) -> None:
        """Sets the limit of before where the thread that lowered it goes on to something else."""
        here = threading.current_thread()
        if here.name == self._thread or here is threading.main_thread():
            limit = self.give_back()
            if limit is not None:
                con.execute(f"set memory_limit = '{limit}'").fetchall()


KEPT = KeptLimit()
