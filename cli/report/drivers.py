"""What drives value: how much each family and feature moves predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cva_sql.cli.report.axes import label_axes, row_label, rows_area, set_ticks
from cva_sql.cli.report.catalog import Catalog
from cva_sql.cli.report.head import Overview
from cva_sql.cli.report.page import Section, figure, grid, missing
from cva_sql.cli.report.palette import ACCENT, GRID, INK
from cva_sql.cli.report.source import Source
from cva_sql.cli.report.svg import plot_area
from cva_sql.cli.report.wording import amount, percent, plain, tick_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME, TITLE = "drivers", "What drives value"
TABLE = "cva_feature_importance"
COLUMNS = (
    "level", "family", "feature", "mean_absolute_attribution", "mean_absolute_attribution_lower",
    "mean_absolute_attribution_upper", "mean_attribution", "rank",
)  # fmt: skip
FAMILIES, FEATURES = 8, 15  # shown
COLUMN = 8  # rows of a figure: the families of the package
ROW = 36.0  # pixels of a row: its label and its bar


@dataclass(frozen=True)
class Driver:
    """How far a family or feature moves predictions on average, in money, with an interval."""

    name: str
    size: float
    lower: float
    upper: float
    mean: float


def drivers(source: Source, overview: Overview, catalog: Catalog) -> Section:
    """The section: bars of families and of the first features."""
    families = _read_drivers(source, "family", FAMILIES)
    if not families:
        return missing(NAME, TITLE, unexplained(source, overview))
    features = _read_drivers(source, "feature", FEATURES, catalog)
    first = families[0]
    total = sum(family.size for family in families)
    of_all = f", {percent(first.size / total)} of what all families do" if total > 0 else ""
    sentence = (
        f"The family {plain(first.name, 40)} moves predictions most: by {amount(first.size)} a "
        f"customer on average ({_interval(first)}), up or down{of_all}."
    )
    rows = max(len(families), min(len(features), COLUMN))
    blocks = [_families_figure(source, families, rows)]
    blocks += _features_figures(source, features, rows) if features else []
    return Section(NAME, TITLE, sentence, (grid(blocks),))


def unexplained(source: Source, overview: Overview) -> str:
    """Why there are no attributions, and what to run."""
    if not overview.customers:
        return f"There is no customer to explain. Load orders, then: {source.command('run')}"
    return f"The predictions are not explained yet. Explain them: {source.command('run')}"


def _read_drivers(
    source: Source, level: str, limit: int, catalog: Catalog | None = None
) -> list[Driver]:
    """The first ones of a level by rank; none where the table is missing."""
    table_name = source.table(TABLE, COLUMNS)
    if table_name is None:
        return []
    name = "family" if level == "family" else "feature"
    rows = source.rows(
        f"select {name}, mean_absolute_attribution, mean_absolute_attribution_lower, "
        f"mean_absolute_attribution_upper, mean_attribution from {table_name} where level = ? "
        f"and isfinite(mean_absolute_attribution) and {name} is not null "
        f"order by rank, {name} limit {limit}",
        [level],
    )
    return [
        Driver(
            catalog.find(row[0]).label if catalog else row[0],
            row[1],
            row[1] if row[2] is None else row[2],
            row[1] if row[3] is None else row[3],
            row[4] or 0.0,
        )
        for row in rows
    ]


def _interval(driver: Driver) -> str:
    return f"{amount(driver.lower)} to {amount(driver.upper)}"


def _families_figure(source: Source, families: Sequence[Driver], rows: int) -> str:
    first = max(families, key=lambda family: abs(family.mean))
    verb, side = ("adds", "to") if first.mean >= 0 else ("takes", "from")
    sentence = (
        f"Thick: how far a family moves a prediction on average, up or down; thin: its 95\u00a0% "
        f"interval. With its sign, {plain(first.name, 40)} {verb} most: {amount(abs(first.mean))} "
        f"{side} the mean prediction."
    )
    largest = max(max(family.upper, family.size) for family in families)
    return _bars("families", "Families of features", sentence, source, families, largest, rows)


def _features_figures(source: Source, features: Sequence[Driver], rows: int) -> list[str]:
    """Two figures with one scale: fifteen rows in one would be twice as tall as its neighbour."""
    largest = max(max(feature.upper, feature.size) for feature in features)
    figures = []
    for start in range(0, len(features), COLUMN):
        shown = features[start : start + COLUMN]
        sentence = (
            f"“{plain(shown[0].name, 60)}” moves a prediction by {amount(shown[0].size)} "
            f"({_interval(shown[0])})"
        )
        if len(shown) > 1:
            sentence += f", “{plain(shown[-1].name, 60)}” by {amount(shown[-1].size)}"
        span = f"{start + 1} to {start + len(shown)}" if len(shown) > 1 else f"{start + 1}"
        title = f"Features, {span}"
        figures.append(
            _bars(f"features-{start + 1}", title, f"{sentence}.", source, shown, largest, rows)
        )
    return figures


def _bars(
    name: str,
    title: str,
    sentence: str,
    source: Source,
    shown: Sequence[Driver],
    largest: float,
    rows: int,
) -> str:
    """A figure of as many rows as its neighbours have, so that theirs stand beside its own."""
    height = ROW * rows

    def paint(drawing: Figure) -> None:
        axes = plot_area(drawing, left=14, right=22, top=2, bottom=44)
        rows_area(axes, height)
        _paint_drivers(axes, shown, largest or 1.0)
        label_axes(axes, f"Mean attribution without sign ({source.unit})", "")

    return figure(name, title, sentence, height + 46, paint)


def _paint_drivers(axes: Axes, shown: Sequence[Driver], largest: float) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(0, largest * 1.02)
    ticks = MaxNLocator(nbins=5).tick_values(0, largest)
    kept = [float(t) for t in ticks if 0 <= t <= largest * 1.02]
    set_ticks(axes, "x", kept, tick_labels(kept))
    axes.xaxis.grid(True)
    places = ROW * np.arange(len(shown)) + 26
    axes.barh(places, [driver.size for driver in shown], height=9, color=ACCENT)
    for place, driver in zip(places, shown, strict=True):
        axes.plot([driver.lower, driver.upper], [place, place], color=INK, lw=1.5)
        row_label(axes, place - 14, driver.name, amount(driver.size))
    axes.axvline(0, color=GRID, lw=1)
