"""Customers that a family of features has nothing of: what is counted is 0, the rest null."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.shop import ResolvedShop

# Returns of one customer of two; no reviews, no items, no customers.
RAW = """
create schema raw;
create table raw.orders (
    order_id varchar, customer_id varchar, ordered_at timestamp, amount decimal(18, 4)
);
insert into raw.orders values
    ('o1', 'returns', '2024-01-01', 20), ('o2', 'keeps', '2024-01-02', 10),
    ('o3', 'keeps', '2024-01-02', 30), ('o4', 'keeps', '2024-01-01', 50);
create table raw.returns (order_id varchar, returned_at timestamp, refund_amount decimal(18, 4));
insert into raw.returns values ('o1', '2024-01-02', 5);
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> ResolvedShop:
    folder = tmp_path_factory.mktemp("absent")
    return ResolvedShop(folder / "shop.duckdb", folder / "models", {})


@pytest.fixture(scope="module")
def con(shop: ResolvedShop) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(shop.db)) as con:
        con.execute(RAW)
    run_dbt(shop, "run", select=["+customer_features"])
    with duckdb.connect(str(shop.db), read_only=True) as con:
        yield con


def test_counts_are_zero_and_the_rest_null_without_a_row(con: duckdb.DuckDBPyConnection) -> None:
    query = """
        select customer_id, returns_count, refund_amount, days_since_last_return, reviews_count,
            rating_mean, products_count, days_since_signup, touches_count, response_rate
        from customer_features order by 1"""
    assert con.execute(query).fetchall() == [
        ("keeps", 0, 0, None, 0, None, None, None, 0, None),
        ("returns", 1, 5, 1, 0, None, None, None, 0, None),
    ]


def test_last_order_is_the_largest_of_the_last_day(con: duckdb.DuckDBPyConnection) -> None:
    query = "select last_order_amount from customer_features where customer_id = 'keeps'"
    assert con.execute(query).fetchall() == [(30,)]


def test_families_without_a_raw_table_are_not_read(
    con: duckdb.DuckDBPyConnection, shop: ResolvedShop
) -> None:
    compiled = (shop.db.parent / ".cva" / "target" / "compiled").rglob("customer_features.sql")
    (query,) = (path.read_text(encoding="utf-8") for path in compiled)
    for family, is_read in (
        ("purchases", True), ("returns", True), ("shop", True),
        ("baskets", False), ("reviews", False), ("attributes", False), ("marketing", False),
    ):  # fmt: skip
        assert (f"feat_cva__{family}" in query) == is_read, family
    kinds = con.execute(
        "select column_name, data_type from information_schema.columns where table_name = "
        "'customer_features' and column_name in ('rating_mean', 'reviews_count', 'country') "
        "order by 1"
    ).fetchall()
    assert kinds == [("country", "VARCHAR"), ("rating_mean", "DOUBLE"), ("reviews_count", "DOUBLE")]
