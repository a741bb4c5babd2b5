"""What came week by week, over what was predicted for the window that the week is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from cva_sql.cli.report.plots import frame
from cva_sql.cli.report.plots.frame import Floats
from cva_sql.cli.report.plots.palette import ACCENT, GRID, MUTED, SOFT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DAYS = 7


@dataclass(frozen=True)
class Window:
    """A forecast and what came of it: `weeks` are sums of whole weeks from `start` on, in money.

    `predicted`, `low` and `high` are a week's, the window's spread evenly; the last two are NaN
    where the model states no interval.
    """

    start: date
    days: int
    predicted: float
    low: float
    high: float
    weeks: Floats


def paint_tracking(drawing: Figure, windows: Sequence[Window], money: str) -> None:
    """A line and a band for each forecast, and a dot for each week that came."""
    axes = frame.plot_area(drawing, right=30)
    first = windows[0].start
    last = max((one.start - first).days + one.days for one in windows)
    values = np.concatenate([np.array([one.predicted, one.low, one.high]) for one in windows])
    values = np.concatenate([values, *(one.weeks for one in windows)])
    scale = frame.scale_of(values, from_zero=True)
    axes.set_xlim(0, last)
    frame.apply_scale(axes, "y", frame.Scale(scale.low, scale.high))
    for one in windows:
        start = (one.start - first).days
        ends = [start, start + one.days]
        if np.isfinite(one.low):
            axes.fill_between(ends, one.low, one.high, color=SOFT, alpha=0.35, lw=0)
        axes.plot(ends, [one.predicted] * 2, color=MUTED, lw=1.6)
        at = start + DAYS * (np.arange(len(one.weeks)) + 0.5)
        axes.plot(at, one.weeks, color=ACCENT, lw=1.4)
        for x, y in zip(at, one.weeks, strict=True):
            frame.ring(axes, float(x), float(y), ACCENT, 5)
    ticks = [float((one.start - first).days) for one in windows]
    frame.set_ticks(axes, "x", ticks, [f"{one.start:%d %b %Y}" for one in windows])
    axes.axhline(0, color=GRID, lw=1)
    frame.label_axes(axes, "Start of each forecast", f"A week ({money})")
