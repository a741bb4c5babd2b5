"""From whatever types the user's tables have to the canonical ones: what asks the database first.

A dbt unit test replaces what `source_or_empty` finds, so this runs dbt on tables of awkward types.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.errors import CvaError

VARS: dict[str, Any] = {
    "cva_timezone": "Europe/Berlin",
    "cva_now": "2024-06-01 00:00:00",
    "cva_currency": None,
    "cva_orders_columns": {"customer_id": "buyer", "channel": "upper(shop)"},
    "cva_returns_identifier": "refunds",
}

# No order_items: an absent table. No status, no discount: absent columns.
RAW = """
create schema raw;
create table raw.orders (
    "Order_ID" double, buyer varchar, ordered_at varchar, amount varchar, currency varchar,
    shop varchar
);
insert into raw.orders values
    (13085.0, ' c1 ', '2024-01-31T23:30:00Z', '10.50', 'EUR', 'web'),
    (2.5, 'c1', '2024-01-31 23:30:00', '20', 'EUR', 'web'),
    ('nan', 'c1', '2024-02-01', '30', 'EUR', 'web'),
    (4, 'NULL', '2024-02-01', '40', 'EUR', 'web'),
    (5, 'c1', 'yesterday', '50', 'EUR', 'web'),
    (6, 'c1', '2024-02-01', 'much', 'EUR', 'web'),
    (7, 'c1', '2024-02-01', null, 'EUR', 'web'),
    (8, 'c1', '2024-02-01', '1', 'USD', null);
create table raw.products (product_id bigint, category varchar, unit_cost double);
insert into raw.products values (1, ' ', 0.1), (1, 'tea', 0.2);
create table raw.customers (
    customer_id varchar, signed_up_at timestamptz, age varchar, marketing_consent varchar
);
insert into raw.customers values
    ('c1', '2024-01-31 23:30:00+00', '41', 'yes'),
    ('c2', null, 'inf', 'perhaps');
create table raw.refunds (order_id double, returned_at date, refund_amount decimal(18, 4));
insert into raw.refunds values (13085, '2024-02-02', 3);
create table raw.reviews (
    review_id integer, customer_id varchar, order_id double, reviewed_at varchar, rating varchar,
    body varchar
);
insert into raw.reviews values
    (1, 'c1', 13085, '2024-05-31T21:30:00Z', '4.5', ' Lovely. '),
    (2, 'c1', 13085, '2024-05-01', 'nan', '  '),
    (3, 'c1', 13085, '2024-05-01', '1e9', null),
    (4, '#N/A', 13085, '2024-05-01', '5', 'Lovely.'),
    (5, 'c1', null, 'last week', '5', 'Lovely.'),
    (6, 'c1', null, null, '5', 'Lovely.'),
    (7, 'c1', null, '2024-05-31T22:30:00Z', '5', 'Lovely.'),
    (8, 'c1', null, '1969-12-31', 'five', 'Lovely.');
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> ResolvedShop:
    folder = tmp_path_factory.mktemp("staging")
    with duckdb.connect(str(folder / "shop.duckdb")) as con:
        con.execute(RAW)
    shop = ResolvedShop(folder / "shop.duckdb", folder / "models", VARS)
    run_dbt(shop, "run", select=["stg_cva__*"])
    return shop


@pytest.fixture(scope="module")
def con(shop: ResolvedShop) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(shop.db), read_only=True) as con:
        con.execute("use main_cva")
        yield con


