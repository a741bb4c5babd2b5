"""The sample shop: a seeded small online shop, written as the CSV files a user would bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.package import raw_tables
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    import duckdb

SCRIPTS = ("shop.sql", "review_phrases.sql", "reviews.sql")  # each needs those before it
MIN_CUSTOMERS = 50  # fewer do not place enough orders to hold every kind of dirt
MIN_MONTHS = 12  # fewer do not show every month's season


def _script(name: str) -> str:
    return files("cva_sql.cli.demo").joinpath(name).read_text(encoding="utf-8")


SQL = "\n".join(map(_script, SCRIPTS))
TABLES = tuple(table for table in raw_tables() if f"create table out_{table} as" in SQL)
BROWSING = ("events", "marketing_touches")  # what browsing.sql adds


@dataclass(frozen=True)
class MonthIndex:
    """One calendar month: the season put in and the one seen in the orders (mean 1 each)."""

    month: int
    put_in: float
    seen: float


@dataclass(frozen=True)
class ShopFacts:
    """What a sample shop holds.

    `rows` counts every row of each file, `dirt` the rows of each kind that cannot be used as
    they are; all other figures are about the shop before the dirt went in, cancelled orders
    included. Shares and rates are 0 to 1, of customers with an order.
    """

    rows: dict[str, int]
    dirt: dict[str, int]
    first_ordered_at: datetime
    last_ordered_at: datetime
    ordering_customers: int
    orders_per_customer: float
    largest_order_count: int
    one_time_share: float
    repeat_rate: float
    top_tenth_spend_share: float
    month_indexes: tuple[MonthIndex, ...]
    seasonality_correlation: float


@dataclass(frozen=True)
class Browsing:
    """How customers of a sample shop browse.

    `link`: the share of the variance of customers' log spend a day that their visits know of, 0 to
    1, beside those that end in an order. `late_sign_in`: nobody is named before the checkout.
    """

    link: float = 0.1
    late_sign_in: bool = False


def write_shop(
    folder: Path,
    *,
    customers: int = 3000,
    months: int = 30,
    seed: int = 7,
    browsing: Browsing | None = None,
) -> ShopFacts:
    """The facts of a sample shop, after its files `<table>.csv` were written into `folder`.

    The shop's last day is 2025-12-31 whatever the clock says, and the same arguments give the
    same bytes. Files of the same names are replaced. With `browsing` there are events and
    marketing touches too; all else is the same. Raises UsageError for a shop too small.
    """
    import duckdb

    if customers < MIN_CUSTOMERS:
        raise UsageError(
            f"a sample shop of {customers} customers; expected {MIN_CUSTOMERS} or more. "
            "Try the usual size: cva demo"
        )
    if months < MIN_MONTHS:
        raise UsageError(
            f"a sample shop of {months} months; expected {MIN_MONTHS} or more. "
            "Try the usual size: cva demo"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(":memory:") as con:
        _make_tables(con, customers=customers, months=months, seed=seed)
        tables = TABLES
        if browsing is not None:
            con.execute(f"set variable link = {browsing.link:f}")
            con.execute(f"set variable is_late_sign_in = {browsing.late_sign_in}")
            con.execute(_script("browsing.sql"))
            tables += BROWSING
        for table in tables:
            target = str(folder / f"{table}.csv").replace("'", "''")
            con.execute(f"copy out_{table} to '{target}' (format csv, header)")
        return _read_facts(con, tables)


def sample_reviews(count: int) -> list[str]:
    """So many different review texts of the sample shop, or as many as it has."""
    import duckdb

    with duckdb.connect(":memory:") as con:
        _make_tables(con, customers=max(MIN_CUSTOMERS, 3 * count), months=24, seed=7)
        rows = con.execute(
            "select distinct body from out_reviews where body is not null order by md5(body) "
            "limit ?",
            [count],
        ).fetchall()
    return [body for (body,) in rows]


def _make_tables(con: duckdb.DuckDBPyConnection, **variables: int) -> None:
    """A table out_<file> for each file, in a database in memory."""
    for name, value in variables.items():
        con.execute(f"set variable {name} = {value:d}")
    con.execute(SQL)


def describe(facts: ShopFacts) -> str:
    """The facts as a few lines of text, without a final line break."""
    rows = ", ".join(f"{count:,} {table.replace('_', ' ')}" for table, count in facts.rows.items())
    dirt = ", ".join(f"{kind} {count}" for kind, count in facts.dirt.items())
    month_rows = (
        ("month ", [f"{index.month:5d}" for index in facts.month_indexes]),
        ("put in", [f"{index.put_in:5.2f}" for index in facts.month_indexes]),
        ("seen  ", [f"{index.seen:5.2f}" for index in facts.month_indexes]),
    )
    return "\n".join(
        [
            f"rows: {rows}",
            f"orders: {facts.first_ordered_at:%Y-%m-%d} .. {facts.last_ordered_at:%Y-%m-%d}",
            f"customers with an order: {facts.ordering_customers:,}, "
            f"{facts.orders_per_customer:.1f} orders each, {facts.largest_order_count} at most",
            f"bought once: {facts.one_time_share:.0%}; again: {facts.repeat_rate:.0%}; "
            f"the top tenth spends {facts.top_tenth_spend_share:.0%}",
            f"dirt: {dirt}",
            f"seasons (correlation {facts.seasonality_correlation:.3f}):",
            *(f"  {label} {''.join(cells)}" for label, cells in month_rows),
        ]
    )


def _read_facts(con: duckdb.DuckDBPyConnection, tables: Sequence[str]) -> ShopFacts:
    row = _one_row(
        con,
        """
        with spend as (
            select
                customer_id,
                count(*) as orders,
                sum(amount) as amount,
                min(ordered_at) as first_at,
                max(ordered_at) as last_at
            from shop_orders
            group by all
        ),

        ranked as (
            select *, row_number() over (order by amount desc, customer_id) as rank
            from spend
        )

        select
            min(first_at),
            max(last_at),
            count(*),
            avg(orders),
            max(orders),
            count(*) filter (where orders = 1) / count(*),
            sum(amount) filter (where rank <= (select count(*) / 10 from spend)) / sum(amount),
            (select corr(put_in, seen) from month_index)
        from ranked
        """,
    )
    months = con.execute("select month, put_in, seen from month_index order by month").fetchall()
    return ShopFacts(
        rows={table: _one_row(con, f"select count(*) from out_{table}")[0] for table in tables},
        dirt=dict(con.execute("select kind, found from dirt order by kind").fetchall()),
        first_ordered_at=row[0],
        last_ordered_at=row[1],
        ordering_customers=row[2],
        orders_per_customer=row[3],
        largest_order_count=row[4],
        one_time_share=row[5],
        repeat_rate=1 - row[5],
        top_tenth_spend_share=float(row[6]),
        month_indexes=tuple(MonthIndex(*month) for month in months),
        seasonality_correlation=row[7],
    )


def _one_row(con: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = con.execute(query).fetchone()
    if row is None:
        raise RuntimeError(f"no row from: {query}")
    return row
