"""Table `calendar`: what staging keeps, and what a training says of events to come."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train.report import describe
from cva_sql.cli.train.training import train_shop


def test_staging_keeps_what_is_to_come_and_says_what_it_cannot_use(tmp_path: Path) -> None:
    db = tmp_path / "shop.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute("create schema raw")
        con.execute(
            "create table raw.orders as select 'o' as order_id, 'c' as customer_id, "
            "timestamp '2024-01-01' as ordered_at, 5.0 as amount"
        )
        con.execute("create table raw.calendar (date varchar, event varchar, factor varchar)")
        con.execute(
            "insert into raw.calendar values ('2099-11-27', 'Black Friday', '3'), "
            "('2099-11-27', 'Black Friday', '2'), ('2099-11-28', 'Sale', null), "
            "('2099-11-29', 'Closed', '0'), ('2099-11-30', 'Odd', '-1'), "
            "('soon', 'x', '1'), ('2024-01-01', null, '1')"
        )
    run_dbt(ResolvedShop(db, tmp_path / "models"), "run", select=["stg_cva__calendar"])
    with duckdb.connect(str(db)) as con:
        rows = con.execute(
            "select event, factor, reject_reason from main_cva.stg_cva__calendar order by all"
        ).fetchall()
    assert sorted(rows, key=str) == sorted(
        [
            ("Black Friday", 3.0, None),
            ("Black Friday", 2.0, "duplicate_event"),
            ("Sale", None, None),
            ("Closed", 0.0, None),
            ("Odd", -1.0, "factor_negative"),
            ("x", 1.0, "date_unreadable"),
            (None, 1.0, "event_missing"),
        ],
        key=str,
    )


def test_a_training_says_what_events_do_and_which_nothing_is_known_of(tmp_path: Path) -> None:
    db = tmp_path / "shop.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute("create schema raw")
        con.execute(
            "create table raw.orders as select 'o' || i as order_id, 'c' || i % 60 as customer_id, "
            "timestamp '2023-01-01' + interval (i * 7 % 400) day as ordered_at, "
            "10 + i % 9 as amount from range(1200) as t(i)"
        )
        con.execute(
            "create table raw.calendar as from (values "
            "(date '2024-02-20', 'Big day', 10.0), (date '2024-03-01', 'Opening', null)"
            ") as t(date, event, factor)"
        )
    shop = ResolvedShop(db, tmp_path / "models")
    trained = train_shop(shop)
    assert trained.total_forecast is not None
    assert trained.total_forecast["events"] == pytest.approx(1 + 9 / 90)
    said = describe(trained, shop)
    assert "events of the calendar make it +10%" in said
    assert "without a factor or a former day: Opening" in said
