"""The rounds of `cva watch`: load what arrived, and run where tables are of earlier data."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from cva_sql.cli.shop.connection import is_in_use
from cva_sql.cli.shop.progress import count_of, say
from cva_sql.cli.watch.pacing import ListsPace
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from cva_sql.cli.run.build import Run
    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.cli.watch.arriving import Taken
    from cva_sql.cli.watch.sources import Data, Source


@dataclass(frozen=True)
class Pace:
    """How often is looked, in seconds, and whether only until there is nothing to do."""

    every: float
    is_once: bool


@dataclass(frozen=True)
class Wish:
    """What each run is to do: the page and the file for Prometheus to write, if any.

    `accept_drift`: also publish where customers are not those that the model learned from.
    """

    report: Path | None = None
    metrics: Path | None = None
    accept_drift: bool = False


@dataclass(frozen=True)
class Watched:
    """What a watch did: files and rows that were loaded, files that were rejected, the last run."""

    files: int = 0
    rows: int = 0
    rejected: tuple[str, ...] = ()
    runs: int = 0
    last: Run | None = None

    def with_taken(self, taken: Taken) -> Watched:
        """The same after more files."""
        rejected = (*self.rejected, *taken.rejected)
        files, rows = self.files + taken.files, self.rows + taken.rows
        return replace(self, files=files, rows=rows, rejected=rejected)


@dataclass
class Stop:
    """Whether somebody asked to stop: what has begun is finished, and then nothing begins."""

    asked: threading.Event = field(default_factory=threading.Event)

    def ask(self, number: int, frame: FrameType | None) -> None:
        """The handler of a signal; the same signal once more ends the process as ever."""
        signal.signal(number, signal.SIG_DFL)
        self.asked.set()
        say(f"{signal.Signals(number).name}: stopping once what has begun is finished")


def watch_shop(
    shop: ResolvedShop,
    source: Source,
    pace: Pace,
    wish: Wish,
    tell: Callable[[Watched], None],
) -> Watched:
    """What was done until SIGTERM or SIGINT, or until there was nothing to do; `tell` after a run.

    A run that fails leaves what was published, and is said; it is tried again once something
    arrives. With `is_once` whatever fails is raised.
    """
    done, failed, said = Watched(), None, ""
    lists = ListsPace(0.0) if pace.is_once else ListsPace()
    with _stopping() as stop:
        while not stop.asked.is_set():
            try:
                done = done.with_taken(source.take())
                state = source.state(shop) or lists.late()
                if state is not None and state != failed and not stop.asked.is_set():
                    failed = state  # unless it succeeds
                    last = _run(shop, source, state, wish, lists)
                    done = replace(done, runs=done.runs + 1, last=last)
                    failed = None
                    tell(done)
                said = ""
            except CvaError as error:
                if pace.is_once:
                    raise
                if is_in_use(error):
                    failed = None  # later it may not be
                if str(error) != said:
                    said = str(error)
                    say(said)
            if pace.is_once and not (source.has_more() or source.is_waiting()):
                break
            stop.asked.wait(0 if source.has_more() and not said else pace.every)
    return done


def _run(shop: ResolvedShop, source: Source, state: Data, wish: Wish, lists: ListsPace) -> Run:
    """Builds, checks and publishes, and writes the page; says how long that took."""
    from cva_sql.cli.report.writing import write_report
    from cva_sql.cli.run.build import run_shop
    from cva_sql.cli.shop.lock import exclusive

    started, has_lists = time.monotonic(), lists.are_due()
    with exclusive(shop):
        found = run_shop(
            shop, accept_drift=wish.accept_drift, metrics=wish.metrics, with_lists=has_lists
        )
        source.remember(shop, state)
    lists.note(shop, state, time.monotonic() - started, has_lists=has_lists)
    said = f"published {count_of(found.customers, 'customer')} as of {found.as_of}"
    say(f"{said}: {time.monotonic() - started:.1f} s")
    if wish.report is not None:
        write_report(shop, wish.report)
    return found


@contextmanager
def _stopping() -> Iterator[Stop]:
    """SIGTERM and SIGINT ask to stop, where this is the main thread."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, stop.ask) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
