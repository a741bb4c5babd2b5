"""A text that is longer than an encoder reads at once: cut, or read in windows and averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CUT, WINDOWS = "cut", "windows"  # what becomes of it
LONG_TEXTS = (CUT, WINDOWS)
MOST_WINDOWS = 20  # of a text; what comes after them is not read


def most_windows(long_texts: str) -> int:
    """How many windows of a text are read."""
    return MOST_WINDOWS if long_texts == WINDOWS else 1


def windows(ids: Sequence[int], opening: int, longest: int, most: int) -> list[list[int]]:
    """Ids of a text with its marks, in pieces of at most `longest` that have the marks each.

    `opening` marks come before the text, one after it.
    """
    before, content, after = list(ids[:opening]), ids[opening:-1], list(ids[-1:])
    size = max(longest - opening - 1, 1)
    starts = range(0, max(len(content), 1), size)[:most]
    return [[*before, *content[start : start + size], *after] for start in starts]


def average(
    embeddings: Sequence[NDArray[np.float32]], sentiments: Sequence[float], lengths: Sequence[int]
) -> tuple[NDArray[np.float32], float]:
    """The mean over windows, weighted by their tokens: a vector of length 1, and the sentiment."""
    if len(embeddings) == 1:
        return embeddings[0], sentiments[0]
    import numpy as np  # `cva --help` reads this file's words, without arrays

    weights = np.array(lengths, dtype=np.float64)
    mean = weights @ np.array(embeddings, dtype=np.float64)
    unit = (mean / np.linalg.norm(mean)).astype(np.float32)
    return unit, float(weights @ np.array(sentiments) / weights.sum())
