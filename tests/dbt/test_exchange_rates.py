"""Money in other currencies: by the rate of its own day, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.errors import UsageError

SHOP = """
create schema raw;
create table raw.orders (
    order_id varchar, store varchar, customer_id varchar, ordered_at timestamp,
    amount decimal(18, 4), discount_amount decimal(18, 4), refunded_amount decimal(18, 4),
    tax_amount decimal(18, 4), currency varchar
);
insert into raw.orders values
    ('1', null, 'eur', '2024-01-02', 10, 1, null, 2, 'EUR'),
    ('2', null, 'eur', '2024-01-05', 20, 0, null, 0, 'EUR'),
    ('3', null, 'eur', '2024-02-01', 20, 0, null, 0, 'EUR'),
    ('small', null, 'eur', '2024-02-01', 30, 0, null, 0, 'eur'),
    ('unnamed', null, 'eur', '2024-02-01', 30, 0, null, 0, null),
    ('first day', null, 'usd', '2024-01-02', 100, 10, 100, 20, 'USD'),
    ('night before the next rate', null, 'usd', '2024-01-04 23:59', 100, 0, null, 0, 'usd'),
    ('next rate', null, 'usd', '2024-01-05', 100, 0, null, 0, 'USD'),
    ('seven days', null, 'usd', '2024-01-12 23:59', 100, 0, null, 0, 'USD'),
    ('eight days', null, 'usd', '2024-01-13', 100, 0, null, 0, 'USD'),
    ('too early', null, 'usd', '2024-01-01', 100, 0, null, 0, 'USD'),
    ('money back', null, 'usd', '2024-01-05', -10, 0, null, 0, 'USD'),
    ('pound', null, 'gbp', '2024-01-05', 7, 0, null, 0, 'GBP'),
    ('huge', null, 'usd', '2024-01-05', 1e13, 0, null, 0, 'USD'),
    ('twice', 'A', 'eur', '2024-01-02', 10, 0, null, 0, 'EUR'),
    ('twice', 'B', 'usd', '2024-01-02', 10, 0, null, 0, 'USD');
create table raw.order_items (
    order_id varchar, store varchar, product_id varchar, quantity integer,
    unit_price decimal(18, 4), currency varchar
);
insert into raw.order_items values
    ('1', null, 'in euros', 1, 10, null),
    ('first day', null, 'in euros', 2, 50, null),
    ('next rate', null, 'in dollars', 1, 100, null),
    ('next rate', null, 'own currency', 1, 80, 'EUR'),
    ('eight days', null, 'in euros', 1, 1, null),
    ('twice', 'A', 'of store A', 1, 10, null),
    ('twice', 'B', 'of store B', 1, 10, null);
create table raw.products as from (values
    ('in euros', 4, null), ('in dollars', 50, 'USD')
) as products (product_id, unit_cost, currency);
create table raw.returns (
    return_id varchar, order_id varchar, customer_id varchar, returned_at timestamp,
    refund_amount decimal(18, 4), currency varchar
);
insert into raw.returns values
    ('of its order', 'first day', null, '2024-01-06', 10, null),
    ('own currency', 'first day', null, '2024-01-06', 10, 'EUR'),
    ('no rate', 'first day', 'usd', '2024-01-25', 10, null),
    ('euros', '1', 'eur', '2024-01-25', 10, null),
    ('no order', 'x', 'eur', '2024-01-05', 10, 'usd');
"""
RATES = """
create table raw.exchange_rates (currency varchar, date timestamp, rate double);
insert into raw.exchange_rates values
    ('USD', '2024-01-02', 0.5),
    ('usd', '2024-01-05 09:00', 0.7),
    ('USD', '2024-01-05 17:00', 0.8),
    ('USD', '2024-01-06', null),
    ('USD', '2024-01-07', 0),
    ('USD', '2024-02-20', 9),
    ('EUR', '2024-01-05', 1);
