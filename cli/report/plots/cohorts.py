"""Cohorts by month of age: a triangle of shares, and curves of what a customer brought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cva_sql.cli.report.plots import frame
from cva_sql.cli.report.plots.frame import Floats
from cva_sql.cli.report.plots.palette import ACCENT, GRID, MUTED, SOFT
from cva_sql.cli.report.wording import amount

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROW = 25.0  # pixels
STRONGEST = 0.6  # opacity of the largest share: letters stay readable on it, light and dark
TOP, BOTTOM = 44.0, 8.0


@dataclass(frozen=True)
class Triangle:
    """Shares of shape (cohorts, ages), the first age being 1; NaN where not known."""

    names: Sequence[str]
    shares: Floats

    @property
    def height(self) -> float:
        """Pixels of its drawing."""
        return ROW * len(self.names) + TOP + BOTTOM


def paint_triangle(drawing: Figure, triangle: Triangle) -> None:
    """A row a cohort, a column a month of age: the darker, the more of them ordered."""
    from matplotlib.patches import Rectangle

    rows, ages = triangle.shares.shape
    axes = frame.plot_area(drawing, left=74, right=6, top=TOP, bottom=BOTTOM)
    axes.set_xlim(0, ages)
    axes.set_ylim(rows, 0)
    axes.set_axis_off()
    largest = float(np.nanmax(triangle.shares, initial=0)) or 1.0
    for row, name in enumerate(triangle.names):
        frame.note(axes, name, (0, row + 0.5), frame.ACROSS, (4, 0), va="center", colour=MUTED)
        for age in range(ages):
            share = float(triangle.shares[row, age])
            if np.isnan(share):
                continue
            axes.add_patch(
                Rectangle(
                    (age + 0.04, row + 0.04), 0.92, 0.92, lw=0, color=ACCENT,
                    alpha=STRONGEST * share / largest,
                )
            )  # fmt: skip
            text = f"{100 * share:.0f}"
            frame.note(axes, text, (age + 0.5, row + 0.52), ha="center", va="center")
    for age in range(ages):
        place = (age + 0.5, 1.0)
        frame.note(axes, str(age + 1), place, frame.ABOVE, (0, 5), ha="center", colour=MUTED)
    frame.label_axes(axes, "", "Per cent who ordered, by months since the first")


@dataclass(frozen=True)
class Curves:
    """Money a customer by months of age from 0: `cohorts` one each, `mean` over all of them.

    NaN where a cohort is not that old. `cost` is what winning one cost, None where not known.
    """

    cohorts: Sequence[Floats]
    mean: Floats
    cost: float | None


def paint_curves(drawing: Figure, curves: Curves, money: str) -> None:
    """A line a cohort, a strong one for all together, and the cost of winning a customer."""
    axes = frame.plot_area(drawing, right=30)
    months = len(curves.mean)
    values = np.concatenate([curves.mean, *curves.cohorts, [curves.cost or 0.0]])
    scale = frame.scale_of(values[np.isfinite(values)], from_zero=True)
    axes.set_xlim(0, max(1, months - 1))
    frame.apply_scale(axes, "y", frame.Scale(scale.low, scale.high))
    frame.set_linear_ticks(axes, "x", 0, max(1, months - 1), whole=True)
    for line in curves.cohorts:
        axes.plot(np.arange(len(line)), line, color=SOFT, lw=1.2)
    axes.plot(np.arange(months), curves.mean, color=ACCENT, lw=2.4)
    frame.ring(axes, months - 1, float(curves.mean[-1]), ACCENT, 7)
    if curves.cost is not None:
        axes.axhline(curves.cost, color=MUTED, lw=1.2, ls=(0, (4, 3)))
        text = f"cost of winning one {amount(curves.cost)}"
        place = (axes.get_xlim()[1], curves.cost)
        frame.note(axes, text, place, offset=(0, 4), ha="right", colour=MUTED, bbox=frame.BEHIND)
    axes.axhline(0, color=GRID, lw=1)
    frame.label_axes(axes, "Months since the first order", f"Margin a customer ({money})")
