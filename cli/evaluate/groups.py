"""How the model does for each group of customers that the shop knows: an age band, a country."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.connection import connect
from cva_sql.cli.shop.sql_text import quoted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.models_onnx.value.backtesting.backtest import Backtest
    from cva_sql.models_onnx.value.judging.bootstrap import Metric, Sample

FAMILY = "attributes"  # whose categories tell groups apart, model inputs or not
LEAST = 50  # customers on each date: below it a figure says nothing
MOST = 20  # groups of a feature, the largest
GROUP_COLUMNS = {  # name -> (type, comment)
    "as_of_date": ("date", "the past date of the forecast; null for the mean over the dates"),
    "horizon_days": ("integer", "length of the forecast"),
    "feature": ("varchar", "what tells groups apart, e.g. gender"),
    "group_value": ("varchar", "the group; null for customers of whom it is not known"),
    "customers": ("integer", "customers in it, the mean over the dates where there is no date"),
    "metric": ("varchar", "name of the metric, of what scored on that date"),
    "value": ("double", "the metric"),
    "lower": ("double", "lower end of its 95 % bootstrap interval"),
    "upper": ("double", "upper end of its 95 % bootstrap interval"),
}

# feature -> one mapping a date from customer to group, '' where it is not known
Groups = Mapping[str, Sequence[Mapping[str, str]]]


@dataclass(frozen=True)
class GroupMetrics:
    """A group's metrics by name, one dict a date, and their means; `customers` one count a date."""

    feature: str
    value: str
    customers: tuple[int, ...]
    by_date: tuple[dict[str, Metric], ...]
    mean: dict[str, Metric]


def read_groups(shop: ResolvedShop, schema: str, dates: Sequence[date]) -> Groups:
    """The groups of customers on these dates; none of what is known of nobody."""
    con = connect(shop.db, read_only=True)
    try:
        features = [
            name
            for (name,) in con.execute(
                f"select feature from {schema}_cva.cva_feature_catalog "
                f"where family = '{FAMILY}' and kind = 'category' order by feature"
            ).fetchall()
        ]
        columns = "".join(f", coalesce({quoted(name)}, '')" for name in features)
        by_date = [
            con.execute(
                f"select distinct customer_id{columns} from {schema}.cva_training_examples "
                "where as_of_date = ?",
                [day],
            ).fetchall()
            for day in dates
        ]
    finally:
        con.close()
    groups = {
        feature: [{row[0]: row[place] for row in rows} for rows in by_date]
        for place, feature in enumerate(features, start=1)
    }
    return {
        feature: found
        for feature, found in groups.items()
        if any(value for one in found for value in one.values())
    }


def measured(groups: Groups, samples: Sequence[Sample], replicates: int) -> list[GroupMetrics]:
    """The metrics of each group of enough customers, by `samples`, one a date, with customer_id.

    A feature with a single such group is left out: it is compared with nothing.
    """
    import numpy as np

    from cva_sql.models_onnx.value.judging.bootstrap import evaluate_dates

    found = list[GroupMetrics]()
    for feature, by_date in groups.items():
        of_rows = [
            np.array([known.get(str(i), "") for i in _ids(sample)], dtype=object)
            for known, sample in zip(by_date, samples, strict=True)
        ]
        sizes = {
            value: tuple(int((rows == value).sum()) for rows in of_rows)
            for value in sorted({value for rows in of_rows for value in rows.tolist()})
        }
        large = sorted((v for v in sizes if min(sizes[v]) >= LEAST), key=lambda v: -sum(sizes[v]))
        for value in large[:MOST] if len(large) > 1 else []:
            parts = [s.select(rows == value) for s, rows in zip(samples, of_rows, strict=True)]
            dates, mean = evaluate_dates(parts, replicates=replicates)
            found.append(GroupMetrics(feature, value, sizes[value], tuple(dates), mean))
    return found


def _ids(sample: Sample) -> NDArray[Any]:
    assert sample.customer_id is not None
    return sample.customer_id


def group_rows(result: Backtest, groups: Sequence[GroupMetrics]) -> list[dict[str, Any]]:
    """One row per group, date (None for the mean over the dates) and metric."""
    return [
        {
            "as_of_date": day.isoformat() if day else None,
            "horizon_days": result.horizon_days,
            "feature": group.feature,
            "group_value": group.value or None,
            "customers": customers,
            "metric": metric.name,
            "value": metric.value,
            "lower": metric.lower,
            "upper": metric.upper,
        }
        for group in groups
        for day, customers, metrics in [
            *zip(result.dates, group.customers, group.by_date, strict=True),
            (None, round(sum(group.customers) / len(group.customers)), group.mean),
        ]
        for metric in metrics.values()
    ]
