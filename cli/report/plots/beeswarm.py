"""Beeswarm: every customer a dot, a row a feature, coloured by the feature's value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cva_sql.cli.report.plots import frame
from cva_sql.cli.report.plots.frame import Floats
from cva_sql.cli.report.plots.palette import MUTED, STEPS, UNKNOWN
from cva_sql.cli.report.wording import amount

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 51.0  # pixels of a row: 17 of its label, the others of dots
CENTRE = 35.0  # of the dots, from the row's top
REACH = 14.0  # pixels that dots may lie above or below the centre
DOT = 3.0  # pixels across
FEW, LARGE_DOT = 100, 5.0  # up to so many customers a dot may be larger
STACK = 2.0  # pixels between dots that would lie on each other


@dataclass(frozen=True)
class Cloud:
    """A row: attributions in money, and the rank of the feature's value, NaN without one."""

    label: str
    attribution: Floats
    rank: Floats


def paint_beeswarm(drawing: Figure, clouds: Sequence[Cloud], money: str) -> None:
    """A row a feature; the x axis is common, and logarithmic where few reach far."""
    axes = frame.rows_area(drawing, ROW * len(clouds), right=18)
    scale = frame.scale_of(np.concatenate([cloud.attribution for cloud in clouds]))
    frame.apply_scale(axes, "x", scale)
    axes.axvline(0, color=MUTED, lw=1)
    for k, cloud in enumerate(clouds):
        frame.row_label(axes, ROW * k + 11, cloud.label)
    _paint_clouds(axes, clouds)
    log = f", log beyond ±{amount(scale.threshold)}" if scale.threshold else ""
    frame.label_axes(axes, f"Attribution ({money}{log})")


def _paint_clouds(axes: Axes, clouds: Sequence[Cloud]) -> None:
    x = np.concatenate([cloud.attribution for cloud in clouds])
    y = np.concatenate(
        [
            ROW * k + CENTRE + _offsets(_pixels(axes, cloud.attribution))
            for k, cloud in enumerate(clouds)
        ]
    )
    rank = np.concatenate([cloud.rank for cloud in clouds])
    size = LARGE_DOT if len(clouds[0].rank) <= FEW else DOT
    frame.dots(axes, x[np.isnan(rank)], y[np.isnan(rank)], UNKNOWN, size)
    step = np.minimum(rank * len(STEPS), len(STEPS) - 1)
    for k, colour in enumerate(STEPS):
        own = np.floor(step) == k  # NaN is no step
        frame.dots(axes, x[own], y[own], colour, size)


def _pixels(axes: Axes, x: Floats) -> Floats:
    points = np.column_stack([x, np.zeros(len(x))])
    return np.asarray(axes.transData.transform(points)[:, 0], dtype=float)


def _offsets(x: Floats) -> Floats:
    """How far from the centre each dot lies, in pixels: those of the same place are stacked.

    Within a place they alternate up and down in the order they come, which is by lot. A crowded
    place is as tall as the root of its share of the most crowded one: its density shows.
    """
    place = np.floor(x / DOT).astype(np.intp)
    order = np.argsort(place, kind="stable")
    _, start, count = np.unique(place[order], return_index=True, return_counts=True)
    layer = np.arange(len(x)) - np.repeat(start, count)
    sign = np.where(layer % 2, 1.0, -1.0)
    tall = 2 * REACH * np.sqrt(count / count.max())
    step = np.repeat(np.minimum(STACK, tall / count), count)
    offsets = np.empty(len(x))
    offsets[order] = sign * np.ceil(layer / 2) * step
    return offsets
