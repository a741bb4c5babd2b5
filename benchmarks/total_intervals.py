"""How often does a segment's total lie within its interval? Simulated shops, and real ones.

    .venv/bin/python benchmarks/total_intervals.py --shops 200
    .venv/bin/python benchmarks/total_intervals.py --shops 200 --moving
    .venv/bin/python benchmarks/total_intervals.py --shop retail/shop.duckdb

A simulated shop wins customers for two years, each a Poisson stream who may leave after any order
(MBG/NBD), with gamma-distributed orders. With `--moving` orders and new customers also follow a
season, a level that walks at random, and a growth, all drawn. Each is trained as of the end of the
second year and compared with what comes in the 90 days after it. A real shop (as `cva load` leaves
it) is trained as of every start of a month that leaves 90 days to compare with. The totals of
`cva_totals` are made here by the same formula, without a run: `--agree` asserts so on one shop.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from unittest.mock import patch

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from shop import live

from cva_sql import Shop
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train.examples import EVALUATE_SCHEMA, build_examples
from cva_sql.models_onnx.value.data.cutoffs import Plan, plan_cutoffs
from cva_sql.models_onnx.value.data.shop_past import ShopPast
from cva_sql.models_onnx.value.total.forecast import TotalForecast
from cva_sql.models_onnx.value.total.windows import PastWindow
from cva_sql.models_onnx.value.training.fit import fit_model

START, DAYS, HORIZON = date(2020, 1, 1), 730, 90
TIERS = ("high", "medium", "low")
SHARES = (0.2, 0.3)  # of the customers, as cva_tier_shares
EVERYBODY = "all"
NORMAL_90 = 1.281552
RUN_DBT = "cva_sql.cli.train.examples.run_dbt"
OF_ORDERS = (  # tables that change with raw.orders, in order; views see it by themselves
    "intermediate/int_cva__duplicate_orders",
    "intermediate/int_cva__as_of_dates",
    "intermediate/int_cva__spine",
    "features/customer_features",
    "training/cva_training_examples",
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A shop on a date: what its customers were predicted to spend and spent, each (customers,).

    `dispersion` is φ, `forecast` that of the total; `plan`, `shop` and `windows` made it.
    """

    predicted: Floats
    actual: Floats
    dispersion: float
    forecast: TotalForecast
    plan: Plan
    shop: ShopPast
    windows: dict[date, PastWindow]


def still(rng: np.random.Generator) -> Floats:
    """The level of orders on each day: always the same."""
    return np.ones(DAYS + HORIZON)


def moving(rng: np.random.Generator) -> Floats:
    """A season, a random walk of 3 to 8 % a month, and a growth a year."""
    days = np.arange(DAYS + HORIZON)
    season = rng.uniform(0, 0.4) * np.sin(2 * np.pi * (days / 365 - rng.uniform()))
    step = rng.uniform(0.03, 0.08) / math.sqrt(30)
    walk = np.cumsum(rng.normal(0, step, len(days)))
    return np.asarray(np.exp(season + walk + rng.uniform(-0.2, 0.4) * days / 365))


def simulate(customers: int, seed: int, *, is_moving: bool) -> pa.Table:
    """The orders up to the end of the horizon; a level of 2 makes a day as long as two."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(0.8, 1 / rng.uniform(25, 60), customers)
    leaving = rng.beta(1.0, rng.uniform(3, 6), customers)
    mean = rng.gamma(3.0, 15.0, customers)
    clock = np.concatenate([[0.0], np.cumsum((moving if is_moving else still)(rng))])
    ids, when = live(rng, rate, leaving, rng.uniform(0, clock[DAYS], customers), clock[-1])
    days = np.interp(when, clock, np.arange(len(clock))).astype(int)
    amount = np.maximum(rng.gamma(4.0, mean[ids] / 4.0).round(2), 0.01)
    return pa.table({"id": np.arange(len(ids)), "who": ids, "day": days, "amount": amount})


def write(db: Path, orders: pa.Table) -> None:
    """raw.orders, and an order of nobody else's that ends it after the horizon."""
    with duckdb.connect(str(db)) as con:
        con.register("found", orders)
        con.execute("create schema if not exists raw").fetchall()
        con.execute(
            "create or replace table raw.orders as select id::varchar as order_id, "
            "'c' || who as customer_id, $start + day::integer as ordered_at, "
            "amount::decimal(18, 4) as amount from found union all select 'last', 'nobody else', "
            "$start + $end, 1",
            {"start": START, "end": DAYS + HORIZON},
        ).fetchall()


