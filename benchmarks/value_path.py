"""Does value over other days come true? Simulated shops with known parameters, and real ones.

    .venv/bin/python benchmarks/value_path.py --shops 6 --customers 8000
    .venv/bin/python benchmarks/value_path.py --shop retail/shop.duckdb --as-of 2010-12-01

A simulated shop wins customers for two years, each a Poisson stream who may leave after any order
(MBG/NBD), with gamma-distributed orders. It is trained and run as of the end of the second year;
then three years go on. Printed per shop: clv over what came, discounted alike, each number of days
of customer_value_path over what came within them, and whether the totals of the tiers lie within
p10 to p90 of cva_totals. A real shop (as `cva load` leaves it) is trained as of the date, on a
copy, and compared with what is on record after it, beside past spend at its rate.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from shop import live

from cva_sql import Shop

START, WON_DAYS, AHEAD_DAYS = date(2020, 1, 1), 730, 1095
TIERS = ("high", "medium", "low")


def simulate(db: Path, customers: int, seed: int) -> None:
    """Writes raw.orders up to the end, and orders to come into table future."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(0.8, 1 / rng.uniform(25, 60), customers)
    leaving = rng.beta(1.0, rng.uniform(3, 6), customers)
    mean = rng.gamma(3.0, 15.0, customers)
    born = rng.integers(0, WON_DAYS, customers).astype(float)
    ids, when = live(rng, rate, leaving, born, WON_DAYS + AHEAD_DAYS)
    days = np.floor(when)
    amount = np.maximum(rng.gamma(4.0, mean[ids] / 4.0).round(2), 0.01)
    orders = {"id": np.arange(len(ids)), "customer": ids, "day": days.astype(int), "amount": amount}
    with duckdb.connect(str(db)) as con:
        con.execute("create schema raw")
        con.register("found", orders_table(orders))
        con.execute(
            "create table every as select id::varchar as order_id, 'c' || customer as customer_id,"
            " date '2020-01-01' + day::integer as ordered_at, amount::decimal(18, 4) as amount,"
            " day from found"
        )
        con.execute(
            f"create table raw.orders as select * exclude (day) from every where day < {WON_DAYS}"
        )
        con.execute(f"create table future as from every where day >= {WON_DAYS}")
        con.execute("drop table every")


def orders_table(orders: dict[str, Any]) -> Any:
    import pyarrow as pa

    return pa.table(orders)


def score(db: Path, as_of: date) -> None:
    shop = Shop(db, as_of=as_of)
    shop.train()
    shop.run()


def compare_paths(con: duckdb.DuckDBPyConnection, as_of: date, last: int) -> dict[int, float]:
    """What was predicted within each number of days over what came, of the known customers."""
    rows = con.execute(
        "select days, sum(predicted_value), (select sum(amount) from future inner join"
        " customer_value using (customer_id) where ordered_at < $day + path.days)"
        " from customer_value_path as path where days <= $last group by days order by days",
        {"day": as_of, "last": last},
    ).fetchall()
    return {days: told / float(came) for days, told, came in rows}


def compare_simulated(db: Path, as_of: date) -> tuple[float, dict[int, float], int]:
    """clv over what came, the path over what came, and how many tiers lie within the interval."""
    with duckdb.connect(str(db), read_only=True) as con:
        clv = con.execute(
            "select (select sum(clv) from customer_value) / sum(amount / power(1.1,"
            " (ordered_at - $day + 0.5) / 365.0)) from future inner join customer_value"
            " using (customer_id)",
            {"day": as_of},
        ).fetchall()[0][0]
        inside = 0
        for tier in TIERS:
            low, high, came = con.execute(
                "select predicted_value_p10, predicted_value_p90, (select sum(amount) from future"
                " inner join customer_value using (customer_id) where value_tier = $tier and"
                " ordered_at < $day + 90) from cva_totals(value_tier = $tier)",
                {"tier": tier, "day": as_of},
            ).fetchall()[0]
            inside += low <= float(came) <= high
        return clv, compare_paths(con, as_of, AHEAD_DAYS), inside


def shown(path: dict[int, float]) -> str:
    return ", ".join(f"{days}: {ratio:.3f}" for days, ratio in path.items())


def run_simulated(shops: int, customers: int) -> None:
    as_of = START + timedelta(days=WON_DAYS)
    ratios, inside = [], 0
    for seed in range(shops):
        with tempfile.TemporaryDirectory() as folder:
            db = Path(folder) / "shop.duckdb"
            simulate(db, customers, seed)
            score(db, as_of)
            clv, path, tiers = compare_simulated(db, as_of)
        ratios.append(clv)
        inside += tiers
        print(f"shop {seed}: clv {clv:.3f}; value within days {shown(path)}", flush=True)
    print(
        f"clv over what came: mean {np.mean(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}; "
        f"tiers within p10 to p90: {inside} of {len(TIERS) * shops}"
    )


def run_real(source: Path, as_of: date) -> None:
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / source.name
        shutil.copyfile(source, db)
        with duckdb.connect(str(db)) as con:
            con.execute(
                "create or replace table future as from raw.orders where ordered_at >= ?", [as_of]
            )
            con.execute("delete from raw.orders where ordered_at >= ?", [as_of])
            last, before = con.execute(
                "select datediff('day', ?, max(ordered_at)), (select sum(amount) from raw.orders"
                " where ordered_at >= ? - 365) from future",
                [as_of, as_of],
            ).fetchall()[0]
        score(db, as_of)
        with duckdb.connect(str(db), read_only=True) as con:
            path = compare_paths(con, as_of, last)
            came = con.execute(
                "select sum(amount) from future inner join customer_value using (customer_id)"
                " where ordered_at < ? + 365",
                [as_of],
            ).fetchall()[0][0]
        print(f"value within days over what came: {shown(path)}")
        if last >= 364:
            print(f"spend of the last 365 days over that of the next: {before / came:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shops", type=int, default=6)
    parser.add_argument("--customers", type=int, default=8000)
    parser.add_argument("--shop", type=Path)
    parser.add_argument("--as-of", type=date.fromisoformat)
    given = parser.parse_args()
    if given.shop:
        run_real(given.shop, given.as_of)
    else:
        run_simulated(given.shops, given.customers)


if __name__ == "__main__":
    main()
