"""The machine's time zone changes nothing; the shop's does, and so does its currency."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import duckdb
import pytest

# Every customer orders at 23:30 and at half past midnight, once with and once without an offset.
ORDERS = """create schema raw;
create table raw.orders as
select 'o' || n as order_id, 'c' || lpad((n % 40)::varchar, 2, '0') as customer_id,
    (date '2024-01-01' + (n * 7 % 700)::integer)::varchar
        || [' 23:30:00', ' 00:30:00', ' 23:30:00+00', ' 00:30:00+00'][1 + n % 4] as ordered_at,
    (10 + n % 23)::decimal(18, 4) as amount,
    if(n % 5 = 0, 'USD', 'EUR') as currency
from range(800) as numbers(n)"""
RUNS = {
    "here": ("UTC", {}),
    "Shanghai": ("Asia/Shanghai", {}),
    "Los Angeles": ("America/Los_Angeles", {}),
    "a shop in Tokyo": ("UTC", {"cva_timezone": "Asia/Tokyo"}),
    "a shop in dollars": ("UTC", {"cva_currency": "USD"}),
}
Tables = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def ran(
    cva: Any, together: Any, scored: Any, rows: Any, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Tables]:
    folder = tmp_path_factory.mktemp("zones")

    def run(name: str) -> Tables:
        zone, variables = RUNS[name]
        db = folder / name.replace(" ", "_") / "shop.duckdb"
        db.parent.mkdir()
        with duckdb.connect(str(db)) as con:
            con.execute(ORDERS)
        environment = {**os.environ, "TZ": zone}
        done = cva("run", "--db", db, "--vars", json.dumps(variables), env=environment)
        assert done.returncode == 0, done.stderr
        tables: Tables = scored(Path(db))
        tables["historic_value"] = rows(db, "select historic_value from main.customer_value")
        return tables

    return dict(zip(RUNS, together([lambda n=name: run(n) for name in RUNS]), strict=True))


@pytest.mark.parametrize("name", ["Shanghai", "Los Angeles"])
@pytest.mark.parametrize("table", ["customer_features", "customer_value"])
def test_the_machines_zone_changes_nothing(ran: dict[str, Tables], name: str, table: str) -> None:
    assert len(ran["here"][table]) == 40
    assert ran[name][table] == ran["here"][table]


def test_the_shops_zone_moves_what_was_ordered_at_night(ran: dict[str, Tables]) -> None:
    assert ran["a shop in Tokyo"]["customer_features"] != ran["here"]["customer_features"]


@pytest.mark.parametrize(
    ("name", "is_dollars"), [("here", False), ("Shanghai", False), ("a shop in dollars", True)]
)
def test_orders_in_the_shops_currency_alone_count(
    ran: dict[str, Tables], name: str, is_dollars: bool
) -> None:
    """By default that is the one that most orders have."""
    expected = sum(10 + n % 23 for n in range(800) if (n % 5 == 0) == is_dollars)
    assert sum(row[-1] for row in ran[name]["historic_value"]) == expected
