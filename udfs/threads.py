"""The thread pool that all SQL functions share, and each call's share of the cores."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

from cva_sql.udfs.cores import cores

S = TypeVar("S")
T = TypeVar("T")

_lock = threading.Lock()
_calls = 0


@cache
def pool() -> ThreadPoolExecutor:
    """As many threads as cores, for all of DuckDB's threads together."""
    return ThreadPoolExecutor(cores(), thread_name_prefix="cva")


def in_slices(
    work: Callable[[slice], T], rows: int, smallest: int, largest: int | None = None
) -> list[T]:
    """`work` over consecutive slices of `rows`, in order, on this call's share of the cores.

    A call that starts alone takes all cores, one that starts beside others as many fewer. A core
    gets `smallest` rows or more, unless it is the only one, and works on up to `largest` at a time.
    """

    def in_turn(part: slice) -> list[T]:
        step = largest or max(rows, 1)
        starts = range(part.start, part.stop, step) or [part.start]
        return [work(slice(first, min(first + step, part.stop))) for first in starts]

    with _one_call() as calls:
        parts = max(1, min(cores() // calls, rows // smallest))
        bounds = [rows * part // parts for part in range(parts + 1)]
        shares = [slice(*pair) for pair in itertools.pairwise(bounds)]
        others = [pool().submit(in_turn, share) for share in shares[1:]]
        try:
            done = [in_turn(shares[0]), *(other.result() for other in others)]
        finally:
            for other in others:
                other.cancel()
    return [result for results in done for result in results]


def in_order(work: Callable[[S], T], parts: Iterable[S]) -> Iterator[T]:
    """`work` on each part, in their order and on all cores; a part more than cores at once."""
    running = deque[Future[T]]()
    try:
        for part in parts:
            running.append(pool().submit(work, part))
            if len(running) > cores():
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        for one in running:
            one.cancel()


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
