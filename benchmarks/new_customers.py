"""How well new customers are scored: a fifth of a shop's customers is made new, then told apart.

    .venv/bin/python benchmarks/new_customers.py cdnow.duckdb --as-of 1997-12-01

The database is as `cva load` leaves it. The lives of a fifth of the customers known on the date,
picked by hash, are moved forward in time until they begin 1 to a horizon of days (by hash) before
the date: with the first order, or with `--cut none` with the sign-up in `customers`. Of them those
are looked at who had not come (back) by the date: what the shop knows of them is what it knows of
somebody new, and what they did next is the truth. They leave no trace in the past that is learned
from. The truth comes from other seasons than the horizon's; the group's bias has that as well.

With `--in-place` nothing is moved: what that fifth bought between the first day and the date is
deleted. They look like customers who never came back, and teach that at past dates. So this is of
customers whose history was lost, not of new ones.

Printed for those cut back, for the shop's own new customers and for all others: D2 (1 − Tweedie
deviance / that of the group's own mean afterwards), bias, the share at or below p90 where p90 is
above 0, and the slope of the probability to buy (1 is calibrated).
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train.examples import EVALUATE_SCHEMA, build_examples, read_history
from cva_sql.models_onnx.value.data.cutoffs import Plan, plan_cutoffs
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.judging import metrics
from cva_sql.models_onnx.value.training.fit import fit_model

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SHARE = 0.2  # of the customers known on the date
TABLES = ("orders", "order_items", "products", "customers", "returns", "reviews")
STARTS = {
    "first": "select customer_id, cast(min(ordered_at) as date) as start "
    "from whole.raw.orders where amount > 0 group by all",
    "none": "select customer_id, cast(min(signed_up_at) as date) as start "
    "from whole.raw.customers group by all",
}
# One row per customer made new: a fifth of those known on the date whose life began early enough.
PICKED = """
    create table picked as
    with starts as ({starts}),
    drawn as (
        select *, $day - (1 + cast(hash(customer_id || '/age') % $horizon as integer)) as moved_to
        from starts where start < $day and customer_id is not null
    )
    select customer_id, start, cast(if($in_place, 0, moved_to - start) as integer) as shift
    from drawn where ($in_place or moved_to >= start) and start >= $since
    order by hash(customer_id || '/picked'), customer_id
    limit cast($share * (select count(*) from drawn) as bigint)
"""
# Their orders before the date, after those of the first day where that is kept.
SEEN = """
    from whole.raw.orders inner join picked using (customer_id)
    where cast(ordered_at as date) + shift < $day
        and ({is_none} or cast(ordered_at as date) > start)
"""


@dataclass(frozen=True)
class Shop:
    """A shop of whose `picked` customers those `cut_back` are new on the date of the plan."""

    data: Dataset
    plan: Plan
    cut_back: frozenset[str]
    picked: frozenset[str]


def make_shop(
    whole: Path, db: Path, day: date, since: date, horizon: int, cut: str, in_place: bool
) -> Shop:
    """The shop with customers made new, trained on nothing yet; see the module."""
    import duckdb

    values = {"day": day, "horizon": horizon, "in_place": in_place, "share": SHARE, "since": since}
    end = day + timedelta(days=horizon)
    seen = SEEN.format(is_none=cut == "none")
    with duckdb.connect(str(db)) as con:
        con.execute(f"attach '{whole}' as whole (read_only)").fetchall()
        con.execute("create schema raw").fetchall()
        con.execute(PICKED.format(starts=STARTS[cut]), values).fetchall()
        for (table,) in con.execute(
            "select table_name from duckdb_tables() where database_name = 'whole' "
            "and schema_name = 'raw' and list_contains($tables, table_name)",
            {"tables": list(TABLES)},
        ).fetchall():
            con.execute(f"create table raw.{table} as from whole.raw.{table}").fetchall()
        if in_place:
            con.execute(
                f"delete from raw.orders where order_id in (select order_id {seen})", {"day": day}
            ).fetchall()
        else:
            _move(con)
        con.execute("delete from raw.orders where ordered_at >= $end", {"end": end}).fetchall()
        con.execute(  # an order of nobody else's ends the shop after the horizon
            "insert into raw.orders by name select * replace ('last' as order_id, "
            "'nobody else' as customer_id, cast($end as timestamp) as ordered_at) "
            "from raw.orders limit 1",
            {"end": end},
        ).fetchall()
        back = f"customer_id in (select customer_id {seen})"
        ids = con.execute(
            f"select cast(customer_id as varchar), not $in_place and {back} from picked",
            {"day": day, "in_place": in_place},
        ).fetchall()
        con.execute("drop table picked").fetchall()
    data, plan = read_examples(db, day, horizon)
    cut_back = frozenset(customer for customer, is_back in ids if not is_back)
    return Shop(data, plan, cut_back, frozenset(customer for customer, _ in ids))


def _move(con: DuckDBPyConnection) -> None:
    """Every time in a picked customer's rows, by as many days."""
    columns = con.execute(
        "select table_name, column_name from duckdb_columns() where database_name != 'whole' and "
        "schema_name = 'raw' and (data_type like 'TIMESTAMP%' or data_type = 'DATE') and "
        "table_name in (select table_name from duckdb_columns() where database_name != 'whole' "
        "and schema_name = 'raw' and column_name = 'customer_id')"
    ).fetchall()
    for table, column in columns:
        con.execute(
            f"update raw.{table} set {column} = {column} + to_days(cast(shift as integer)) "
            f"from picked where picked.customer_id = {table}.customer_id"
        ).fetchall()


