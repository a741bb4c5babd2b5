"""Dependence plots: what a feature adds to the prediction, by its value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cva_sql.cli.report.catalog import Feature
from cva_sql.cli.report.plots import frame
from cva_sql.cli.report.plots.frame import Floats
from cva_sql.cli.report.plots.palette import ACCENT, INK, MUTED
from cva_sql.cli.report.plots.svg import WIDTH
from cva_sql.cli.report.wording import amount, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 14  # of the line of medians
FEW = 12  # different values, up to which each has a median of its own
LEAST = 5  # dots behind a median
TOLD = ("days", "years")  # units that an axis names besides money; the others are in the words


@dataclass(frozen=True)
class Points:
    """Customers' values and attributions of a feature, and the typical value.

    A value is NaN where it is no number, and so is `reference`.
    """

    feature: Feature
    value: Floats
    attribution: Floats
    reference: float

    def known(self, has_reference: bool) -> Points:
        """Those whose value is a number."""
        known, typical = np.isfinite(self.value), self.reference if has_reference else np.nan
        return replace(
            self, value=self.value[known], attribution=self.attribution[known], reference=typical
        )


def paint_dependence(drawing: Figure, points: Points, money: str) -> None:
    """A dot a customer, a line through the medians, a dashed one at the typical value."""
    axes, unit = frame.plot_area(drawing, top=40), points.feature.unit
    across = frame.scale_of(np.append(points.value, points.reference))
    frame.apply_scale(axes, "x", across)
    frame.apply_scale(axes, "y", frame.scale_of(points.attribution))
    axes.axhline(0, color=MUTED, lw=1)
    frame.dots(axes, points.value, points.attribution, ACCENT, 3.5, 0.45)
    axes.plot(*_medians(points.value, points.attribution), color=INK, lw=1.6)
    if np.isfinite(points.reference):
        _paint_reference(axes, points.reference)
    words = (money if unit == "money" else unit if unit in TOLD else "", "log" * across.is_log)
    notes = ", ".join(word for word in words if word)
    name = points.feature.label + (f" ({notes})" if notes else "")
    # The title has the label too: a unit that is cut off is nowhere else.
    is_long = bool(notes) and text_width(name) > frame.ACROSS_ROOM
    frame.label_axes(axes, notes if is_long else name, f"Attribution ({money})")


def _paint_reference(axes: Axes, reference: float) -> None:
    """A dashed line at the typical customer's value, named above the axes."""
    axes.axvline(reference, color=INK, lw=1, ls=(0, (3, 2)))
    text = f"typical {amount(reference)}"
    place = float(axes.transData.transform((reference, 0))[0])
    ha = "right" if place + text_width(text) > WIDTH - 8 else "left"
    frame.note(axes, text, (reference, 1), frame.ABOVE, (0, 3), ha=ha)


def _medians(value: Floats, attribution: Floats) -> tuple[Floats, Floats]:
    """The median attribution by value: of each of a few values, else of bins of equal size."""
    different = np.unique(value)
    if len(different) <= FEW:
        groups = np.searchsorted(different, value)
    else:
        edges = np.unique(np.quantile(value, np.arange(1, BINS) / BINS, method="nearest"))
        groups = np.searchsorted(edges, value, side="left")
    points = [
        (float(np.median(value[groups == g])), float(np.median(attribution[groups == g])))
        for g in np.unique(groups)
        if int((groups == g).sum()) >= LEAST
    ]
    return np.array([x for x, _ in points]), np.array([y for _, y in points])
