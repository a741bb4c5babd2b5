"""How features move predictions: a beeswarm of many, the curve of a few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.cli.report.catalog import Catalog
from cva_sql.cli.report.page import Grid, Plot, Section, missing, plot
from cva_sql.cli.report.plots.beeswarm import ROW, Cloud, paint_beeswarm
from cva_sql.cli.report.plots.dependence import Points, paint_dependence
from cva_sql.cli.report.plots.frame import Floats
from cva_sql.cli.report.sections.drivers import TABLE, unexplained
from cva_sql.cli.report.sections.overview import Overview
from cva_sql.cli.report.source import EXPLAIN, Source
from cva_sql.cli.report.wording import counted, percent, signed

NAME, TITLE = "attributions", "How features move predictions"
SWARMS, CURVES = 12, 4
SAMPLE = 1_000  # customers: 12,000 dots are 170 kB, and more of them only cover each other
LEAST_VALUES = 2  # different ones, for a curve
TALL = 7  # rows of the beeswarm from which on it is as tall as two curves
CURVE_HEIGHT = 258.0
EDGE = 0.2  # the lowest and the highest part that a curve's sentence compares


def attributions(source: Source, overview: Overview, catalog: Catalog) -> Section:
    """The section: a beeswarm of the first features, dependence plots of the first numeric ones."""
    if not source.explains:
        return missing(NAME, TITLE, unexplained(source, overview))
    features = _first_features(source)
    sampled, size = _sample(source, features[0])
    found = _read_points(source, features, catalog)
    if not found:
        return missing(NAME, TITLE, unexplained(source, overview))
    numbers = (p for p in found if p.feature.is_number)
    curves = [p for p in numbers if _is_varied(p.value) and p.attribution.any()][:CURVES]
    plots = [_beeswarm_plot(found[:SWARMS], source.unit)]
    plots += [
        _dependence_plot(k + 1, points, source.unit, is_typical=not overview.is_untrained)
        for k, points in enumerate(curves)
    ]
    sentence = _sentence(found[0], sampled, size, overview)
    return Section(NAME, TITLE, sentence, (Grid(plots),))


def _sentence(first: Points, sampled: int, size: int, overview: Overview) -> str:
    if size == 1:
        moved = float(first.attribution[0])
        return f"For the one customer, “{first.feature.label}” adds {signed(moved)}."
    up = float((first.attribution > 0).mean())
    of_all = counted(size, "customer" if size == overview.customers else "explained customer")
    whose = (
        f"one of {sampled:,} of {of_all}, drawn at random" if sampled < size else f"one of {of_all}"
    )
    return (
        f"Each dot is {whose}. To the right a feature raises the prediction, to the left it "
        f"lowers it: “{first.feature.label}” raises it for {percent(up)} of them."
    )


def _is_varied(value: Floats) -> bool:
    return len(np.unique(value[np.isfinite(value)])) >= LEAST_VALUES


def _beeswarm_plot(found: Sequence[Points], money: str) -> Plot:
    clouds = [_cloud(points) for points in found]
    furthest = max(clouds, key=lambda cloud: float(np.abs(cloud.attribution).max()))
    low, high = float(furthest.attribution.min()), float(furthest.attribution.max())
    span = signed(low) if low == high else f"from {signed(low)} to {signed(high)} by customer"
    sentence = f"“{furthest.label}” reaches furthest: {span}."
    title = f"Attributions of the first {counted(len(clouds), 'feature')}"
    legend = (("ramp", "value of the feature, low to high"), ("unknown", "unknown, or a text"))
    return plot(
        "beeswarm", title, sentence, ROW * len(clouds) + 46,
        lambda drawing: paint_beeswarm(drawing, clouds, money),
        legend=legend, kind="tall" if len(clouds) >= TALL else "",
    )  # fmt: skip


def _dependence_plot(number: int, points: Points, money: str, *, is_typical: bool) -> Plot:
    """Attribution by value; the packaged rule's reference is no typical customer."""
    known, label = points.known(is_typical), points.feature.label
    sentence = _compared(known)
    if len(known.value) < len(points.value):
        unknown = counted(len(points.value) - len(known.value), "customer")
        sentence += f" {unknown} without a value left out."
    return plot(
        f"dependence-{number}", label[:1].upper() + label[1:], sentence, CURVE_HEIGHT,
        lambda drawing: paint_dependence(drawing, known, money),
        legend=(("soft", "a customer"), ("ink", "median of the attribution")),
    )  # fmt: skip


