"""What learning and making lists costs: CPU seconds and memory by step, on a made shop.

    python benchmarks/bench_recommend.py 20000 4000
    python benchmarks/bench_recommend.py 100000 20000 --sample 5000

Makes a shop of so many customers and products, as `cva run` leaves it, of some 26 lines a
customer in two years: customers have tastes, buy again, and few products sell most. Then learns
what recommends, as `cva recommend` does, makes the lists anew, as each run does, and copies the
tables into another file, as publishing does. With `--sample` it fits the ranker without judging,
makes the lists of so many customers, and says what all would take. CPU seconds are user and
system time of all threads.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import duckdb
import numpy as np

from cva_sql.cli.recommend.learning import recommend_shop
from cva_sql.cli.run.baskets import read_sold
from cva_sql.cli.run.recommendations import TABLES, fill_recommendations
from cva_sql.cli.shop.resolver import Need, open_shop
from cva_sql.models_onnx.recommend.choice import LEARNED_DATES
from cva_sql.models_onnx.recommend.offers import neighbours, personal
from cva_sql.models_onnx.recommend.ranker import CHUNK, fit_ranker, known
from cva_sql.models_onnx.recommend.reasons import words_of
from cva_sql.models_onnx.recommend.registry import all_candidates
from cva_sql.models_onnx.recommend.worth import Worth

LINES, ORDERS = 30, 6  # of a customer, on average
TASTES, SAME_TASTE, AGAIN = 40, 0.6, 0.3  # groups of products; shares of lines from it, of re-buys
DAYS, SEED = 730, 7
AS_OF = "2026-01-01"
BUILT = """
    create schema main_cva;
    create table customer_value as
        select distinct customer_id, 'ok' as score_status from lines;
    create table main_cva.int_cva__as_of_dates as select date '{as_of}' as as_of_date;
    create table main_cva.int_cva__orders_valid as
        select distinct order_id, null::text as store, customer_id,
            date '{as_of}' - day::int as order_date,
            1 as orders_of_id, 1 as orders_of_store_id, null::timestamp as cancelled_at
        from lines;
    create table main_cva.stg_cva__order_items as
        select order_id, null::text as store, product_id, price as unit_price,
            null::text as reject_reason
        from lines;
    create table main_cva.stg_cva__products as
        select distinct product_id, 'Product ' || product_id as name,
            'c' || (product_id % {tastes})::text as category, null::float[] as text_vector,
            null::float[] as image_vector, null::text as reject_reason
        from (select product_id::int as product_id from lines);
    alter table main_cva.stg_cva__products alter product_id type text;
    create table main_cva.stg_cva__customers (
        customer_id text, profiling_opt_out boolean, valid_from timestamp, reject_reason text
    )
"""


def lines(customers: int, products: int) -> dict[str, np.ndarray]:
    """Order lines as columns; `day` is how many days before the end."""
    random = np.random.default_rng(SEED)
    count = random.geometric(1 / ORDERS, customers)
    owner = np.repeat(np.arange(customers), count)
    day = random.integers(1, DAYS, len(owner))
    size = random.geometric(ORDERS / LINES, len(owner))
    order, who = np.repeat(np.arange(len(owner)), size), np.repeat(owner, size)
    taste = random.integers(0, TASTES, customers)
    drawn = np.minimum(random.zipf(1.3, len(who)) * random.random(len(who)), products).astype(int)
    drawn = (drawn + random.integers(0, products // 20, len(who))) % products
    of_taste = random.random(len(who)) < SAME_TASTE
    drawn = np.where(of_taste, drawn // TASTES * TASTES + taste[who], drawn) % products
    earlier = np.maximum(np.arange(len(who)) - random.integers(1, LINES, len(who)), 0)
    is_again = (random.random(len(who)) < AGAIN) & (who[earlier] == who)
    product = np.where(is_again, drawn[earlier], drawn)
    return {
        "customer_id": who, "order_id": order, "product_id": product, "day": day[order],
        "price": 1.0 + product % 97,
    }  # fmt: skip


def make_shop(db: Path, customers: int, products: int) -> int:
    """Writes what a run leaves for recommendations; the count of lines."""
    made = lines(customers, products)
    with duckdb.connect(str(db)) as con:
        con.register("made", made)
        con.execute(
            "create table lines as select distinct on (order_id, product_id) customer_id::text"
            " as customer_id, order_id::text as order_id, product_id::text as product_id,"
            " day, price from made"
        )
        con.execute(BUILT.format(as_of=AS_OF, tastes=TASTES))
        ((count, people, things),) = con.execute(
            "select count(*), count(distinct customer_id), count(distinct product_id) from lines"
        ).fetchall()
    print(f"{people:,} customers, {things:,} products, {count:,} lines")
    return int(count)


@contextmanager
def measured(step: str) -> Iterator[None]:
    """Prints what a step took."""
    cpu, wall = time.process_time(), time.monotonic()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{step:<44}{time.process_time() - cpu:>8.1f} s CPU"
        f"{time.monotonic() - wall:>8.1f} s wall   peak so far {peak:.2f} GB",
        flush=True,
    )


def sample(db: Path, customers: int) -> None:
    """What fitting takes without judging, and the lists of some customers."""
    shop = open_shop(db, need=Need.DATABASE)
    with measured("reading"), duckdb.connect(str(db), read_only=True) as con:
        sold = read_sold(con, shop)
    assert sold is not None
    past, days = sold.baskets, [sold.day - 28 * back for back in range(1, LEARNED_DATES + 1)]
    with measured("fitting the candidates on two earlier dates"):
        states = [known(past, day, 28, all_candidates()) for day in days]
    with measured("fitting the ranker"):
        ranker = fit_ranker(past, states)
    del states
    assert ranker is not None
    with measured("fitting the candidates as of today"):
        state = known(past, sold.day, 28, all_candidates())
    with measured("what goes with what"):
        near = neighbours(state.baskets)
    worth, words = Worth(None, sold.margin), words_of("en")
    parts = -(-customers // CHUNK)
    cpu = time.process_time()
    with measured(f"lists of {parts * CHUNK:,} customers"):
        lists = personal(state, ranker, near, 10, sold.names, worth, words)
        made = sum(len(offers.rank) for offers in islice(lists, parts))
    each = (time.process_time() - cpu) / (parts * CHUNK)
    print(f"{made:,} rows; all {past.customers:,} customers: {each * past.customers:,.0f} s CPU")


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("customers", type=int)
    parser.add_argument("products", type=int)
    parser.add_argument("--sample", type=int, help="make lists of so many customers alone")
    parser.add_argument("--lists-only", action="store_true", help="use the model that is there")
    parser.add_argument("--folder", type=Path, help="keep the shop here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        db = folder / "shop.duckdb"
        if not db.exists():
            make_shop(db, given.customers, given.products)
        shop = open_shop(db, need=Need.DATABASE)
        if given.sample:
            sample(db, given.sample)
            return
        if not given.lists_only:
            with measured("cva recommend: learn, judge, first lists"):
                found = recommend_shop(shop)
            print(found.reason)
        with measured("a run's lists: fit, score, write"):
            rows = fill_recommendations(shop)
        with measured(f"publishing {rows:,} rows of lists"):
            published = folder / f"published-{os.getpid()}.duckdb"
            with duckdb.connect(str(published)) as con:
                con.execute(f"attach '{db}' as shop (read_only)")
                for name in TABLES:
                    con.execute(f"create table {name} as from shop.main.{name}")


if __name__ == "__main__":
    main()
