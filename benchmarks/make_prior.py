"""Makes the packaged priors over shops: what buy till you die looks like where it was fitted.

    .venv/bin/python benchmarks/make_prior.py cdnow.duckdb retail.duckdb \\
        --out models_onnx/artefacts/shops/prior.json

Each database is one shop, as `cva load` leaves it. It counts once, as the mean of fits after 150,
240 and 330 days of its history. Beside the shops stand six simulated ones: fashion, regular buyers,
subscriptions, groceries, a wholesaler and gifts. Of each log parameter the mean and the standard
deviation over all of them is written, widened by √(1 + 1/shops) for how few they are. To judge the
prior on a shop, make it without that shop.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.estimators.btyd import YEAR, fit_dropout
from cva_sql.models_onnx.value.estimators.gamma_gamma import fit_spend

Floats = NDArray[np.float64]
Draw = Callable[[], float]

DAYS_OF_HISTORY = (150, 240, 330)
LEAST_DEVIATION = 0.2  # no log parameter is known better of a shop that nobody has seen
SIMULATED_CUSTOMERS, SIMULATED_DAYS, SEED = 3_000, 365, 7
NAMES = {
    "dropout": ("log r", "log rate a year", "log a", "log b"),
    "spend": ("log p", "log q", "log mean spend over the shop's"),
}
HISTORY = """
    with days as (
        select customer_id, cast(ordered_at as date) as day, sum(amount) as amount
        from raw.orders
        where amount > 0 and customer_id is not null and cast(ordered_at as date) < $day
        group by all
    )
    select
        cast(count(*) - 1 as double) as x,
        cast(max(day) - min(day) as double) as t_x,
        cast($day - min(day) as double) as age,
        cast(count(*) as double) as n,
        cast(avg(amount) as double) as mean
    from days group by customer_id order by customer_id
"""


@dataclass(frozen=True)
class Kind:
    """A kind of customers: each draws a gap in days, a chance to stop after an order, a spend."""

    gap: Callable[[np.random.Generator], Draw]
    stops: Callable[[np.random.Generator], float]
    spend: Callable[[np.random.Generator], Draw]


def gaps(shape: float, least: float, most: float) -> Callable[[np.random.Generator], Draw]:
    """Gamma gaps of a shape, their means spread evenly in logs; shape 1 is a Poisson stream."""

    def customer(random: np.random.Generator) -> Draw:
        mean = float(np.exp(random.uniform(np.log(least), np.log(most))))
        return lambda: float(random.gamma(shape, mean / shape))

    return customer


def spends(between: float, shape: float) -> Callable[[np.random.Generator], Draw]:
    """Gamma spend around a customer's mean, which is log-normal with this deviation."""

    def customer(random: np.random.Generator) -> Draw:
        mean = float(np.exp(random.normal(0, between)))
        return lambda: float(random.gamma(shape, mean / shape))

    return customer


def beta(a: float, b: float) -> Callable[[np.random.Generator], float]:
    """The chance to stop, drawn anew for each customer."""
    return lambda random: float(random.beta(a, b))


KINDS = {
    "fashion": Kind(gaps(1, 40, 600), beta(1, 4), spends(0.5, 4)),
    "regular": Kind(gaps(3, 30, 200), beta(1, 6), spends(0.5, 4)),
    "subscriptions": Kind(lambda _: lambda: YEAR / 12, lambda _: 0.06, spends(0.2, 1000)),
    "groceries": Kind(gaps(2, 5, 14), beta(1, 40), spends(0.4, 6)),
    "wholesale": Kind(gaps(1, 10, 60), beta(1, 60), spends(1.2, 2)),
    "gifts": Kind(gaps(1, 200, 2000), beta(1, 2), spends(0.3, 4)),
}


def simulate(kind: Kind) -> tuple[Floats, ...]:
    """(x, t_x, T, purchase days, mean spend) of customers who came at any time of a year."""
    random = np.random.default_rng(SEED)
    rows = []
    for _ in range(SIMULATED_CUSTOMERS):
        start = random.uniform(0, SIMULATED_DAYS)
        gap, stops, spend = kind.gap(random), kind.stops(random), kind.spend(random)
        times, time = [0.0], 0.0
        while random.random() >= stops:
            time += gap()
            if start + time >= SIMULATED_DAYS:
                break
            times.append(time)
        days = np.unique(np.floor(times))
        mean = float(np.mean([spend() for _ in days]))
        rows.append((len(days) - 1, days[-1], np.floor(SIMULATED_DAYS - start), len(days), mean))
    return tuple(np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))


def read_shop(db: Path) -> list[tuple[Floats, ...]]:
    """The same of a loaded shop, after each of DAYS_OF_HISTORY."""
    import duckdb

    with duckdb.connect(str(db), read_only=True) as con:
        found = []
        for days in DAYS_OF_HISTORY:
            until = con.execute(
                f"select cast(min(ordered_at) as date) + {days} from raw.orders"
            ).fetchall()[0][0]
            rows = con.execute(HISTORY, {"day": until}).fetchnumpy()
            found.append(tuple(rows[name] for name in ("x", "t_x", "age", "n", "mean")))
    return found


def logs(x: Floats, t_x: Floats, age: Floats, n: Floats, mean: Floats) -> dict[str, Floats]:
    """The log parameters of a shop by half, in the order of NAMES."""
    dropout, spend = fit_dropout(x, t_x, age), fit_spend(n, mean)
    rate = YEAR * dropout.r / dropout.alpha
    population = spend.p * spend.v / (spend.q - 1)
    return {
        "dropout": np.log([dropout.r, rate, dropout.a, dropout.b]),
        "spend": np.log([spend.p, spend.q, population / mean.mean()]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shops", type=Path, nargs="*", help="Databases with raw.orders.")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    of_shops = [[logs(*simulate(kind))] for kind in KINDS.values()]
    of_shops += [[logs(*rows) for rows in read_shop(db)] for db in arguments.shops]
    widened = float(np.sqrt(1 + 1 / len(of_shops)))
    found = {}
    for half, names in NAMES.items():
        each = np.array([np.mean([fit[half] for fit in fits], axis=0) for fits in of_shops])
        deviation = np.maximum(each.std(axis=0, ddof=1) * widened, LEAST_DEVIATION)
        found[half] = {
            name: {"mean": round(float(each[:, k].mean()), 3), "deviation": round(float(d), 3)}
            for k, (name, d) in enumerate(zip(names, deviation, strict=True))
        }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(arguments.out.read_text(encoding="utf-8"), end="")


if __name__ == "__main__":
    main()
