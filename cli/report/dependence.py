"""Dependence plots: what a feature adds to the prediction, by its value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cva_sql.cli.report.axes import Floats, apply_scale, dots, label_axes, scale_of
from cva_sql.cli.report.page import figure
from cva_sql.cli.report.palette import ACCENT, INK, MUTED
from cva_sql.cli.report.svg import WIDTH, plot_area
from cva_sql.cli.report.wording import amount, counted, plain, signed, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT = 258.0
BINS = 14  # of the line of medians
FEW = 12  # different values, up to which each has a median of its own
LEAST = 5  # dots behind a median
TOLD = ("days", "years")  # units besides money; the others are in the words already
EDGE = 0.2  # the lowest and the highest part that the sentence compares


@dataclass(frozen=True)
class Curve:
    """A feature's values and attributions, NaN where it has none; `reference` is the typical."""

    label: str
    unit: str
    value: Floats
    attribution: Floats
    reference: float


def dependence_figure(number: int, curve: Curve, money: str) -> str:
    """The figure as HTML; `money` is the currency."""
    known = np.isfinite(curve.value)
    value, attribution = curve.value[known], curve.attribution[known]
    unknown = int((~known).sum())
    left_out = f" {counted(unknown, 'customer')} without a value left out." if unknown else ""

    def paint(drawing: Figure) -> None:
        axes = plot_area(drawing, left=52, top=40)
        across = scale_of(np.append(value, curve.reference))
        apply_scale(axes, "x", across)
        apply_scale(axes, "y", scale_of(attribution))
        axes.axhline(0, color=MUTED, lw=1)
        dots(axes, value, attribution, ACCENT, 3.5, 0.45)
        axes.plot(*_medians(value, attribution), color=INK, lw=1.6)
        if np.isfinite(curve.reference):
            _paint_reference(axes, curve.reference)
        label_axes(
            axes, _axis(curve.label, _unit(curve.unit, money), across.threshold is not None),
            f"Attribution ({money})",
        )  # fmt: skip

    return figure(
        f"dependence-{number}", _title(curve.label), _sentence(value, attribution) + left_out,
        HEIGHT, paint,
    )  # fmt: skip


def _axis(label: str, unit: str, is_log: bool) -> str:
    notes = ", ".join(note for note in (unit, "log scale" if is_log else "") if note)
    return plain(label, 60) + (f" ({notes})" if notes else "")


def _unit(unit: str, money: str) -> str:
    return money if unit == "money" else unit if unit in TOLD else ""


def _title(label: str) -> str:
    shown = plain(label, 60)
    return shown[:1].upper() + shown[1:]


def _paint_reference(axes: Axes, reference: float) -> None:
    """A dashed line at the typical customer's value, named above the axes."""
    axes.axvline(reference, color=INK, lw=1, ls=(0, (3, 2)))
    text = f"typical {amount(reference)}"
    place = float(axes.transData.transform((reference, 0))[0])
    is_left = place + text_width(text) > WIDTH - 8
    axes.annotate(
        text, (reference, 1), xycoords=("data", "axes fraction"),
        xytext=(0, 3), textcoords="offset points",
        ha="right" if is_left else "left", color=INK,
    )  # fmt: skip


def _sentence(value: Floats, attribution: Floats) -> str:
    low, high = (float(q) for q in np.quantile(value, [EDGE, 1 - EDGE], method="nearest"))
    lowest, highest = value <= low, value >= high
    if low >= high:  # most have one value: compare them with the others
        above = value > low
        if not above.any():
            lowest, highest = value < low, value >= low
            low = float(value[lowest].max())
        else:
            highest, high = above, float(value[above].min())
    more = " or more" if float(value.max()) > high else ""
    less = " or less" if float(value.min()) < low else ""
    return (
        f"At {amount(high)}{more} it moves the prediction by "
        f"{signed(float(attribution[highest].mean()))} on average, at {amount(low)}{less} by "
        f"{signed(float(attribution[lowest].mean()))}."
    )


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
