"""Histograms: customers by predicted value, reviews by sentiment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cva_sql.cli.report.plots import frame
from cva_sql.cli.report.plots.frame import Floats
from cva_sql.cli.report.plots.palette import ACCENT, CARD, DOWN, INK, SOFT, UP
from cva_sql.cli.report.plots.svg import WIDTH
from cva_sql.cli.report.wording import amount, power_labels, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLIPPED = 1.7  # times the tallest bar: a bar of zeros taller than that is cut


@dataclass(frozen=True)
class Histogram:
    """Customers by predicted value; `edges` has one more entry than `counts`.

    `zeros` have no value above 0 and are in no bin. `median` and `mean` are of all customers.
    """

    edges: Floats
    counts: Floats
    zeros: int
    median: float
    mean: float
    is_log: bool


def paint_histogram(drawing: Figure, found: Histogram, axis: str) -> None:
    """The bars, a line each at median and mean, and apart from them those without value."""
    axes = frame.plot_area(drawing, left=92 if found.zeros else 48, top=58)
    top = float(found.counts.max()) * 1.06
    if found.zeros:
        top = max(top, min(found.zeros * 1.06, top * CLIPPED))
    _paint_bars(axes, found, top)
    frame.label_axes(axes, axis, "Customers")
    if found.median > 0:  # else it is in the bar of zeros
        _mark(axes, "median", found.median, found.mean >= found.median, 0)
    _mark(axes, "mean", found.mean, found.mean < found.median, 1)
    if found.zeros:
        _paint_zeros(drawing, found.zeros, top)


def paint_sentiment(drawing: Figure, counts: Sequence[int]) -> None:
    """Reviews in bins of equal width from -1 to 1, the lower half in another colour."""
    axes = frame.plot_area(drawing)
    bins, top = len(counts), max(counts) * 1.06
    axes.set_xlim(-1, 1)
    axes.set_ylim(0, top)
    axes.bar(
        [-1 + 2 * k / bins for k in range(bins)], counts, 2 / bins, align="edge", edgecolor=CARD,
        linewidth=1, color=[DOWN if k < bins // 2 else UP for k in range(bins)],
    )  # fmt: skip
    frame.set_ticks(axes, "x", [-1, -0.5, 0, 0.5, 1], ["−1", "−0.5", "0", "0.5", "1"])
    frame.set_linear_ticks(axes, "y", 0, top, whole=True)
    frame.label_axes(axes, "Sentiment, −1 complaint to 1 praise", "Reviews")


def _paint_bars(axes: Axes, found: Histogram, top: float) -> None:
    if found.is_log:
        axes.set_xscale("log")
    low, high = float(found.edges[0]), float(found.edges[-1])
    axes.set_xlim(low, high)
    axes.set_ylim(0, top)
    axes.bar(
        found.edges[:-1], found.counts, np.diff(found.edges), align="edge", color=ACCENT,
        edgecolor=CARD, linewidth=1,
    )  # fmt: skip
    if found.is_log:
        powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
        ticks = [10.0**k for k in powers]
        frame.set_ticks(axes, "x", ticks, power_labels(ticks))
    else:
        frame.set_linear_ticks(axes, "x", low, high)
    frame.set_linear_ticks(axes, "y", 0, top, whole=True)


def _mark(axes: Axes, name: str, value: float, is_left: bool, line: int) -> None:
    """A line at the value with its name above the axes, on the side that has room."""
    low, high = axes.get_xlim()
    if not low <= value <= high:
        return
    text = f"{name} {amount(value)}"
    place = float(axes.transData.transform((value, 0))[0])
    room = text_width(text) + 8
    is_left = is_left if place > room and place + room < WIDTH else place > WIDTH / 2
    axes.axvline(value, color=INK, lw=1, ls=(0, (3, 2)) if line else "-")
    offset = (-5 if is_left else 5, 3 + 14 * (1 - line))
    frame.note(axes, text, (value, 1), frame.ABOVE, offset, ha="right" if is_left else "left")


def _paint_zeros(drawing: Figure, zeros: int, top: float) -> None:
    """The bar of those without value, apart from the others; cut where it is far taller."""
    axes = frame.plot_area(drawing, left=50, right=WIDTH - 74, top=58)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, top)
    height = min(zeros, top)
    axes.bar([0.5], [height], 0.8, color=SOFT)
    if zeros > top:
        axes.plot([0, 1], [top * 0.84, top * 0.88], color=CARD, lw=4)
    axes.text(0.5, height + top * 0.015, f"{zeros:,}", ha="center", va="bottom", color=INK)
    frame.set_ticks(axes, "x", [0.5], ["0"])
    frame.set_ticks(axes, "y", [], [])