def _compared(points: Points) -> str:
    """What the highest and the lowest values do, said as reasons say it."""
    value = points.value
    low, high = (float(q) for q in np.quantile(value, [EDGE, 1 - EDGE], method="nearest"))
    lowest, highest = value <= low, value >= high
    if low >= high:  # most have one value: compare them with the others
        if (value > low).any():
            highest = value > low
            high = float(value[highest].min())
        else:
            lowest, highest = value < low, value >= low
            low = float(value[lowest].max())
    more = " or more" if float(value.max()) > high else ""
    less = " or less" if float(value.min()) < low else ""
    feature = points.feature
    above, below = feature.phrase(high, more, points.reference), feature.phrase(low, less)
    up, down = (signed(float(points.attribution[part].mean())) for part in (highest, lowest))
    return f"“{above}” moves the prediction by {up} on average, “{below}” by {down}."


def _first_features(source: Source) -> list[str]:
    """Features by importance, at least as many as are shown; by mean attribution without a rank."""
    ranked = source.table(TABLE, ("level", "feature", "rank"))
    rows = source.rows(
        f"select feature from {ranked} where level = 'feature' and feature is not null "
        f"and feature in (select distinct feature from {EXPLAIN}) order by rank, feature limit 30"
    ) if ranked else []  # fmt: skip
    rows = rows or source.rows(
        f"select feature from {EXPLAIN} where feature is not null group by 1 "
        "order by sum(abs(attribution)::decimal(38, 6)) desc, 1 limit 30"
    )
    return [row[0] for row in rows]


def _sample(source: Source, feature: str) -> tuple[int, int]:
    """Draws SAMPLE customers by a hash of their id; how many, and of how many.

    Whoever runs it draws the same; a table of the sample is what the points are joined with.
    """
    source.con.execute(
        "create or replace temp table cva_report_sample as select customer_id, "
        "row_number() over (order by md5(customer_id), customer_id) as place "
        f"from {EXPLAIN} where feature = ? qualify place <= {SAMPLE}",
        [feature],
    )
    size = source.rows(f"select count(*) from {EXPLAIN} where feature = ?", [feature])[0][0]
    return min(size, SAMPLE), int(size)


def _read_points(source: Source, features: Sequence[str], catalog: Catalog) -> list[Points]:
    found = []
    marks = ", ".join("?" for _ in features)
    columns = source.con.execute(
        "select feature, try_cast(value as double) as value, "
        "attribution, try_cast(reference_value as double) as reference "
        f"from {EXPLAIN} inner join cva_report_sample using (customer_id) "
        f"where feature in ({marks}) order by place, feature",
        list(features),
    ).fetchnumpy()
    names: NDArray[np.object_] = np.asarray(columns["feature"], dtype=object)
    value = _numbers(columns["value"])
    attribution = np.asarray(columns["attribution"], dtype=float)
    reference = _numbers(columns["reference"])
    for feature in features:
        own = names == feature
        if not own.any():
            continue
        typical = reference[own][np.isfinite(reference[own])]
        lowest = float(typical.min()) if len(typical) else float("nan")
        found.append(Points(catalog.find(feature), value[own], attribution[own], lowest))
    return found


def _numbers(column: Any) -> Floats:
    """A column as numbers; NaN where it is null or infinite."""
    found: Floats = np.ma.filled(np.ma.asarray(column, dtype=float), np.nan)
    return np.where(np.isfinite(found), found, np.nan)


def _cloud(points: Points) -> Cloud:
    value = points.value if points.feature.is_number else np.full(len(points.value), np.nan)
    return Cloud(points.feature.label, points.attribution, ranked(value))


def ranked(value: Floats) -> Floats:
    """Where each value stands among the others, 0 (lowest) to 1; NaN stays.

    Equal values share the lowest rank of theirs, so that the many 0 of a sparse feature are low.
    """
    known = np.isfinite(value)
    ordered = np.sort(value[known])
    rank = np.full(len(value), np.nan)
    rank[known] = np.searchsorted(ordered, value[known], side="left")
    highest = np.nanmax(rank) if known.any() else 0.0
    return rank / highest if highest > 0 else np.where(known, 0.5, np.nan)