def first_and_last(db: Path) -> tuple[date, date]:
    with duckdb.connect(str(db), read_only=True) as con:
        found = con.execute(
            "select min(ordered_at)::date, max(ordered_at)::date from raw.orders"
        ).fetchall()
    return found[0][0], found[0][1]


def rerun(shop: ResolvedShop, *_: object, **__: object) -> tuple[str, ...]:
    """What dbt compiled for the shop before, run again: a second in place of four."""
    compiled = shop.target_dir(EVALUATE_SCHEMA, "training") / "compiled" / "cva" / "models"
    with duckdb.connect(str(shop.db)) as con:
        for table in OF_ORDERS:
            schema = EVALUATE_SCHEMA + ("_cva" if "/int_cva__" in table else "")
            sql = (compiled / f"{table}.sql").read_text()
            con.execute(
                f"create or replace table {schema}.{table.split('/')[1]} as {sql}"
            ).fetchall()
    return ()


def look(db: Path, day: date) -> Case | None:
    """The shop trained as of the day; None where that gave no interval of a total: a rule won."""
    shop = ResolvedShop(db, db.parent / "models", {"cva_horizon_days": HORIZON})
    plan = plan_cutoffs(first_and_last(db)[0], day, HORIZON)
    if plan is None:
        return None
    wanted = [(cutoff, plan.label_days) for cutoff in plan.cutoffs] + [(day, HORIZON)]
    data = build_examples(shop, wanted, EVALUATE_SCHEMA, scored_on=[day], max_rows=300_000)
    fitting = fit_model(data, plan, lambda _: None)
    if fitting.model is None or not fitting.choice.has_won:
        return None
    test, learning = data.at([day], HORIZON), fitting.learning
    dispersion = fitting.model.growth["dispersion"]
    if dispersion is None:
        return None
    return Case(
        fitting.model.predict(test)["predicted_value"],
        test.label_value,
        dispersion,
        fitting.model.forecast,
        plan,
        learning.shop,
        dict(learning.windows),
    )


def tiers(predicted: Floats) -> dict[str, NDArray[np.bool_]]:
    """Who is in each tier, and everybody."""
    place = np.argsort(np.argsort(-predicted, kind="stable"))
    ends = np.ceil(np.cumsum([0, *SHARES, 1 - sum(SHARES)]) * len(predicted) - 1e-9)
    found = {tier: (place >= ends[k]) & (place < ends[k + 1]) for k, tier in enumerate(TIERS)}
    return {**found, EVERYBODY: np.ones(len(predicted), bool)}


def log_deviations(predicted: Floats, dispersion: float, deviation: float) -> tuple[float, float]:
    """(standard deviation of the log of a total, that by the luck of customers alone)."""
    total = float(predicted.sum())
    luck = dispersion * float((predicted**1.5).sum()) / total**2
    return math.sqrt(math.log(1 + luck + math.expm1(deviation**2))), math.sqrt(math.log1p(luck))


def interval(predicted: Floats, dispersion: float, deviation: float) -> tuple[float, float]:
    """p10 and p90 of a total as in `cva_totals`."""
    s = log_deviations(predicted, dispersion, deviation)[0]
    low, high = (math.exp(z * s - s * s / 2) for z in (-NORMAL_90, NORMAL_90))
    return float(predicted.sum()) * low, float(predicted.sum()) * high


def describe(cases: Sequence[Case], deviations: Sequence[float]) -> list[str]:
    """By tier: the share within p10 to p90, log errors, and what the interval is made of.

    Last the median of φ as the tier's own customers show it, over that of the shop.
    """
    lines = [
        "segment   within   below   above   log error: mean  deviation   stated: all    luck  total"
        "   phi of it / of all"
    ]
    inside_tiers = []
    for name in (*TIERS, EVERYBODY):
        within, below, above, errors, stated, phi = [], [], [], [], [], []
        for case, deviation in zip(cases, deviations, strict=True):
            who = tiers(case.predicted)[name]
            told, came = case.predicted[who], float(case.actual[who].sum())
            low, high = interval(told, case.dispersion, deviation)
            within.append(low <= came <= high)
            below.append(came < low)
            above.append(came > high)
            errors.append(math.log(max(came, 1e-9) / told.sum()))
            stated.append((*log_deviations(told, case.dispersion, deviation), deviation))
            mean = told * (came / told.sum())
            squares = float(((case.actual[who] - mean) ** 2).sum())
            if came > 0:
                phi.append(squares / float((mean**1.5).sum()) / case.dispersion)
        if name != EVERYBODY:
            inside_tiers += within
        whole, luck, shared = np.sqrt(np.mean(np.square(stated), axis=0))
        lines.append(
            f"{name:<8} {np.mean(within):7.3f} {np.mean(below):7.3f} {np.mean(above):7.3f}"
            f" {np.mean(errors):17.3f} {np.std(errors):10.3f} {whole:13.3f} {luck:7.3f}"
            f" {shared:6.3f} {np.median(phi):20.2f}"
        )
    lines.append(f"tiers within p10 to p90: {sum(inside_tiers)} of {len(inside_tiers)}")
    return lines