"""
Query = Callable[[str], list[tuple[Any, ...]]]


def staged(folder: Path, sql: str, **variables: Any) -> Query:
    """Makes the shop and stages it; what answers queries."""
    with duckdb.connect(str(folder / "shop.duckdb")) as con:
        con.execute(sql)
    settings = {"cva_now": "2024-06-01 00:00:00", "cva_currency": "EUR", **variables}
    shop = ResolvedShop(folder / "shop.duckdb", folder / "models", settings)
    run_dbt(shop, "run", select=["stg_cva__*", "+cva_rejects", "+customer_features"])

    def query(select: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(shop.db), read_only=True) as con:
            con.execute("use main_cva")
            return con.execute(select).fetchall()

    return query


@pytest.fixture(scope="module")
def query(tmp_path_factory: pytest.TempPathFactory) -> Query:
    return staged(tmp_path_factory.mktemp("rates"), SHOP + RATES)


@pytest.fixture(scope="module")
def without_rates(tmp_path_factory: pytest.TempPathFactory) -> Query:
    return staged(tmp_path_factory.mktemp("no_rates"), SHOP)


def test_orders_take_the_last_rate_of_seven_days(query: Query) -> None:
    found = query(
        "select order_id, amount::double, discount_amount::double, refunded_amount::double, "
        "reject_reason from stg_cva__orders where currency ilike 'usd' and store is null"
    )
    assert {row[0]: row[1:] for row in found if row[-1] is None} == {
        "first day": (50, 5, 50, None),
        "night before the next rate": (50, 0, None, None),
        "next rate": (80, 0, None, None),  # the day's last
        "seven days": (80, 0, None, None),
    }
    assert {row[0]: row[-1] for row in found if row[-1]} == {
        "eight days": "exchange_rate_missing",
        "too early": "exchange_rate_missing",
        "money back": "counted_as_return",
        "huge": "amount_too_large",
    }
    assert query("select amount::double from stg_cva__orders where order_id = 'money back'") == [
        (-8,)
    ]


def test_the_shops_currency_is_left_alone_however_it_is_written(query: Query) -> None:
    found = query(
        "select order_id, amount::double from stg_cva__orders where reject_reason is null "
        "and currency is null or currency ilike 'eur' order by 1"
    )
    assert found == [
        ("1", 10), ("2", 20), ("3", 20), ("small", 30), ("twice", 10), ("unnamed", 30)
    ]  # fmt: skip


def test_items_and_returns_have_the_currency_of_their_order_unless_their_own(query: Query) -> None:
    items = query(
        "select order_id, product_id, unit_price::double, reject_reason from stg_cva__order_items"
    )
    assert {row[:2]: row[2:] for row in items} == {
        ("1", "in euros"): (10, None),
        ("first day", "in euros"): (25, None),
        ("next rate", "in dollars"): (80, None),
        ("next rate", "own currency"): (80, None),
        ("eight days", "in euros"): (1, "exchange_rate_missing"),
        ("twice", "of store A"): (10, None),
        ("twice", "of store B"): (5, None),
    }
    returns = query("select return_id, refund_amount::double, reject_reason from stg_cva__returns")
    assert {row[0]: row[1:] for row in returns} == {
        "of its order": (8, None),
        "own currency": (10, None),
        "no rate": (10, "exchange_rate_missing"),
        "euros": (10, None),
        "no order": (8, None),
    }


def test_costs_take_the_rate_of_the_orders_day(query: Query) -> None:
    found = query(
        "select customer_id, round(margin_rate, 4) from main.customer_features "
        "where margin_rate is not null order by customer_id"
    )
    # eur: 4 of 10. usd: 2 × 4 of 2 × 25, and 50 × 0.8 of 80.
    assert found == [("eur", 0.6), ("usd", round(1 - (8 + 40) / (50 + 80), 4))]


def test_rejects_count_what_has_no_rate_and_rates_of_no_use(query: Query) -> None:
    found = query("select table_name, reason, row_count from cva_rejects where row_count > 0")
    assert {row for row in found if row[0] == "exchange_rates"} == {
        ("exchange_rates", "rate_missing", 1),
        ("exchange_rates", "rate_not_positive", 1),
        ("exchange_rates", "duplicate_rate", 1),
        ("exchange_rates", "on_or_after_as_of", 1),
    }
    missing = {row[0]: row[2] for row in found if row[1] == "exchange_rate_missing"}
    assert missing == {"orders": 3, "order_items": 1, "returns": 1}


def test_without_rates_what_is_in_another_currency_stays_out(without_rates: Query) -> None:
    found = without_rates(
        "select table_name, row_count from cva_rejects where reason = 'other_currency'"
    )
    assert dict(found) == {"orders": 9, "returns": 3}
    usable = without_rates(
        "select product_id from stg_cva__order_items join int_cva__orders_valid using (order_id)"
        " where reject_reason is null and orders_of_id = 1 order by 1"
    )
    assert usable == [("in euros",), ("of store A",), ("of store B",)]


def test_spend_is_counted_in_the_shops_currency(tmp_path: Path) -> None:
    query = staged(tmp_path, SHOP + RATES, cva_spend="amount - tax_amount")
    found = query(
        "select amount::double from stg_cva__orders where order_id in ('1', 'first day') order by 1"
    )
    assert found == [(8,), (40,)]


def test_rates_of_another_currency_than_the_shops_are_refused(tmp_path: Path) -> None:
    """Most orders are in dollars, so that the shop would be taken for one in dollars."""
    said = (
        r"has 1 USD as 9\.0, and USD is the shop's currency; another\? --vars '{cva_currency: EUR}'"
    )
    with pytest.raises(UsageError, match=said):
        staged(tmp_path, SHOP + RATES, cva_currency=None)
