"""What a back-test says: predicted beside actual, what the best brought, the ranges' coverage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from cva_sql.cli.report.plots import frame
from cva_sql.cli.report.plots.palette import ACCENT, CARD, GRID, INK, MUTED, SOFT
from cva_sql.cli.report.wording import amount, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Interval = tuple[float, float, float]  # value, lower, upper
DECILE_ROW = 26.0
HEADER = -19.0  # pixels from the first row up to the titles of the numbers
SHARE_ROW = 32.0
BLOCK = 26.0  # pixels of the title of a block of rows


@dataclass(frozen=True)
class Decile:
    """A tenth of the customers by prediction, 1 the best; values are means a customer, in money.

    `lift` and `capture` are NaN where nobody spent, `probability` is None without one.
    """

    decile: int
    customers: int
    predicted: float
    actual: float
    lift: float
    capture: float
    probability: float | None
    bought: float


@dataclass(frozen=True)
class Coverage:
    """Shares of outcomes at or below a quantile, by group of customers, and what they should be."""

    title: str
    target: float
    rows: Sequence[tuple[str, Interval]]

    @property
    def height(self) -> float:
        """Pixels of its title and rows."""
        return BLOCK + SHARE_ROW * len(self.rows)


def paint_calibration(drawing: Figure, deciles: Sequence[Decile], money: str, noun: str) -> None:
    """A row a decile, with a dot at what was predicted and one at what came."""
    axes = frame.rows_area(
        drawing, DECILE_ROW * len(deciles), left=34, right=132, top=28, bottom=42
    )
    values = np.array([x for d in deciles for x in (d.predicted, d.actual)])
    scale = frame.scale_of(values, from_zero=True)
    frame.apply_scale(axes, "x", scale)
    for k, d in enumerate(deciles):
        place = DECILE_ROW * (k + 0.5)
        axes.plot([d.predicted, d.actual], [place, place], color=GRID, lw=3)
        frame.ring(axes, d.predicted, place, SOFT, 9)
        frame.ring(axes, d.actual, place, ACCENT, 9)
        _numbers(axes, place, str(d.decile), amount(d.predicted), amount(d.actual))
    _numbers(axes, HEADER, "", "predicted", "actual")
    log = ", log" if scale.is_log else ""
    frame.label_axes(axes, f"Mean {noun} ({money}{log})", "Tenth")


def _numbers(axes: Axes, place: float, name: str, predicted: str, actual: str) -> None:
    frame.row_label(axes, place, name, actual)
    frame.note(
        axes, predicted, (1, place), frame.ACROSS, (-62, 0), ha="right", va="center", colour=MUTED
    )


def paint_capture(drawing: Figure, deciles: Sequence[Decile], noun: str) -> None:
    """Each tenth's share of actual spend as a bar, and the curve of their sums."""
    captures = [0.0, *(d.capture for d in deciles)]
    ends = [k / len(deciles) for k in range(len(deciles) + 1)]
    own = [after - before for before, after in pairwise(captures)]
    axes = frame.plot_area(drawing)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.04)
    axes.bar(ends[:-1], own, 1 / len(deciles), align="edge", color=SOFT, edgecolor=CARD)
    axes.plot([0, 1], [0, 1], color=MUTED, lw=1, ls=(0, (3, 3)))
    axes.plot(ends, captures, color=ACCENT, lw=2, marker="o", ms=6, mec=CARD, mew=1, clip_on=False)
    frame.set_share_ticks(axes, "x", 4)
    frame.set_share_ticks(axes, "y", 4)
    for k, (height, d) in enumerate(zip(own, deciles, strict=True)):
        # A lift is told where its bar is tall enough, and not under the curve's dot.
        if height >= 0.1 and (k == 0 or captures[k] - height > 0.08):
            middle = (ends[k] + 0.5 / len(own), height)
            frame.note(axes, f"{d.lift:.1f}×", middle, offset=(-3 if k == 0 else 0, 4), ha="center")
    frame.label_axes(axes, "Share of customers, the best first", f"Share of actual {noun}")


def paint_coverage(drawing: Figure, blocks: Sequence[Coverage]) -> None:
    """A row a group of customers, with its share, its interval and what it should be."""
    axes = frame.rows_area(
        drawing, sum(block.height for block in blocks), left=94, right=62, bottom=42
    )
    axes.set_xlim(0, 1)
    frame.set_share_ticks(axes, "x", 4)
    top = 0.0
    for block in blocks:
        frame.row_label(axes, top + 13, block.title)
        first, end = top + BLOCK, top + block.height
        axes.plot([block.target] * 2, [first, end], color=INK, ls=(0, (3, 2)), lw=1)
        for k, (words, (value, lower, upper)) in enumerate(block.rows):
            place = first + SHARE_ROW * (k + 0.5)
            axes.plot([lower, upper], [place, place], color=SOFT, lw=6)
            frame.ring(axes, value, place, ACCENT, 8)
            frame.row_label(axes, place, words, percent(value))
        top = end
    frame.label_axes(axes, "Share of outcomes")
