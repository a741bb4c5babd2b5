"""What drives value: how much each family and feature moves predictions."""

from __future__ import annotations

from collections.abc import Sequence

from cva_sql.cli.report.catalog import Catalog
from cva_sql.cli.report.page import Grid, Plot, Section, missing, plot
from cva_sql.cli.report.plots.bars import BELOW, ROW, Bar, paint_bars
from cva_sql.cli.report.sections.overview import Overview
from cva_sql.cli.report.source import Row, Source
from cva_sql.cli.report.wording import amount, percent, plain

NAME, TITLE = "drivers", "What drives value"
TABLE = "cva_feature_importance"
COLUMNS = (
    "level", "family", "feature", "mean_absolute_attribution", "mean_absolute_attribution_lower",
    "mean_absolute_attribution_upper", "mean_attribution", "rank",
)  # fmt: skip
FAMILIES, FEATURES = 8, 15  # shown
COLUMN = 8  # rows of a plot: the families of the package


def drivers(source: Source, overview: Overview, catalog: Catalog) -> Section:
    """The section: bars of families and of the first features."""
    found = _read_drivers(source, "family", FAMILIES)
    if not found:
        return missing(NAME, TITLE, unexplained(source, overview))
    families = [_bar(row, plain(row[0], 40)) for row in found]
    features = [
        _bar(row, catalog.find(row[0]).label) for row in _read_drivers(source, "feature", FEATURES)
    ]
    first = families[0]
    total = sum(family.size for family in families)
    of_all = f"; that is {percent(first.size / total)} of what all families do" if total > 0 else ""
    sentence = (
        f"The feature family {first.name} moves predictions most: by "
        f"{first.label} a customer on average ({_interval(first)}), up or down{of_all}."
    )
    signs = {row[0]: row[4] or 0.0 for row in found}
    plots = [_families_plot(source, families, signs), *_features_plots(source, features)]
    return Section(NAME, TITLE, sentence, (Grid(plots),))


def unexplained(source: Source, overview: Overview) -> str:
    """Why there are no attributions, and what to run."""
    if not overview.customers:
        return f"There is no customer to explain. Load orders, then: {source.command('run')}"
    return f"The predictions are not explained yet. Explain them: {source.command('run')}"


def _read_drivers(source: Source, level: str, limit: int) -> list[Row]:
    """Name, mean size, its interval, mean with its sign, by rank; none without the table."""
    table_name = source.table(TABLE, COLUMNS)
    if table_name is None:
        return []
    return source.rows(
        f"select {level}, mean_absolute_attribution, mean_absolute_attribution_lower, "
        f"mean_absolute_attribution_upper, mean_attribution from {table_name} where level = ? "
        f"and isfinite(mean_absolute_attribution) and {level} is not null "
        f"order by rank, {level} limit {limit}",
        [level],
    )


def _bar(row: Row, name: str) -> Bar:
    _, size, lower, upper, _ = row
    low, high = (size if end is None else end for end in (lower, upper))
    return Bar(name, size, low, high, amount(size))


def _interval(bar: Bar) -> str:
    return f"95\u00a0% interval {amount(bar.lower)} to {amount(bar.upper)}"


def _families_plot(source: Source, families: Sequence[Bar], signs: dict[str, float]) -> Plot:
    name, mean = max(signs.items(), key=lambda found: abs(found[1]))
    verb, side = ("adds", "to") if mean >= 0 else ("takes", "from")
    sentence = (
        f"By how much a family moves a prediction on average, up or down. With its sign, "
        f"{plain(name, 40)} {verb} most: {amount(abs(mean))} {side} the mean prediction."
    )
    return _bars("families", "Feature families", sentence, source, families, families)


def _features_plots(source: Source, features: Sequence[Bar]) -> list[Plot]:
    """Two plots with one scale: fifteen rows in one would be twice as tall as its neighbour."""
    plots = []
    for start in range(0, len(features), COLUMN):
        shown = features[start : start + COLUMN]
        first, last = shown[0], shown[-1]
        sentence = f"“{first.name}” moves a prediction by {first.label} ({_interval(first)})"
        if len(shown) > 1:
            sentence += f", “{last.name}” by {last.label}"
        span = f"{start + 1} to {start + len(shown)}" if len(shown) > 1 else f"{start + 1}"
        name, title = f"features-{start + 1}", f"Features, {span}"
        plots.append(_bars(name, title, f"{sentence}.", source, shown, features))
    return plots


def _bars(
    name: str, title: str, sentence: str, source: Source, shown: Sequence[Bar],
    beside: Sequence[Bar],
) -> Plot:  # fmt: skip
    """A plot on the scale of all `beside` it."""
    largest = max(max(bar.upper, bar.size) for bar in beside)
    axis = f"Mean size of the attribution ({source.unit})"
    return plot(
        name, title, sentence, ROW * len(shown) + BELOW,
        lambda drawing: paint_bars(drawing, shown, largest, axis),
        legend=(("accent", "mean"), ("ink", "95\u00a0% interval")), kind="top",
    )  # fmt: skip
