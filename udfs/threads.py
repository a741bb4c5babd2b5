"""The thread pool that all SQL functions share, and each call's share of the cores."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_calls = 0


@cache
def pool() -> ThreadPoolExecutor:
    """As many threads as cores, for all of DuckDB's threads together."""
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="cva")


def in_slices(
    work: Callable[[slice], T], rows: int, smallest: int, largest: int | None = None
) -> list[T]:
    """`work` over consecutive slices of `rows`, in order, on this call's share of the cores.

    A call has all cores while it is alone, and one where DuckDB calls from as many threads at once.
    A slice has `smallest` rows or more, unless it is the only one, and `largest` or fewer.
    """
    with _one_call() as calls:
        parts = max(1, min((os.cpu_count() or 1) // calls, rows // smallest))
        parts = max(parts, -(-rows // (largest or max(rows, 1))))
        bounds = [rows * part // parts for part in range(parts + 1)]
        slices = [slice(*pair) for pair in itertools.pairwise(bounds)]
        others = [pool().submit(work, part) for part in slices[1:]]
        return [work(slices[0]), *(other.result() for other in others)]


@contextmanager
def _one_call() -> Iterator[int]:
    """Counts a call while it lasts; gives how many there are."""
    global _calls
    with _lock:
        _calls += 1
        calls = _calls
    try:
        yield calls
    finally:
        with _lock:
            _calls -= 1
