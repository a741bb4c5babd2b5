"""Axes that fit a narrow figure: a scale chosen by the data, ticks that do not touch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from cva_sql.cli.report.palette import CARD, GRID, INK, MUTED
from cva_sql.cli.report.svg import INCH, TEXT
from cva_sql.cli.report.wording import fitted, power_labels, text_width, tick_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
SKEWED = 12.0  # the largest over the median, from where on a linear axis shows the largest alone
BEHIND = {"facecolor": CARD, "edgecolor": "none", "pad": 1}  # keeps lines out of letters
GAP = 8.0  # pixels between two labels of an axis
MARGIN = 0.04  # of the axis, beyond the outermost value
LINEAR_DECADES = 0.7  # how much room the linear part of a symlog axis has, in decades a side


@dataclass(frozen=True)
class Scale:
    """How to show values: linear from `low` to `high`, or symlog, linear within `threshold`."""

    low: float
    high: float
    threshold: float | None = None

    @property
    def ticks(self) -> list[float]:
        """Values worth a label, in ascending order."""
        from matplotlib.ticker import MaxNLocator

        if self.threshold is None:
            found = MaxNLocator(nbins=5).tick_values(self.low, self.high)
            return [float(t) for t in found if self.low <= t <= self.high]
        largest = max(abs(self.low), abs(self.high))
        count = round(np.floor(np.log10(largest / self.threshold) + 1e-9)) + 1
        powers = [self.threshold * 10.0**k for k in range(max(count, 1))]
        every = [-p for p in reversed(powers)] + [0.0] + powers
        return [t for t in every if self.low <= t <= self.high]


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
    along = axes.xaxis if axis == "x" else axes.yaxis
    if scale.threshold is not None:
        settings = {"linthresh": scale.threshold, "linscale": LINEAR_DECADES}
        set_scale = axes.set_xscale if axis == "x" else axes.set_yscale
        set_scale("symlog", **settings)
    set_limits = axes.set_xlim if axis == "x" else axes.set_ylim
    set_limits(scale.low, scale.high)
    ticks = scale.ticks
    labels = (tick_labels if scale.threshold is None else power_labels)(ticks)
    set_ticks(axes, axis, ticks, labels)
    along.grid(True)


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


def _apart(places: Floats, sizes: Sequence[float], ticks: Sequence[float]) -> list[int]:
    """Which labels to show: 0, then from the outside in, each only where there is room."""
    order = sorted(range(len(places)), key=lambda k: (ticks[k] != 0, -abs(ticks[k]), -ticks[k]))
    kept: list[int] = []
    for k in order:
        room = ((sizes[k] + sizes[j]) / 2 + GAP for j in kept)
        if all(abs(places[k] - places[j]) >= r for j, r in zip(kept, room, strict=True)):
            kept.append(k)
    return sorted(kept)


def label_axes(axes: Axes, x: str, y: str) -> None:
    """Names both axes; the name of y stands level at the figure's top, where it can be read."""
    width = axes.get_figure().get_size_inches()[0] * INCH  # type: ignore[union-attr]
    axes.set_xlabel(fitted(x, width - 60), labelpad=5)
    if y:
        axes.annotate(
            fitted(y, width - 12),
            (0, 1),
            xycoords="figure fraction",
            xytext=(4, -3),
            textcoords="offset points",
            va="top",
            color=MUTED,
        )


def rows_area(axes: Axes, height: float) -> None:
    """Makes y count pixels from the top, for rows with a label each."""
    axes.set_ylim(height, 0)
    axes.yaxis.set_visible(False)
    axes.spines["bottom"].set_color(GRID)


def row_label(axes: Axes, y: float, text: str, right: str = "") -> None:
    """A label over a row, at the figure's left edge, and a number at its right."""
    width = axes.get_figure().get_size_inches()[0] * INCH  # type: ignore[union-attr]
    room = width - text_width(right) - 24
    across = ("figure fraction", "data")
    axes.annotate(
        fitted(text, room),
        (0, y),
        annotation_clip=False,
        xycoords=across,
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        color=INK,
        bbox=BEHIND,
    )
    if right:
        axes.annotate(
            right,
            (1, y),
            annotation_clip=False,
            xycoords=across,
            xytext=(-4, 0),
            textcoords="offset points",
            va="center",
            ha="right",
            color=MUTED,
            bbox=BEHIND,
        )


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
