"""Staging leaves out who is forgotten, whatever rows go through: a key, other money, merges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.forgotten import add_tombstones
from cva_sql.cli.shop.resolver import open_shop

# zed has two accounts, z1 and z2, by one e-mail, and an order as a guest; ann is another person.
SHOP = """
create schema raw;
create table raw.orders as select * from (values
    ('o1', 'z1', timestamp '2024-01-01', 10.0, 'EUR', 'zed@x.de', 1.0),
    ('o2', 'z2', timestamp '2024-01-02', 20.0, 'USD', 'zed@x.de', 1.0),
    ('o3', null, timestamp '2024-01-03', 30.0, 'EUR', 'zed@x.de', 1.0),
    ('o4', 'ann', timestamp '2024-01-04', 40.0, 'EUR', 'ann@x.de', 1.0),
    ('o5', 'ann', timestamp '2024-01-05', 50.0, 'USD', 'ann@x.de', 1.0)
) as t (order_id, customer_id, ordered_at, amount, currency, email, tax_amount);
create table raw.order_items as select order_id, 'p' as product_id from raw.orders;
create table raw.customers as select * from (values ('z1'), ('z2'), ('ann')) as t (customer_id);
create table raw.returns as select * from (values
    ('r1', 'z1', 'o1', timestamp '2024-01-05', 1.0),
    ('r2', null, 'o1', timestamp '2024-01-05', 1.0),
    ('r3', 'ann', 'o4', timestamp '2024-01-05', 1.0)
) as t (return_id, customer_id, order_id, returned_at, refund_amount);
create table raw.customer_merges as select * from (values ('z1', 'z2'), ('ann0', 'ann'))
    as t (from_customer_id, to_customer_id);
create table raw.exchange_rates as select 'USD' as currency, date '2024-01-01' as date, 0.5 as rate;
"""
PLAIN: dict[str, Any] = {"cva_now": "2024-06-01 00:00:00", "cva_currency": "EUR"}
KEYED = PLAIN | {"cva_customer_key": "lower(email)", "cva_spend": "amount - tax_amount"}


def built(folder: Path, variables: dict[str, Any], drop: str = "") -> dict[str, list[Any]]:
    db = folder / "shop.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute(SHOP + drop)
        key = con.execute("select 'key-' || md5('zed@x.de')").fetchall()[0][0]
        add_tombstones(con, ["z1", "z2", key])
    shop = open_shop(db, variables=variables)
    run_dbt(shop, "run", select=["+cva_rejects", "+int_cva__spine"])
    with duckdb.connect(str(db), read_only=True) as con:
        return {
            "people": con.execute(
                "select distinct customer_id from main_cva.int_cva__spine order by 1"
            ).fetchall(),
            "orders": con.execute(
                "select order_id, customer_id from main_cva.int_cva__orders_valid order by 1"
            ).fetchall(),
            "rejects": con.execute(
                "select table_name, reason, row_count from main_cva.cva_rejects"
                " where row_count > 0 order by all"
            ).fetchall(),
        }


def test_by_ids_and_merges(tmp_path: Path) -> None:
    found = built(tmp_path, PLAIN)
    assert found["people"] == [("ann",)]
    assert found["orders"] == [("o4", "ann"), ("o5", "ann")]
    assert found["rejects"] == [
        ("customer_merges", "forgotten", 1),
        ("customers", "forgotten", 2),
        ("order_items", "order_not_valid", 3),
        ("orders", "customer_unknown", 1),
        ("orders", "forgotten", 2),
        ("returns", "customer_unknown", 1),
        ("returns", "forgotten", 1),
    ]


@pytest.mark.parametrize(
    "drop", ["", "drop table raw.exchange_rates; drop table raw.customer_merges"]
)
def test_by_the_customer_key_with_guests(tmp_path: Path, drop: str) -> None:
    found = built(tmp_path, KEYED, drop)
    assert found["people"] == [("ann",)]
    assert {order for order, _ in found["orders"]} <= {"o4", "o5"}
    assert ("orders", "forgotten", 3) in found["rejects"]
    assert ("customers", "forgotten", 2) in found["rejects"]


def test_without_tombstones_no_model_knows_of_them(tmp_path: Path) -> None:
    db = tmp_path / "shop.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute(SHOP)
    run_dbt(open_shop(db, variables=PLAIN), "run", select=["+stg_cva__orders"])
    with duckdb.connect(str(db), read_only=True) as con:
        views = con.execute("select sql from duckdb_views() where not internal").fetchall()
    assert views
    assert not any("forgotten" in sql for (sql,) in views)
