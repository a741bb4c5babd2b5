"""What the days of browse events cost, against one bare aggregate of the events.

    .venv/bin/python benchmarks/events.py N_EVENTS N_CUSTOMERS [--gaps] [--without-ids]

Makes a shop in SQL, of a hundred days with visits of eight events, and lets dbt build
int_cva__browse_days: once whole, then with a day's more. The yardstick counts the events of each
visitor and day. Times are those that dbt gives the model: what dbt itself takes does not grow.
`--gaps`: no session_id, so that half an hour without an event ends a visit. `--without-ids`: no
event_id, as GA4 has none.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

import duckdb

from cva_sql.cli.shop.dbt_runner import ARTEFACTS, run_dbt
from cva_sql.cli.shop.limits import MEMORY_VARIABLE, duckdb_limits
from cva_sql.cli.shop.shop import ResolvedShop

VISIT = 8  # events
DAYS = 100
MEMORY_LIMIT = "3GB"  # of DuckDB, so that all of it stays within 4
DAYS_MODEL = "int_cva__browse_days"
# Hashes stand in for chance. One visit in three is signed in from its sixth event on.
EVENTS = """
select
    'e' || i as event_id,
    'v' || hash(i // {visit}) % {visitors} as visitor_id,
    case
        when hash(i // {visit} + 1) % 3 = 0 and i % {visit} >= 5
            then 'c' || hash(i // {visit}) % {visitors} % {customers}
    end as customer_id,
    's' || i // {visit} as session_id,
    timestamp '2024-01-01' + to_days({day}::integer) + to_seconds(
        (hash(i // {visit} + 2) % 80000)::bigint + (i % {visit}) * 30) as occurred_at,
    (['page_view', 'view_item', 'view_item', 'search', 'view_item', 'add_to_cart', 'begin_checkout',
        'purchase'])[(1 + least(i % {visit}, hash(i) % 9))::bigint] as event_type,
    case when i % 3 = 1 then 'p' || hash(i) % 5000 end as product_id,
    (hash(i) % 60)::double as duration_seconds
from range({first}, {last}) as numbers(i)
"""
SHOP = """
create schema raw;
create table raw.orders as select 'o' || i as order_id, 'c' || i as customer_id,
    timestamp '2024-01-01' + to_days((i % 90)::integer) as ordered_at, 10.5 as amount
from range(1000) as numbers(i);
"""
BARE = """
create or replace temp table bare as
select visitor_id, cast(occurred_at as date) as day, count(*) as n from raw.events group by all
"""


def fill(db: Path, events: int, customers: int, left_out: str) -> None:
    """The shop with all days but the last; the hundredth part of the events comes with it."""
    with duckdb.connect(str(db), config=duckdb_limits()) as con:
        con.execute(SHOP)
        add(
            con,
            0,
            events,
            customers,
            f"(i * {DAYS} // {events})",
            left_out,
            "create table raw.events as ",
        )


def add(
    con: duckdb.DuckDBPyConnection,
    first: int,
    last: int,
    customers: int,
    day: str,
    left_out: str,
    into: str,
) -> None:
    query = EVENTS.format(
        visit=VISIT, visitors=2 * customers, customers=customers, day=day, first=first, last=last
    )
    con.execute(f"{into} select * {left_out} from ({query})")


def time_bare(db: Path) -> float:
    """Seconds of the yardstick, the least of three."""
    with duckdb.connect(str(db), config=duckdb_limits()) as con:
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            con.execute(BARE).fetchall()
            seconds.append(time.perf_counter() - started)
    return min(seconds)


def time_days(shop: ResolvedShop) -> float:
    """Seconds that dbt gives the model."""
    run_dbt(shop, "run", select=[DAYS_MODEL], environment=ARTEFACTS)
    results = json.loads((shop.target_dir() / "run_results.json").read_text())["results"]
    (one,) = (one for one in results if one["unique_id"].endswith(DAYS_MODEL))
    return float(one["execution_time"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("events", type=int)
    parser.add_argument("customers", type=int)
    parser.add_argument("--gaps", action="store_true")
    parser.add_argument("--without-ids", action="store_true")
    given = parser.parse_args()
    os.environ.setdefault(MEMORY_VARIABLE, MEMORY_LIMIT)
    names = [
        n for n, is_out in (("session_id", given.gaps), ("event_id", given.without_ids)) if is_out
    ]
    left_out = f"exclude ({', '.join(names)})" if names else ""
    with tempfile.TemporaryDirectory() as folder:
        shop = ResolvedShop(Path(folder) / "shop.duckdb", Path(folder) / "models")
        fill(shop.db, given.events, given.customers, left_out)
        run_dbt(shop, "run", select=[f"+{DAYS_MODEL}"], exclude=[DAYS_MODEL])
        bare = time_bare(shop.db)
        whole = time_days(shop)
        with duckdb.connect(str(shop.db), config=duckdb_limits()) as con:
            more = given.events // DAYS
            add(
                con, given.events, given.events + more, given.customers, str(DAYS), left_out,
                "insert into raw.events by name",
            )  # fmt: skip
        day, nothing = time_days(shop), time_days(shop)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    print(f"events                        {given.events:>12,} of {given.customers:,} customers")
    print(f"one bare aggregate            {bare:>12.2f} s")
    print(f"all days                      {whole:>12.2f} s  {whole / bare:.1f} times the aggregate")
    print(f"a day's hundredth part more   {day:>12.2f} s  {day / whole:.1%} of all days")
    print(f"nothing new                   {nothing:>12.2f} s")
    print(f"peak memory                   {peak:>12.2f} GB")


if __name__ == "__main__":
    main()
