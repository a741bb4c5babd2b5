"""How features move predictions: a beeswarm of many, the curve of a few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.cli.report.axes import Floats
from cva_sql.cli.report.beeswarm import Cloud, beeswarm_figure
from cva_sql.cli.report.catalog import Catalog, Feature
from cva_sql.cli.report.dependence import Curve, dependence_figure
from cva_sql.cli.report.drivers import TABLE, unexplained
from cva_sql.cli.report.head import Overview
from cva_sql.cli.report.page import Section, grid, missing
from cva_sql.cli.report.source import EXPLAIN, Source
from cva_sql.cli.report.wording import counted, percent, plain, signed

NAME, TITLE = "attributions", "How features move predictions"
SWARMS, CURVES = 12, 4
SAMPLE = 1_000  # customers: 12,000 dots are 170 kB, and more of them only cover each other
LEAST_VALUES = 2  # different ones, for a curve


@dataclass(frozen=True)
class Points:
    """The sampled customers' values and attributions of a feature; NaN where it has no number."""

    feature: Feature
    value: Floats
    attribution: Floats
    reference: float


def attributions(source: Source, overview: Overview, catalog: Catalog) -> Section:
    """The section: a beeswarm of the first features, dependence plots of the first numeric ones."""
    if not source.explains:
        return missing(NAME, TITLE, unexplained(source, overview))
    features = _first_features(source)
    sampled, size = _sample(source, features[0])
    found = _read_points(source, features, catalog)
    if not found:
        return missing(NAME, TITLE, unexplained(source, overview))
    clouds = [_cloud(points) for points in found[:SWARMS]]
    curves = [
        Curve(p.feature.label, p.feature.unit, p.value, p.attribution, p.reference)
        for p in found
        if p.feature.is_number and len(np.unique(p.value[np.isfinite(p.value)])) >= LEAST_VALUES
    ]
    blocks = [beeswarm_figure(clouds, source.unit)]
    blocks += [dependence_figure(k + 1, c, source.unit) for k, c in enumerate(curves[:CURVES])]
    sentence = _sentence(found[0], sampled, size, overview)
    return Section(NAME, TITLE, sentence, (grid(blocks),))


def _sentence(first: Points, sampled: int, size: int, overview: Overview) -> str:
    if size == 1:
        moved = float(first.attribution[0])
        return f"For the one customer, “{plain(first.feature.label, 60)}” adds {signed(moved)}."
    up = float((first.attribution > 0).mean())
    of_all = counted(size, "customer" if size == overview.customers else "explained customer")
    whose = (
        f"one of {sampled:,} of {of_all}, drawn by lot" if sampled < size else f"one of {of_all}"
    )
    return (
        f"Each dot is {whose}. To the right a feature raises the prediction, to the left it "
        f"lowers it: “{plain(first.feature.label, 60)}” raises it for {percent(up)} of them."
    )


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
        found.append(
            Points(
                catalog.find(feature),
                value[own],
                attribution[own],
                float(typical.min()) if len(typical) else float("nan"),
            )
        )
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