def rows(con: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return con.execute(query).fetchall()


def test_whole_double_ids_become_integers_and_nan_is_missing(
    con: duckdb.DuckDBPyConnection,
) -> None:
    ids = rows(con, "select order_id from stg_cva__orders order by amount nulls last, order_id")
    assert {order_id for (order_id,) in ids} == {"13085", "2.5", None, "4", "5", "6", "7", "8"}
    assert rows(con, "select order_id from stg_cva__returns") == [("13085",)]


def test_rows_that_cannot_be_used_say_why(con: duckdb.DuckDBPyConnection) -> None:
    query = "select coalesce(order_id, 'nan'), reject_reason from stg_cva__orders"
    assert dict(rows(con, query)) == {
        "13085": None,
        "2.5": None,
        "nan": "order_id_missing",
        "4": "customer_unknown",
        "5": "ordered_at_unreadable",
        "6": "amount_unreadable",
        "7": "amount_missing",
        "8": "other_currency",  # most orders are in EUR
    }


def test_times_with_a_zone_are_converted_and_others_taken_as_local(
    con: duckdb.DuckDBPyConnection,
) -> None:
    query = "select ordered_at from stg_cva__orders where order_id in ('13085', '2.5') order by 1"
    assert rows(con, query) == [
        (datetime(2024, 1, 31, 23, 30),),
        (datetime(2024, 2, 1, 0, 30),),
    ]
    query = "select signed_up_at from stg_cva__customers where customer_id = 'c1'"
    assert rows(con, query) == [(datetime(2024, 2, 1, 0, 30),)]


def test_text_is_trimmed_and_columns_are_mapped(con: duckdb.DuckDBPyConnection) -> None:
    query = """select customer_id, amount, channel from stg_cva__orders
        where order_id in ('13085', '8') order by amount desc"""
    assert rows(con, query) == [
        ("c1", Decimal("10.5000"), "WEB"),
        ("c1", Decimal("1.0000"), None),
    ]


def test_absent_columns_are_null_of_their_type(con: duckdb.DuckDBPyConnection) -> None:
    query = """select distinct cancelled_at, typeof(cancelled_at), discount_amount
        from stg_cva__orders"""
    assert rows(con, query) == [(None, "TIMESTAMP", Decimal("0.0000"))]


def test_an_absent_table_is_empty_and_typed(con: duckdb.DuckDBPyConnection) -> None:
    assert rows(con, "select count(*) from stg_cva__order_items") == [(0,)]
    types = {name: kind for name, kind, *_ in rows(con, "describe stg_cva__order_items")}
    assert types == {
        "order_id": "VARCHAR",
        "product_id": "VARCHAR",
        "quantity": "DOUBLE",
        "unit_price": "DECIMAL(18,4)",
        "line_id": "VARCHAR",
        "store": "VARCHAR",
        "reject_reason": "VARCHAR",
    }


def test_numbers_that_are_none_and_flags_that_are_neither_become_null(
    con: duckdb.DuckDBPyConnection,
) -> None:
    query = "select customer_id, age, marketing_consent from stg_cva__customers order by 1"
    assert rows(con, query) == [("c1", 41.0, True), ("c2", None, None)]


def test_of_products_with_one_id_the_first_by_content_is_used(
    con: duckdb.DuckDBPyConnection,
) -> None:
    query = "select category, reject_reason from stg_cva__products order by 1 nulls last"
    assert rows(con, query) == [("tea", None), (None, "duplicate_product_id")]


def test_reviews_that_cannot_be_used_say_why(con: duckdb.DuckDBPyConnection) -> None:
    query = """select review_id, customer_id, order_id, rating, body, reject_reason
        from stg_cva__reviews order by review_id"""
    assert rows(con, query) == [
        ("1", "c1", "13085", 4.5, "Lovely.", None),
        ("2", "c1", "13085", None, None, None),
        ("3", "c1", "13085", None, None, None),
        ("4", None, "13085", 5.0, "Lovely.", None),  # its order may tell
        ("5", "c1", None, 5.0, "Lovely.", "reviewed_at_unreadable"),
        ("6", "c1", None, 5.0, "Lovely.", "reviewed_at_missing"),
        ("7", "c1", None, 5.0, "Lovely.", "in_the_future"),  # half past midnight in Berlin
        ("8", "c1", None, None, "Lovely.", "reviewed_at_before_1970"),
    ]


def test_a_required_column_that_is_absent_is_named(tmp_path: Path) -> None:
    db = tmp_path / "shop.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute("create schema raw; create table raw.orders (order_id int, amount int)")
    with pytest.raises(CvaError, match="has no column `customer_id`"):
        run_dbt(ResolvedShop(db, tmp_path / "models"), "run", select=["stg_cva__orders"])
