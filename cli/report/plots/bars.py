"""Bars in rows: each with its name and its number above it, and an interval where it has one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cva_sql.cli.report.plots import frame
from cva_sql.cli.report.plots.palette import ACCENT, DOWN, GRID, INK, MUTED, SOFT, UP
from cva_sql.cli.report.wording import amount, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 36.0  # pixels of a row: its label and its bar
STEP = 34.0  # of a step of a waterfall
BELOW = 46.0  # pixels of the labels below the rows


@dataclass(frozen=True)
class Bar:
    """A row: its name, its size and the ends of its interval; a soft bar stands back."""

    name: str
    size: float
    lower: float
    upper: float
    label: str
    is_soft: bool = False


@dataclass(frozen=True)
class Waterfall:
    """A customer's steps from `baseline` to `predicted`, in money, by family."""

    customer: str
    roles: tuple[str, ...]
    baseline: float
    predicted: float
    steps: tuple[tuple[str, float], ...]


def paint_bars(drawing: Figure, bars: Sequence[Bar], largest: float, axis: str) -> None:
    """Bars from 0 to at most `largest`."""
    axes = frame.rows_area(drawing, ROW * len(bars))
    axes.set_xlim(0, (largest or 1.0) * 1.02)
    frame.set_linear_ticks(axes, "x", 0, (largest or 1.0) * 1.02)
    for k, bar in enumerate(bars):
        place = ROW * k + 26
        axes.barh([place], [bar.size], height=9, color=SOFT if bar.is_soft else ACCENT)
        if bar.lower < bar.upper:
            axes.plot([bar.lower, bar.upper], [place, place], color=INK, lw=1.5)
        frame.row_label(axes, place - 14, bar.name, bar.label)
    axes.axvline(0, color=GRID, lw=1)
    frame.label_axes(axes, axis)


def paint_waterfall(drawing: Figure, waterfall: Waterfall, start: str, axis: str) -> None:
    """The baseline, called `start`, a step each family, and the prediction."""
    axes = frame.rows_area(drawing, STEP * (len(waterfall.steps) + 2))
    ends = [waterfall.baseline]
    for _, value in waterfall.steps:
        ends.append(ends[-1] + value)
    low, high = min(0.0, *ends), max(0.0, *ends, waterfall.predicted) or 1.0
    axes.set_xlim(low - (high - low) * 0.02 * (low < 0), high + (high - low) * 0.02)
    frame.set_linear_ticks(axes, "x", low, high)
    _paint_step(axes, 0, start, 0, waterfall.baseline, MUTED, amount(waterfall.baseline), ends[0])
    for k, (family, value) in enumerate(waterfall.steps):
        colour = UP if value >= 0 else DOWN
        _paint_step(axes, k + 1, family, ends[k], value, colour, signed(value), ends[k + 1])
    last, predicted = len(waterfall.steps) + 1, waterfall.predicted
    _paint_step(axes, last, "prediction", 0, predicted, ACCENT, amount(predicted), None)
    axes.axvline(0, color=GRID, lw=1)
    frame.label_axes(axes, axis)


def _paint_step(
    axes: Axes, row: int, name: str, start: float, size: float, colour: str, label: str,
    onward: float | None,
) -> None:  # fmt: skip
    """A bar with its name above, and a thin line from its end down to the next row's."""
    place = STEP * row + 25
    axes.barh([place], [size], height=9, left=start, color=colour)
    frame.row_label(axes, place - 14, name, label)
    if onward is not None:
        axes.plot([onward, onward], [place + 4.5, place + STEP - 4.5], color=MUTED, lw=0.8)
