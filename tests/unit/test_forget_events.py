"""Visits of whoever is forgotten: those that name them, and those of a browser that was theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.forget.erasing import forget_people
from cva_sql.cli.load.table import load_table
from cva_sql.cli.person.reading import read_person
from cva_sql.cli.shop.lock import exclusive
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.cli.shop.shop import ResolvedShop

ORDERS = """order_id,customer_id,ordered_at,amount
o1,zelda,2024-01-01,10
o2,yorick,2024-01-02,20
"""
EVENTS = """event_id,customer_id,visitor_id,occurred_at,event_type
z1,,vz,2024-01-01 10:00:00,pageview
z2,zelda,vz,2024-01-01 10:05:00,pageview
z3,zelda,,2024-01-02 10:05:00,pageview
y1,yorick,vy,2024-01-01 10:00:00,pageview
y2,,vy,2024-01-03 10:00:00,pageview
f1,zelda,vf,2024-01-01 10:00:00,pageview
f2,,vf,2024-01-02 10:00:00,pageview
f3,yorick,vf,2024-01-03 10:00:00,pageview
n1,,vn,2024-01-03 10:00:00,pageview
"""
DAYS = """create schema main_cva; create table main_cva.int_cva__browse_days as
select occurred_at::date as event_date, visitor_id, customer_id, occurred_at as named_at
from raw.events"""
LEFT = [("f2",), ("f3",), ("n1",), ("y1",), ("y2",)]  # the family's browser is Yorick's by now


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    for name, text in (("orders", ORDERS), ("events", EVENTS)):
        (tmp_path / f"{name}.csv").write_text(text)
    return {name: tmp_path / f"{name}.csv" for name in ("orders", "events")}


@pytest.fixture
def shop(tmp_path: Path, files: dict[str, Path]) -> ResolvedShop:
    db = tmp_path / "shop.duckdb"
    for table, file in files.items():
        load_table(table, [file], db=db)
    with duckdb.connect(str(db)) as con:
        con.execute(DAYS)
    return open_shop(db)


def ask(shop: ResolvedShop, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(shop.db), read_only=True) as con:
        return con.execute(query).fetchall()


def test_a_person_is_shown_their_visits(shop: ResolvedShop) -> None:
    tables = {kept.table: kept.rows for kept in read_person(shop, "zelda").tables}
    assert {row["event_id"] for row in tables["raw.events"]} == {"z1", "z2", "z3", "f1"}
    days = tables["main_cva.int_cva__browse_days"]
    assert sorted(str(row["visitor_id"]) for row in days) == ["None", "vf", "vz", "vz"]


def test_their_visits_go_and_others_keep_theirs(shop: ResolvedShop) -> None:
    with exclusive(shop):
        found = forget_people(shop, ["zelda"])
    assert (found.rows["raw.events"], found.left) == (4, ())
    assert found.rows["main_cva.int_cva__browse_days"] == 4
    assert ask(shop, "select event_id from raw.events order by 1") == LEFT
    visitors = "select distinct visitor_id from main_cva.int_cva__browse_days order by 1"
    assert ask(shop, visitors) == [("vf",), ("vn",), ("vy",)]


def test_a_file_from_before_does_not_bring_them_back(
    shop: ResolvedShop, files: dict[str, Path]
) -> None:
    with exclusive(shop):
        forget_people(shop, ["zelda"])
    report = load_table("events", [files["events"]], db=shop.db, replace=True)
    assert report.forgotten == 4
    assert ask(shop, "select event_id from raw.events order by 1") == LEFT
