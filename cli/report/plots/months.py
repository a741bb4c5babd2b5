"""Figures by month, each with its interval, on an axis whose ends are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from cva_sql.cli.report.plots import frame
from cva_sql.cli.report.plots.frame import Floats
from cva_sql.cli.report.plots.palette import ACCENT, GRID, SOFT

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Months:
    """A figure by month, all of length n, the oldest first; NaN where it is not known."""

    months: Sequence[date]
    value: Floats
    lower: Floats
    upper: Floats


def paint_months(drawing: Figure, found: Months, low: float, high: float, axis: str) -> None:
    """A dot a month, a line between neighbours, and a bar for each interval."""
    axes = frame.plot_area(drawing, right=30)
    places = np.arange(len(found.months), dtype=float)
    axes.set_xlim(-0.5, len(found.months) - 0.5)
    axes.set_ylim(low, high)
    frame.set_linear_ticks(axes, "y", low, high)
    frame.set_ticks(axes, "x", list(places), [f"{month:%b %Y}" for month in found.months])
    axes.vlines(places, found.lower, found.upper, color=SOFT, lw=6)
    axes.plot(places, found.value, color=ACCENT, lw=1.4)
    for x, y in zip(places, found.value, strict=True):
        if np.isfinite(y):
            frame.ring(axes, float(x), float(y), ACCENT, 6)
    if low < 0 < high:
        axes.axhline(0, color=GRID, lw=1)
    frame.label_axes(axes, "Month", axis)
