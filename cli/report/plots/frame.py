"""The frame of a plot: axes for a narrow figure, a scale by the data, ticks that do not touch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cva_sql.cli.report.plots.palette import CARD, GRID, INK, MUTED
from cva_sql.cli.report.plots.svg import INCH, TEXT, WIDTH
from cva_sql.cli.report.wording import fitted, percent, power_labels, text_width, tick_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
SKEWED = 12.0  # the largest over the median, from where on a linear axis shows the largest alone
BEHIND = {"facecolor": CARD, "edgecolor": "none", "pad": 1}  # keeps lines out of letters
# What a note's place is told in: of the data, above the axes, or across the whole figure.
DATA, ABOVE = ("data", "data"), ("data", "axes fraction")
ACROSS, CORNER = ("figure fraction", "data"), ("figure fraction", "figure fraction")
ACROSS_ROOM = WIDTH - 60  # pixels of the x axis' name
GAP = 8.0  # pixels between two labels of an axis
MARGIN = 0.04  # of the axis, beyond the outermost value
LINEAR_DECADES = 0.7  # how much room the linear part of a symlog axis has, in decades a side


def plot_area(
    figure: Figure, left: float = 52, right: float = 24, top: float = 28, bottom: float = 46
) -> Axes:
    """Axes with these margins, in pixels, and a grid line at each label of y."""
    width, height = figure.get_size_inches() * INCH
    across, up = (width - left - right) / width, (height - top - bottom) / height
    axes = figure.add_axes((left / width, bottom / height, across, up))
    axes.yaxis.grid(True)
    return axes


def rows_area(
    figure: Figure, height: float, *, left: float = 14, right: float = 22, top: float = 2,
    bottom: float = 44,
) -> Axes:  # fmt: skip
    """Axes for rows with a label each: y counts pixels from the top, `height` of them."""
    axes = plot_area(figure, left, right, top, bottom)
    axes.set_ylim(height, 0)
    axes.yaxis.set_visible(False)
    axes.xaxis.grid(True)
    axes.spines["bottom"].set_color(GRID)
    return axes


@dataclass(frozen=True)
class Scale:
    """How to show values: linear from `low` to `high`, or symlog, linear within `threshold`."""

    low: float
    high: float
    threshold: float | None = None

    @property
    def is_log(self) -> bool:
        """Whether it is linear only around 0."""
        return self.threshold is not None


def scale_of(values: Floats, *, from_zero: bool = False) -> Scale:
    """A scale for these values: symlog where few are far larger than most.

    Only values that all are 0, or none, give the range -1 to 1 (0 to 1 from zero).
    """
    finite = values[np.isfinite(values)]
    sizes = np.abs(finite[finite != 0])
    if not len(sizes):
        return Scale(0.0 if from_zero else -1.0, 1.0)
    low, high = float(finite.min()), float(finite.max())
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        return Scale(low - abs(low) / 2, high + abs(high) / 2)
    median = float(np.median(sizes))
    if float(sizes.max()) / median < SKEWED:
        edge = MARGIN * (high - low)
        return Scale(low if from_zero and low == 0 else low - edge, high + edge)
    threshold = 10.0 ** np.floor(np.log10(median))
    return Scale(_beyond(low, threshold), _beyond(high, threshold), threshold)


def _beyond(value: float, threshold: float) -> float:
    """A little further out on a symlog axis."""
    return value * 1.35 if abs(value) > threshold else value + np.sign(value) * threshold * 0.1


def apply_scale(axes: Axes, axis: Literal["x", "y"], scale: Scale) -> None:
    """Sets the axis' scale, limits and labels, a grid line at each label."""
    set_scale, set_limits, along = (
        (axes.set_xscale, axes.set_xlim, axes.xaxis)
        if axis == "x"
        else (axes.set_yscale, axes.set_ylim, axes.yaxis)
    )
    if scale.threshold is not None:
        set_scale("symlog", linthresh=scale.threshold, linscale=LINEAR_DECADES)
    set_limits(scale.low, scale.high)
    along.grid(True)
    if scale.threshold is None:
        set_linear_ticks(axes, axis, scale.low, scale.high)
        return
    largest = max(abs(scale.low), abs(scale.high))
    count = round(np.floor(np.log10(largest / scale.threshold) + 1e-9)) + 1
    powers = [scale.threshold * 10.0**k for k in range(max(count, 1))]
    every = [-p for p in reversed(powers)] + [0.0] + powers
    ticks = [t for t in every if scale.low <= t <= scale.high]
    set_ticks(axes, axis, ticks, power_labels(ticks))


