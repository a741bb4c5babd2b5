"""What is said to a person: progress on stderr, results on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cva_sql.cli.shop.terminal import visible_line


def count_of(number: int, noun: str) -> str:
    """`1 order`, `2 orders`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def say(text: str) -> None:
    """Writes one line of progress to stderr."""
    print(visible_line(text), file=sys.stderr, flush=True)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Announces `name` on stderr and, once the block is left, how long it took."""
    started = time.monotonic()
    say(f"{name} …")
    yield
    say(f"{name}: {time.monotonic() - started:.1f} s")
