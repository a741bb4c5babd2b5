"""How predicted value spreads over customers: its histogram, and who holds it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cva_sql.cli.report.axes import Floats, label_axes, set_ticks
from cva_sql.cli.report.head import Overview
from cva_sql.cli.report.page import Section, figure, grid, missing
from cva_sql.cli.report.palette import ACCENT, CARD, INK, SOFT
from cva_sql.cli.report.pareto import pareto_figure, read_pareto, tiers_card
from cva_sql.cli.report.source import VALUE, Source
from cva_sql.cli.report.svg import plot_area
from cva_sql.cli.report.wording import (
    amount,
    counted,
    percent,
    power_labels,
    text_width,
    tick_labels,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME, TITLE = "distribution", "How value spreads"
BINS = 26
SKEWED = 20.0  # the largest over the median, from where on the axis is logarithmic
DECADES = 5.0  # of a logarithmic axis at most; what is smaller counts as its smallest
HEIGHT = 270.0
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


def distribution(source: Source, overview: Overview) -> Section:
    """The section: histogram and Pareto curve of predicted_value."""
    if not overview.customers:
        what = f"There is no customer to show. Load orders, then: {source.command('run')}"
        return missing(NAME, TITLE, what)
    if overview.predicted <= 0:
        days = counted(overview.horizon_days, "day")
        sentence = (
            f"All {counted(overview.customers, 'customer')} are predicted to spend 0 in {days}, "
            "so there is no spread to show."
        )
        return Section(NAME, TITLE, sentence)
    found, curve = _histogram(source), read_pareto(source)
    figures = [_histogram_figure(source, overview, found), pareto_figure(curve)]
    blocks = grid([*figures, tiers_card(source, overview)])
    half = float(np.interp(0.5, curve.value, curve.customers))
    sentence = (
        f"Half of the predicted value comes from {percent(half)} of the customers; the median "
        f"customer is predicted {amount(found.median)}, the mean {amount(found.mean)}."
    )
    if overview.customers == 1:
        sentence = f"The one customer is predicted {amount(found.mean)}."
    return Section(NAME, TITLE, sentence, (blocks,))


def _histogram(source: Source) -> Histogram:
    zeros, least, middle, largest, median = source.rows(
        "select count(*) filter (predicted_value <= 0), "
        "min(predicted_value) filter (predicted_value > 0), "
        "quantile_cont(predicted_value, 0.5) filter (predicted_value > 0), "
        f"max(predicted_value), quantile_cont(predicted_value, 0.5) from {VALUE}"
    )[0]
    mean = source.rows(
        f"select sum(predicted_value::decimal(38, 6))::double / nullif(count(*), 0) from {VALUE}"
    )[0][0]
    is_log = largest / middle >= SKEWED
    if is_log:
        low = math.log10(max(least, largest / 10**DECADES))
        high = math.log10(largest) + 1e-9
        place = "log10(predicted_value)"
    else:
        low, high = (0.0, largest * (1 + 1e-9)) if least < largest else (0.0, 2 * largest)
        place = "predicted_value"
    width = (high - low) / BINS
    rows = source.rows(
        f"select greatest(0, least({BINS - 1}, floor(({place} - ?) / ?)))::integer, count(*) "
        f"from {VALUE} where predicted_value > 0 group by 1",
        [low, width],
    )
    counts = np.zeros(BINS)
    for k, count in rows:
        counts[k] = count
    edges = (low + width * np.arange(BINS + 1)).astype(np.float64)
    return Histogram(10**edges if is_log else edges, counts, zeros, median, mean, is_log)


def _histogram_figure(source: Source, overview: Overview, found: Histogram) -> str:
    days = counted(overview.horizon_days, "day")
    part = found.zeros / overview.customers
    zeros = f" {found.zeros:,} ({percent(part)}) are predicted nothing." if found.zeros else ""
    sentence = f"Half of the customers are predicted {amount(found.median)} or less.{zeros}"
    if found.median <= 0:
        sentence = f"More than half of the customers are predicted nothing: {found.zeros:,}."
    if overview.customers == 1:
        sentence = f"The one customer is predicted {amount(found.mean)}.{zeros}"

    def paint(drawing: Figure) -> None:
        left = 92 if found.zeros else 48
        axes = plot_area(drawing, left=left, top=58)
        top = float(found.counts.max()) * 1.06
        if found.zeros:
            top = max(top, min(found.zeros * 1.06, top * CLIPPED))
        _paint_bars(axes, found, top)
        label_axes(axes, f"Predicted value in {days} ({source.unit})", "Customers")
        if found.median > 0:  # else it is in the bar of zeros
            _mark(axes, "median", found.median, found.mean >= found.median, 0)
        _mark(axes, "mean", found.mean, found.mean < found.median, 1)
        if found.zeros:
            _paint_zeros(drawing, found.zeros, top)

    return figure("histogram", "Customers by predicted value", sentence, HEIGHT, paint)


def _paint_bars(axes: Axes, found: Histogram, top: float) -> None:
    from matplotlib.ticker import MaxNLocator

    if found.is_log:
        axes.set_xscale("log")
    axes.set_xlim(found.edges[0], found.edges[-1])
    axes.set_ylim(0, top)
    axes.bar(
        found.edges[:-1], found.counts, np.diff(found.edges), align="edge", color=ACCENT,
        edgecolor=CARD, linewidth=1,
    )  # fmt: skip
    if found.is_log:
        first, last = math.ceil(math.log10(found.edges[0])), math.log10(found.edges[-1])
        ticks = [10.0**k for k in range(first, math.floor(last) + 1)]
        set_ticks(axes, "x", ticks, power_labels(ticks))
    else:
        inside = MaxNLocator(nbins=5).tick_values(found.edges[0], found.edges[-1])
        ticks = [float(t) for t in inside if found.edges[0] <= t <= found.edges[-1]]
        set_ticks(axes, "x", ticks, tick_labels(ticks))
    heights = MaxNLocator(nbins=4, integer=True).tick_values(0, top)
    ticks = [float(t) for t in heights if 0 <= t <= top]
    set_ticks(axes, "y", ticks, tick_labels(ticks))
    axes.yaxis.grid(True)


def _mark(axes: Axes, name: str, value: float, is_left: bool, line: int) -> None:
    """A line at the value with its name above the axes, on the side that has room."""
    low, high = axes.get_xlim()
    if not low <= value <= high:
        return
    text = f"{name} {amount(value)}"
    place = float(axes.transData.transform((value, 0))[0])
    room = text_width(text) + 8
    is_left = is_left if place > room and place + room < 380 else place > 190
    axes.axvline(value, color=INK, lw=1, ls=(0, (3, 2)) if line else "-")
    axes.annotate(
        text, (value, 1), xycoords=("data", "axes fraction"),
        xytext=(-5 if is_left else 5, 3 + 14 * (1 - line)), textcoords="offset points",
        ha="right" if is_left else "left", color=INK,
    )  # fmt: skip


def _paint_zeros(drawing: Figure, zeros: int, top: float) -> None:
    """The bar of those without value, apart from the others; cut where it is far taller."""
    axes = plot_area(drawing, left=50, right=380 - 74, top=58)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, top)
    is_cut = zeros > top
    axes.bar([0.5], [min(zeros, top)], 0.8, color=SOFT)
    if is_cut:
        axes.plot([0, 1], [top * 0.84, top * 0.88], color=CARD, lw=4)
    text = f"{zeros:,}"
    axes.text(
        0.5, min(zeros, top) + top * 0.015, text, ha="center", va="bottom", color=INK
    )  # fmt: skip
    set_ticks(axes, "x", [0.5], ["0"])
    set_ticks(axes, "y", [], [])
