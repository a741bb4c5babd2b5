"""How much money alerts catch, beside rules: at capacities a quarter, on past dates.

    .venv/bin/python benchmarks/alerts.py retail/shop.duckdb --as-of 2011-03-01 --as-of 2011-06-01

The database is as `cva load` leaves it. On each date a shop of what was known before it is trained
and run, as `cva train` and `cva run` do; `churn_alerts` names whom it would. Money caught is the
sum of max(0, usual - spend in the horizon) over those named, usual the spend of the last 365 days,
by the day. The rules name those with the most past spend first. Precision is the share of those
named who bought nothing in the horizon. Recall is the share named of those who bought nothing, of
the customers of the last 365 days. Intervals are 95 % bootstraps of paired differences over
customers, the mean over the dates. A date takes about a minute.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.cli.run.build import run_shop
from cva_sql.cli.shop.lock import exclusive
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.cli.train.training import train_shop

HORIZON = 90
CAPACITIES = (50, 200, 1000)
REPLICATES = 2000
OURS = "churn_alerts"
CUSTOMERS = f"""
    select value.customer_id, features.spend_365d * {HORIZON} / 365 as usual,
        coalesce(came.spend, 0) as spend, features.historic_value as past_spend,
        features.days_since_last_order as days_since, features.gap_mean_days as gap,
        value.churn_probability as churn, coalesce(alert.money_at_stake, 0) as at_stake
    from customer_value as value
    join customer_features as features using (customer_id, as_of_date)
    left join churn_alerts as alert using (customer_id)
    left join (
        select customer_id, cast(sum(amount) as double) as spend from whole.raw.orders
        where ordered_at >= $day and ordered_at < $end group by customer_id
    ) as came using (customer_id)
    order by value.customer_id
"""


@dataclass(frozen=True)
class Seen:
    """A date: the customers, what each fell short of the usual, who bought nothing, the rankings.

    A ranking has the places of customers, those to alert first; it ends where nobody is left.
    """

    customer_ids: NDArray[Any]
    shortfall: NDArray[np.float64]
    has_left: NDArray[np.bool_]
    rankings: dict[str, NDArray[np.int64]]

    def named(self, name: str, capacity: int) -> NDArray[np.int64]:
        return self.rankings[name][:capacity]


def look(whole: Path, day: date) -> Seen:
    """Trains and runs a shop of the orders before the day."""
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "shop.duckdb"
        with duckdb.connect(str(db)) as con:
            con.execute(f"attach '{whole}' as whole (read_only)").fetchall()
            con.execute("create schema raw").fetchall()
            con.execute(
                "create table raw.orders as from whole.raw.orders where ordered_at < $day",
                {"day": day},
            ).fetchall()
        variables = {"cva_alerts_per_week": max(CAPACITIES)}
        shop = open_shop(db, as_of=day.isoformat(), horizon_days=HORIZON, variables=variables)
        with exclusive(shop):
            train_shop(shop)
            run_shop(shop)
        with duckdb.connect(str(db), read_only=True) as con:
            con.execute(f"attach '{whole}' as whole (read_only)").fetchall()
            end = day + timedelta(days=HORIZON)
            found = con.execute(CUSTOMERS, {"day": day, "end": end}).fetchnumpy()
    return ranked({name: np.ma.filled(column, np.nan) for name, column in found.items()})


def ranked(rows: dict[str, NDArray[Any]]) -> Seen:
    """Whom each way would alert, by what was known on the date."""
    past, usual = rows["past_spend"], rows["usual"]

    def by(value: NDArray[np.float64], is_named: NDArray[np.bool_]) -> NDArray[np.int64]:
        order = np.argsort(-value, kind="stable")
        return order[is_named[order]]

    everyone = usual > 0
    with np.errstate(invalid="ignore"):  # who has no gap is not overdue
        is_overdue = rows["days_since"] > 2 * rows["gap"]
    rankings = {
        OURS: by(rows["at_stake"], rows["at_stake"] > 0),
        "no order in 90 days": by(past, rows["days_since"] >= 90),
        "overdue by mean gap x 2": by(past, is_overdue),
        "churn probability": by(rows["churn"], everyone),
        "churn probability x usual": by(rows["churn"] * usual, everyone),
    }
    shortfall = np.maximum(0, usual - rows["spend"])
    return Seen(rows["customer_id"], shortfall, everyone & (rows["spend"] == 0), rankings)


def caught(seen: list[Seen], name: str, capacity: int) -> list[float]:
    """Money caught, by date."""
    return [float(one.shortfall[one.named(name, capacity)].sum()) for one in seen]


def paired(seen: list[Seen], other: str, capacity: int) -> NDArray[np.float64]:
    """Ours less another's money caught, mean over the dates: lower end, upper end.

    A customer is drawn with all dates at once, as what they do on one tells of the next.
    """
    ids = np.unique(np.concatenate([one.customer_ids for one in seen]).astype(str))
    difference = np.zeros(len(ids))
    for one in seen:
        place = np.searchsorted(ids, one.customer_ids.astype(str))
        for name, sign in ((OURS, 1), (other, -1)):
            named = one.named(name, capacity)
            np.add.at(difference, place[named], sign * one.shortfall[named] / len(seen))
    draws = np.random.default_rng(7)
    sums = [difference[draws.integers(0, len(ids), len(ids))].sum() for _ in range(REPLICATES)]
    return np.quantile(sums, (0.025, 0.975))


def describe(seen: list[Seen], capacity: int) -> list[str]:
    """The lines of a capacity."""
    lines = [f"{capacity:,} alerts a quarter"]
    for name in seen[0].rankings:
        money = caught(seen, name, capacity)
        hits = [one.has_left[one.named(name, capacity)] for one in seen]
        precision = np.mean([hit.mean() for hit in hits])
        recall = np.mean(
            [hit.sum() / one.has_left.sum() for hit, one in zip(hits, seen, strict=True)]
        )
        line = (
            f"  {name:<27}{np.mean(money):>11,.0f}  precision {precision:.2f}  recall {recall:.3f}"
        )
        if name != OURS:
            lower, upper = paired(seen, name, capacity)
            ours = np.mean(caught(seen, OURS, capacity)) - np.mean(money)
            line += f"  ours less it {ours:+,.0f} ({lower:+,.0f} to {upper:+,.0f})"
        lines.append(line)
        lines.append(f"{'':29}by date {'  '.join(f'{one:,.0f}' for one in money)}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shop", type=Path, help="A database with raw.orders.")
    parser.add_argument("--as-of", type=date.fromisoformat, action="append", required=True)
    given = parser.parse_args()
    seen = [look(given.shop.resolve(), day) for day in given.as_of]
    for capacity in CAPACITIES:
        print("\n".join(describe(seen, capacity)), flush=True)


if __name__ == "__main__":
    main()
