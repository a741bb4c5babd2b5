"""What past windows brought beside what was expected of them, which a forecast learns from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats

LARGEST_NOISE = 1.0  # as a variance of a log: of a window in which one customer bought


@dataclass(frozen=True)
class PastWindow:
    """What customers known on `cutoff` spent in the label after it, and what was expected then.

    `noise` is the variance of the log of `actual` by the luck of who buys and how much: large where
    a few customers make the shop.
    """

    cutoff: date
    actual: float
    expected: float
    noise: float = 0.0


def past_window(cutoff: date, actual: Floats, expected: Floats) -> PastWindow:
    """What customers did, each (customers,), as a window.

    The noise is Σ(actual − expected)² / (Σ actual)², the totals made alike: what a sum of
    independent spends varies by, in logs.
    """
    total, told = float(actual.sum()), float(expected.sum())
    noise = LARGEST_NOISE
    if total > 0 and told > 0:
        missed = actual - expected * (total / told)
        noise = min(noise, float(np.sum(missed * missed)) / total**2)
    return PastWindow(cutoff, total, told, noise)