def simulated(shops: int, customers: int, *, is_moving: bool) -> Iterator[Case]:
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "shop.duckdb"
        for seed in range(shops):
            write(db, simulate(customers, seed, is_moving=is_moving))
            with patch(RUN_DBT, rerun) if seed else nullcontext():
                case = look(db, START + timedelta(days=DAYS))
            if case is not None:
                yield case


def months(first: date, last: date) -> list[date]:
    """The starts of months after `first` that leave the horizon before `last`."""
    found = [
        date(year, month, 1) for year in range(first.year, last.year + 1) for month in range(1, 13)
    ]
    return [day for day in found if first < day and day + timedelta(days=HORIZON - 1) <= last]


def real(source: Path) -> Iterator[Case]:
    """The shop on each start of a month; it is copied, and left as it is."""
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / source.name
        with duckdb.connect(str(db)) as con:
            con.execute(f"attach '{source}' as whole (read_only)").fetchall()
            con.execute("create schema raw").fetchall()
            con.execute("create table raw.orders as from whole.raw.orders").fetchall()
        for day in months(*first_and_last(db)):
            case = look(db, day)
            if case is not None:
                yield case


def show(case: Case) -> str:
    came, told = float(case.actual.sum()), float(case.predicted.sum())
    low, high = interval(case.predicted, case.dispersion, case.forecast.standard_deviation)
    inside = [
        tier
        for tier, who in tiers(case.predicted).items()
        if tier != EVERYBODY and _is_inside(case, who)
    ]
    return (
        f"{case.plan.as_of}: log error {math.log(came / told):6.3f}, deviation of the total "
        f"{case.forecast.standard_deviation:.3f}, p10 {low / told:.2f} p90 {high / told:.2f}, "
        f"within: {', '.join(inside) or 'none'}"
    )


def _is_inside(case: Case, who: NDArray[np.bool_]) -> bool:
    low, high = interval(case.predicted[who], case.dispersion, case.forecast.standard_deviation)
    return low <= float(case.actual[who].sum()) <= high


def agree(customers: int) -> None:
    """Asserts on one shop that cva_totals says what `interval` does."""
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "shop.duckdb"
        write(db, simulate(customers, 0, is_moving=False))
        shop = Shop(db, as_of=START + timedelta(days=DAYS))
        shop.train()
        shop.run()
        with duckdb.connect(str(db), read_only=True) as con:
            for tier in TIERS:
                told = con.execute(
                    "select predicted_value_p10, predicted_value_p90 from cva_totals(value_tier ="
                    " $tier)",
                    {"tier": tier},
                ).fetchall()[0]
                rows = con.execute(
                    "select cast(value.predicted_value as double), dispersion, total_deviation"
                    " from customer_value as value inner join customer_value_history as history"
                    " using (customer_id) where value.value_tier = $tier",
                    {"tier": tier},
                ).fetchnumpy()
                predicted = np.asarray(next(iter(rows.values())))
                phi, deviation = (float(rows[n][0]) for n in ("dispersion", "total_deviation"))
                assert np.allclose(told, interval(predicted, phi, deviation), rtol=1e-6)
    print("cva_totals says the same")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shops", type=int, default=20)
    parser.add_argument("--customers", type=int, default=2500)
    parser.add_argument("--moving", action="store_true")
    parser.add_argument("--shop", type=Path)
    parser.add_argument("--agree", action="store_true")
    given = parser.parse_args()
    if given.agree:
        return agree(given.customers)
    if given.shop:
        found = real(given.shop)
    else:
        found = simulated(given.shops, given.customers, is_moving=given.moving)
    cases = []
    for case in found:
        cases.append(case)
        if given.shop:
            print(show(case), flush=True)
    deviations = [case.forecast.standard_deviation for case in cases]
    print(f"{len(cases)} shops" if not given.shop else f"{len(cases)} dates")
    print("\n".join(describe(cases, deviations)))
    return None


if __name__ == "__main__":
    main()
