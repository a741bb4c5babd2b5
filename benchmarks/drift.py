"""False alarms of the drift gate: a shop's own months, in which nothing went wrong.

For a model made on each first of a month, the customers one to six months later are held against
it as cva_drift does. Features of all dates are built at once, so nothing is trained; what an input
matters is taken from the last `cva run` of the shop. Then the same with a fault in the orders:
amounts in cents, half of the orders lost, a third of them under one customer, each of them twice.

    python benchmarks/drift.py retail/shop.duckdb --from 2010-09-01 --to 2011-12-01
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from cva_sql.cli.check_features.check import copied
from cva_sql.cli.shop.connection import connect
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train.examples import build_examples, read_history
from cva_sql.models_onnx.value.data.cutoffs import plan_cutoffs
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.training.distributions import described, is_the_shops
from cva_sql.udfs.distributions import METRICS, number_bins, shares_of, text_bins

SCHEMA = "cva_drift_months"
VARS = {"psi": "cva_drift_psi_threshold", "l_infinity": "cva_drift_l_infinity_threshold"}
VARS["jensen_shannon"] = "cva_drift_jensen_shannon_threshold"
MULTIPLE = 1.5  # as the macro usual_multiple
AGES = range(1, 7)  # months
FAULTS = {  # what went wrong with the orders -> the table that came of it
    "cents": "select * replace (amount * 100 as amount) from {}.{}",
    "half_lost": "select * from {}.{} where hash(order_id) % 2 = 0",
    "one_customer": "select * replace (case when hash(order_id) % 3 = 0 then 'guest' "
    "else customer_id end as customer_id) from {}.{}",
    "twice": "select * from {0}.{1} union all select * replace (order_id || '-2' as order_id, "
    "ordered_at + interval 1 day as ordered_at) from {0}.{1}",
}


def months(first: date, last: date) -> list[date]:
    """The firsts of months from one to another."""
    found, day = [], first.replace(day=1)
    while day <= last:
        found.append(day)
        day = (day + timedelta(days=32)).replace(day=1)
    return found


def reference(rows: Mapping[date, Dataset], dates: Sequence[date]) -> list[dict[str, Any]]:
    """What a manifest says of a model made on the first date from the others."""
    found = []
    now = rows[dates[0]]
    for kind, names in (("number", now.numbers), ("category", now.categories)):
        for name in names:
            columns = [column(rows[day], name, kind) for day in dates]
            if not is_the_shops(columns):
                found.append(described(name, kind, kind, columns))
    return found


def column(rows: Dataset, name: str, kind: str) -> Any:
    return (rows.categories if kind == "category" else rows.numbers)[name]


def moved(
    shop: ResolvedShop, inputs: Sequence[Mapping[str, Any]], rows: Dataset, size: int
) -> Iterator[str]:
    """The inputs that cva_drift calls anomalies."""
    for one in inputs:
        values = column(rows, one["name"], one["kind"])
        if one["kind"] == "category":
            bins = text_bins(values, one["texts"])
        else:
            bins = number_bins(values, one["edges"])
        expected = np.array(one["shares"])
        actual = shares_of(bins, len(expected) - 1)
        sampling = 1 / len(rows) + 1 / size
        k = len(expected) - 1
        psi = k * (1 - 2 / (9 * k) + 3.09 * (2 / (9 * k)) ** 0.5) ** 3 * sampling
        noise = {"psi": psi, "jensen_shannon": psi / (8 * np.log(2))}
        noise["l_infinity"] = 3.09 * 0.5 * sampling**0.5
        for metric, usual in one["usual"].items():
            limit = max(float(shop.var(VARS[metric])), MULTIPLE * usual) + noise[metric]
            if METRICS[metric](expected, actual) > limit:
                yield one["name"]
                break


def importances(shop: ResolvedShop) -> dict[str, float]:
    """Feature -> its share of what the deployed model looks at, as the last run has it."""
    con = connect(shop.db, read_only=True)
    try:
        found = dict(
            con.execute(
                "select feature, mean_absolute_attribution from "
                f"{shop.schema}.cva_feature_importance where level = 'feature'"
            ).fetchall()
        )
    finally:
        con.close()
    total = sum(found.values())
    return {name: value / total for name, value in found.items()}


def built(shop: ResolvedShop, dates: set[date]) -> dict[date, Dataset]:
    """The rows of each date, as training sees them."""
    pairs = [(day, 1) for day in dates]
    data = build_examples(shop, pairs, SCHEMA, scored_on=[], max_rows=10_000_000)
    return {day: data.seen_from(day) for day in dates}


def harmed(shop: ResolvedShop, fault: str) -> ResolvedShop:
    """The shop with a fault in its orders."""
    schema, table = shop.raw_table("orders")
    con = connect(shop.db)
    try:
        con.execute(f"create table {schema}.{fault} as {FAULTS[fault].format(schema, table)}")
    finally:
        con.close()
    return replace(shop, vars={**shop.vars, "cva_orders_identifier": fault})


def held(
    shop: ResolvedShop,
    references: Mapping[date, tuple[list[dict[str, Any]], int]],
    rows: Mapping[date, Dataset],
    title: str,
    weights: Mapping[str, float],
) -> None:
    """Holds the months of `rows` against the models of before, and prints what has moved."""
    pairs = alarms = anomalies = compared = 0
    for day, (inputs, size) in references.items():
        for age in AGES:
            later = (day.replace(day=1) + timedelta(days=31 * age)).replace(day=1)
            if later not in rows:
                continue
            found = list(moved(shop, inputs, rows[later], size))
            share = sum(weights[name] for name in found)
            is_alarm = share >= float(shop.var("cva_drift_blocking_share"))
            pairs, alarms = pairs + 1, alarms + is_alarm
            anomalies, compared = anomalies + len(found), compared + len(inputs)
    print(
        f"{title:<12}{alarms:>4} of {pairs} months stopped, "
        f"{anomalies / max(1, compared):.1%} of inputs beyond a threshold"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("db", type=Path)
    parser.add_argument("--from", dest="first", type=date.fromisoformat, required=True)
    parser.add_argument("--to", dest="last", type=date.fromisoformat, required=True)
    given = parser.parse_args()
    shop = open_shop(given.db)
    weights = importances(shop)
    made = months(given.first, given.last)
    with copied(replace(shop, vars={**shop.vars, "cva_as_of": given.last.isoformat()})) as copy:
        first_order = read_history(copy, SCHEMA).first_order
        plans = {day: plan_cutoffs(first_order, day, shop.horizon_days) for day in made}
        learned = {day: plan.cutoffs for day, plan in plans.items() if plan}
        rows = built(copy, {*made, *(day for days in learned.values() for day in days)})
        references = {}
        for day, cutoffs in learned.items():
            inputs = reference(rows, [day, *cutoffs])
            used = [one for one in inputs if one["name"] in weights]
            references[day] = (used, len(rows[day]))
        held(shop, references, {day: rows[day] for day in made}, "as it was", weights)
        for fault in FAULTS:
            held(shop, references, built(harmed(copy, fault), {*made}), fault, weights)


if __name__ == "__main__":
    main()
