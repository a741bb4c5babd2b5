"""Progress of SQL functions that take long, on stderr; `cva` passes on what begins with `cva: `."""

from __future__ import annotations

import sys
import threading
import time

QUIET_SECONDS = 2.0  # a line at most this often; a pause this long begins the count anew


class Progress:
    """Counts what several threads have done of one thing, and says so now and then."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._lock = threading.Lock()
        self._done = 0
        self._started = self._said = self._seen = 0.0

    def start(self) -> None:
        """Work begins: to be called before each piece of it."""
        with self._lock:
            now = time.monotonic()
            if now - self._seen > QUIET_SECONDS:
                self._done, self._started, self._said = 0, now, 0.0
            self._seen = now

    def add(self, count: int, total: int = 0, *, is_silent: bool = False) -> None:
        """A piece is done; `total` is how many there are, 0 where that is not known."""
        with self._lock:
            self._done += count
            self._seen = now = time.monotonic()
            if is_silent or now - max(self._said, self._started) < QUIET_SECONDS:
                return
            self._said = now
            rate = self._done / (now - self._started)
            left = f", {(total - self._done) / rate:.0f} s left" if total >= self._done else ""
            of = f" of {total:,}" if total else ""
            sys.stderr.write(f"cva: {self._done:,}{of} {self._unit}, {rate:.0f} a second{left}\n")

    def reset(self) -> None:
        """All is done."""
        with self._lock:
            self._done, self._seen = 0, 0.0
