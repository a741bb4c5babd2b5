"""What a run leaves of a small shop, written by hand: recommendations read nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import duckdb

from cva_sql.cli.run.baskets import Sold, read_sold
from cva_sql.cli.shop.resolver import Need, open_shop
from cva_sql.cli.shop.shop import ResolvedShop

TABLES = """
    create schema main_cva;
    create table customer_value (customer_id text, score_status text);
    create table main_cva.int_cva__as_of_dates as select date '2020-03-01' as as_of_date;
    create table main_cva.int_cva__orders_valid (
        order_id text, store text, customer_id text, order_date date,
        orders_of_id int, orders_of_store_id int, cancelled_at timestamp
    );
    create table main_cva.stg_cva__order_items (
        order_id text, store text, product_id text, unit_price double, reject_reason text
    );
    create table main_cva.stg_cva__products (
        product_id text, name text, category text, text_vector float[], image_vector float[],
        reject_reason text
    );
    create table main_cva.stg_cva__customers (
        customer_id text, profiling_opt_out boolean, valid_from timestamp, reject_reason text
    );
    create table main_cva.stg_cva__events (
        customer_id text, product_id text, occurred_at timestamp, occurred_date date,
        event_kind text, reject_reason text
    );
    create table main_cva.int_cva__customer_ids (raw_id text, customer_id text)
"""


def built(
    db: Path, lines: Iterable[tuple[str, str, str]], more: str = "", variables: str = "{}"
) -> ResolvedShop:
    """A shop of lines (customer, order, product), all of 2020-02-01; `more` is SQL after it."""
    with duckdb.connect(str(db)) as con:
        con.execute(TABLES)
        for customer, order, product in lines:
            con.execute(
                "insert into main_cva.stg_cva__order_items values (?, null, ?, 2, null)",
                [order, product],
            )
            con.execute(
                "insert into main_cva.int_cva__orders_valid"
                " select $1, null, $2, date '2020-02-01', 1, 1, null where not exists"
                " (from main_cva.int_cva__orders_valid where order_id = $1)",
                [order, customer],
            )
        con.execute(
            "insert into customer_value select distinct customer_id, 'scored'"
            " from main_cva.int_cva__orders_valid"
        )
        if more:
            con.execute(more)
    return open_shop(db, variables=variables, need=Need.DATABASE)


def sold_of(shop: ResolvedShop) -> Sold:
    """What recommendations are made from."""
    with duckdb.connect(str(shop.db), read_only=True) as con:
        found = read_sold(con, shop)
    assert found is not None
    return found