def set_ticks(
    axes: Axes, axis: Literal["x", "y"], ticks: Sequence[float], labels: Sequence[str]
) -> None:
    """Puts these labels on the axis, as many as do not touch, 0 and the outermost first."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    along = axes.xaxis if axis == "x" else axes.yaxis
    points = [(t, 0.0) if axis == "x" else (0.0, t) for t in ticks]
    column = 0 if axis == "x" else 1
    places = axes.transData.transform(points)[:, column] if points else np.empty(0)
    sizes = [text_width(label) if axis == "x" else TEXT for label in labels]
    kept = _apart(places, sizes, ticks)
    along.set_major_locator(FixedLocator([ticks[k] for k in kept]))
    along.set_major_formatter(FixedFormatter([labels[k] for k in kept]))
    along.set_minor_locator(NullLocator())


def set_linear_ticks(
    axes: Axes, axis: Literal["x", "y"], low: float, high: float, *, whole: bool = False
) -> None:
    """Labels of a linear axis from `low` to `high`; only whole numbers for `whole`."""
    from matplotlib.ticker import MaxNLocator

    found = MaxNLocator(nbins=4 if whole else 5, integer=whole).tick_values(low, high)
    ticks = [float(t) for t in found if low <= t <= high]
    set_ticks(axes, axis, ticks, tick_labels(ticks))


def set_share_ticks(axes: Axes, axis: Literal["x", "y"], parts: int) -> None:
    """Labels from 0 % to 100 % in so many steps."""
    ticks = [k / parts for k in range(parts + 1)]
    set_ticks(axes, axis, ticks, [percent(t) for t in ticks])


def _apart(places: Floats, sizes: Sequence[float], ticks: Sequence[float]) -> list[int]:
    """Which labels to show: 0, then from the outside in, each only where there is room."""
    order = sorted(range(len(places)), key=lambda k: (ticks[k] != 0, -abs(ticks[k]), -ticks[k]))
    kept: list[int] = []
    for k in order:
        room = ((sizes[k] + sizes[j]) / 2 + GAP for j in kept)
        if all(abs(places[k] - places[j]) >= r for j, r in zip(kept, room, strict=True)):
            kept.append(k)
    return sorted(kept)


def note(
    axes: Axes, text: str, at: tuple[float, float], over: tuple[str, str] = DATA,
    offset: tuple[float, float] = (0, 0), *, ha: str = "left", va: str = "baseline",
    colour: str = INK, **more: Any,
) -> None:  # fmt: skip
    """A text `offset` pixels from a place; `over` says what the place's numbers are."""
    axes.annotate(
        text, at, xycoords=over, xytext=offset, textcoords="offset points", ha=ha, va=va,
        color=colour, annotation_clip=False, **more,
    )  # fmt: skip


def label_axes(axes: Axes, x: str, y: str = "") -> None:
    """Names both axes; the name of y stands level at the figure's top, where it can be read."""
    axes.set_xlabel(fitted(x, ACROSS_ROOM), labelpad=5)
    if y:
        words = fitted(y, WIDTH - 12)
        note(axes, words, (0, 1), CORNER, (4, -3), va="top", colour=MUTED)


def row_label(axes: Axes, y: float, text: str, right: str = "") -> None:
    """A label over a row, at the figure's left edge, and a number at its right."""
    words = fitted(text, WIDTH - text_width(right) - 24)
    note(axes, words, (0, y), ACROSS, (4, 0), va="center", bbox=BEHIND)
    if right:
        note(
            axes, right, (1, y), ACROSS, (-4, 0), ha="right", va="center", colour=MUTED,
            bbox=BEHIND,
        )  # fmt: skip


def ring(axes: Axes, x: float, y: float, colour: str, size: float) -> None:
    """A dot with a rim of the ground's colour, which may reach over the axes' edge."""
    axes.plot([x], [y], marker="o", ms=size, color=colour, mec=CARD, mew=1, zorder=3, clip_on=False)


def dots(axes: Axes, x: Floats, y: Floats, colour: str, size: float, opacity: float = 1) -> None:
    """Draws dots as one path of lines without length: 12 bytes each, in the page's colours.

    A raster image would be larger up to about 20,000 dots, and the same on light and dark.
    """
    if not len(x):
        return
    columns = np.repeat(np.asarray(x, dtype=float), 3), np.repeat(np.asarray(y, dtype=float), 3)
    for values in columns:
        values[2::3] = np.nan
    axes.plot(*columns, color=colour, lw=size, alpha=opacity, solid_capstyle="round")