def read_examples(db: Path, day: date, horizon: int) -> tuple[Dataset, Plan]:
    """The examples of a shop for training as of the day, with what came after it."""
    shop = ResolvedShop(db, db.parent / "models", {"cva_horizon_days": horizon})
    history = read_history(shop, EVALUATE_SCHEMA)
    plan = plan_cutoffs(history.first_order, day, horizon)
    if plan is None:
        raise SystemExit(f"{db}: refused, the history is too short")
    wanted = [(cutoff, plan.label_days) for cutoff in plan.cutoffs] + [(day, horizon)]
    data = build_examples(shop, wanted, EVALUATE_SCHEMA, scored_on=[day], max_rows=300_000)
    return data, plan


def groups(test: Dataset, shop: Shop, cut: str) -> dict[str, NDArray[np.bool_]]:
    """Group -> its rows."""
    ids = test.customer_id.astype(str)
    is_picked = np.isin(ids, sorted(shop.picked))
    orders = test.numbers["order_days_count"]
    is_new = orders == 0
    if cut == "first":
        is_new = (orders == 1) & (test.numbers["t_days"] <= shop.plan.horizon_days)
    return {
        "cut back": np.isin(ids, sorted(shop.cut_back)),
        "its own new": is_new & ~is_picked,
        "all others": ~is_new & ~is_picked,
    }


def describe(shop: Shop, cut: str) -> list[str]:
    """What came of each group."""
    day, horizon = shop.plan.as_of, shop.plan.horizon_days
    test = shop.data.at([day], horizon)
    fitting = fit_model(shop.data, shop.plan, lambda _: None)
    if fitting.model is None:
        raise SystemExit(f"{day}: {fitting.choice.reason}")
    told = fitting.model.predict(test)
    lines = [f"{fitting.model.kind} of {day}, {horizon} days, labels of {shop.plan.label_days}"]
    for name, rows in groups(test, shop, cut).items():
        if not rows.any():
            continue
        actual, p90 = test.label_value[rows], told["predicted_value_p90"][rows]
        value, probability = told["predicted_value"][rows], told["purchase_probability"][rows]
        some = p90 > 0
        covered = metrics.quantile_coverage(actual[some], p90[some]) if some.any() else np.nan
        d2, bias = metrics.d2_tweedie(actual, value), metrics.bias(actual, value)
        lines.append(
            f"{name:<12} {rows.sum():7,} rows, {(actual > 0).sum():6,} bought  D2 {d2:6.3f}  "
            f"bias {bias:6.2f}  p90 covers {covered:.3f} of {some.sum():,}  "
            f"slope {metrics.calibration_slope(actual, probability):.2f}"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("shop", type=Path, help="A database with raw.orders.")
    parser.add_argument("--as-of", type=date.fromisoformat, required=True)
    parser.add_argument("--horizon-days", type=int, default=90)
    parser.add_argument("--cut", choices=[*STARTS], default="first", help="Back to what.")
    parser.add_argument(
        "--since",
        type=date.fromisoformat,
        default=date.min,
        help="Make new only who began since then: where a record begins, old customers look new.",
    )
    parser.add_argument("--in-place", action="store_true", help="Delete orders, move nothing.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        db = Path(name) / "shop.duckdb"
        asked = given.as_of, given.since, given.horizon_days, given.cut, given.in_place
        shop = make_shop(given.shop, db, *asked)
        print("\n".join(describe(shop, given.cut)), flush=True)


if __name__ == "__main__":
    main()
