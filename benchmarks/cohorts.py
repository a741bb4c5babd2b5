"""Do forecasts of cohorts come true? cohort_economics beside the chain ladder, on real shops.

    .venv/bin/python benchmarks/cohorts.py retail/shop.duckdb --as-of 2010-12-01 2011-06-01

Each date is the first of a month. A copy of the shop's orders is cut there, trained and run; the
cohorts (months of the first order) are forecast 3 and 6 calendar months ahead, and compared with
what is on record after the date. The rival is the chain ladder over the same triangle, with Mack's
standard error (ASTIN Bulletin 1993): a cohort's cumulative revenue grows by the factors that older
cohorts grew by at that age; past the oldest age the geometric mean of the last three factors goes
on. Both intervals are 80 %, a lognormal of mean and variance. Printed per date and months ahead:
forecast over what came, the sum of absolute errors of the cohorts and the widths of the intervals,
both over what came, and how many cohorts lie within.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from cva_sql import Shop

MONTHS_AHEAD = (3, 6)
TAIL = 3  # factors of the oldest ages, whose mean goes on beyond
Z = 1.281552
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Forecast:
    """Of each cohort, oldest first: what it is expected to bring, and between what."""

    mean: Floats
    low: Floats
    high: Floats


def month_after(day: date, months: int) -> date:
    years, month = divmod(day.month - 1 + months, 12)
    return date(day.year + years, month + 1, 1)


def run_cut(source: Path, db: Path, as_of: date) -> None:
    """A database of the orders before the date, scored; those after it are in table future."""
    with duckdb.connect(str(db)) as con:
        con.execute(f"attach '{source}' as source (read_only)")
        con.execute("create schema raw")
        con.execute(
            "create table raw.orders as from source.raw.orders where ordered_at < ?", [as_of]
        )
        con.execute("create table future as from source.raw.orders where ordered_at >= ?", [as_of])
    days = [(month_after(as_of, months) - as_of).days for months in MONTHS_AHEAD]
    shop = Shop(db, as_of=as_of, vars={"cva_path_days": days})
    shop.train()
    shop.run()


def read_triangle(con: duckdb.DuckDBPyConnection) -> Floats:
    """Cumulative revenue, (cohorts, ages); NaN beyond the date."""
    rows = con.execute(
        "select dense_rank() over (order by first_month) - 1, age_month, cumulative_revenue::double"
        " from cohort_retention where is_complete"
    ).fetchall()
    triangle = np.full((max(r[0] for r in rows) + 1, max(r[1] for r in rows) + 1), np.nan)
    for cohort, age, revenue in rows:
        triangle[cohort, age] = revenue
    return triangle


def age_factors(triangle: Floats) -> tuple[Floats, Floats, Floats]:
    """Per age the factor to the next, Mack's variance of it and the revenue it was seen on."""
    factors, variances, seen = [], [], []
    for age in range(triangle.shape[1] - 1):
        now, then = triangle[:, age], triangle[:, age + 1]
        both = ~np.isnan(then) & (now > 0)
        total = now[both].sum()
        factor = then[both].sum() / total
        if both.sum() > 1:
            spread = (now[both] * (then[both] / now[both] - factor) ** 2).sum() / (both.sum() - 1)
        else:
            former = variances[-2:]
            spread = min(former[1] ** 2 / former[0], *former) if len(former) == 2 else 0.0
        factors.append(factor)
        variances.append(spread)
        seen.append(total)
    return np.array(factors), np.array(variances), np.array(seen)


def lognormal(mean: Floats, variance: Floats) -> Forecast:
    with np.errstate(divide="ignore", invalid="ignore"):
        log_variance = np.nan_to_num(np.log1p(variance / mean**2))
    width = Z * np.sqrt(log_variance)
    middle = mean * np.exp(-log_variance / 2)
    return Forecast(mean, middle * np.exp(-width), middle * np.exp(width))


def chain_ladder(triangle: Floats, months: int) -> Forecast:
    factors, variances, seen = age_factors(triangle)
    tail = float(np.exp(np.log(factors[-TAIL:]).mean()))
    means, spreads = [], []
    for row in triangle:
        age = int(np.flatnonzero(~np.isnan(row))[-1])
        reached, variance = row[age], 0.0
        for at in range(age, age + months):
            factor = factors[at] if at < len(factors) else tail
            place = min(at, len(factors) - 1)
            variance = (
                variance * factor**2
                + reached * variances[place]
                + reached**2 * variances[place] / seen[place]
            )
            reached *= factor
        means.append(reached - row[age])
        spreads.append(variance)
    return lognormal(np.array(means), np.array(spreads))


def cva_forecast(con: duckdb.DuckDBPyConnection, days: int) -> Forecast:
    rows = con.execute(
        "with so_far as (select first_month, max(revenue) as revenue from cohort_economics"
        " where not is_forecast group by 1)"
        " select ahead.revenue - so_far.revenue, revenue_p10 - so_far.revenue,"
        " revenue_p90 - so_far.revenue from cohort_economics as ahead inner join so_far"
        " using (first_month) where days_ahead = ? order by first_month",
        [days],
    ).fetchall()
    # A rule, where nothing is deployed, says no interval.
    found = np.array([[np.nan if cell is None else float(cell) for cell in row] for row in rows])
    return Forecast(found[:, 0], found[:, 1], found[:, 2])


def read_came(con: duckdb.DuckDBPyConnection, until: date) -> Floats:
    rows = con.execute(
        "select first_month, sum(case when ordered_at < ? then amount end)::double"
        " from customer_economics left join future using (customer_id)"
        " where first_month is not null group by 1 order by 1",
        [until],
    ).fetchall()
    return np.array([revenue or 0.0 for _, revenue in rows])


def judged(name: str, told: Forecast, came: Floats) -> str:
    inside = (told.low <= came) & (came <= told.high)
    return (
        f"  {name:<18} total {told.mean.sum() / came.sum():.3f}, error"
        f" {np.abs(told.mean - came).sum() / came.sum():.3f}, width"
        f" {(told.high - told.low).sum() / came.sum():.3f}, within {inside.sum()} of {len(came)}"
    )


def compare(source: Path, as_of: date) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "shop.duckdb"
        run_cut(source, db, as_of)
        with duckdb.connect(str(db), read_only=True) as con:
            (last,) = con.execute("select max(ordered_at)::date from future").fetchall()[0]
            triangle = read_triangle(con)
            for months in MONTHS_AHEAD:
                until = month_after(as_of, months)
                # A record may end some days before its month does.
                if (until - last).days > 4:
                    continue
                came = read_came(con, until)
                yield f"{as_of}, {months} months ahead: {came.sum():,.0f} came"
                yield judged("cohort_economics", cva_forecast(con, (until - as_of).days), came)
                yield judged("chain ladder", chain_ladder(triangle, months), came)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shop", type=Path)
    parser.add_argument("--as-of", type=date.fromisoformat, nargs="+", required=True)
    given = parser.parse_args()
    for as_of in given.as_of:
        for line in compare(given.shop, as_of):
            print(line, flush=True)


if __name__ == "__main__":
    main()
