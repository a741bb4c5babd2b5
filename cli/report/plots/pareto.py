"""The Pareto curve of predicted value, with the value tiers on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cva_sql.cli.report.plots import frame
from cva_sql.cli.report.plots.frame import Floats
from cva_sql.cli.report.plots.palette import ACCENT, GRID, MUTED, SOFT
from cva_sql.cli.report.wording import percent, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Pareto:
    """Cumulative shares from the best customer down, both starting at 0.

    `tiers` are the share of customers and of value up to the end of each tier.
    """

    customers: Floats
    value: Floats
    tiers: dict[str, tuple[float, float]]


def paint_pareto(drawing: Figure, curve: Pareto) -> None:
    """The curve over the diagonal that it would be if all customers were worth the same."""
    axes = frame.plot_area(drawing, top=44)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.plot([0, 1], [0, 1], color=MUTED, lw=1, ls=(0, (3, 3)))
    axes.fill_between(curve.customers, curve.value, color=SOFT, alpha=0.35, lw=0)
    _paint_tiers(axes, curve)
    axes.plot(curve.customers, curve.value, color=ACCENT, lw=2, clip_on=False)
    frame.set_share_ticks(axes, "x", 5)
    frame.set_share_ticks(axes, "y", 5)
    frame.label_axes(axes, "Share of customers, the best first", "Share of predicted value")


def _paint_tiers(axes: Axes, curve: Pareto) -> None:
    """Where each value tier ends, and its name where there is room for it."""
    start = 0.0
    for tier, (end, value) in curve.tiers.items():
        if (end - start) * 300 > text_width(tier) + 6:
            place = ((start + end) / 2, 1.0)
            frame.note(axes, tier, place, frame.ABOVE, (0, 4), ha="center", colour=MUTED)
        if end < 1:
            axes.axvline(end, color=GRID, lw=1)
            frame.ring(axes, end, value, ACCENT, 6)
            frame.note(axes, percent(value), (end, value), offset=(6, -15))
        start = end
