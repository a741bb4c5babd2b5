"""`cva load --append`: rows that are there already are updated, and nothing is counted twice."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from cva_sql.cli.load.report import Changes, LoadReport
from cva_sql.cli.load.table import load_table

HEAD = "order_id,customer_id,ordered_at,amount"


def load(folder: Path, text: str, table: str = "orders", **options: Any) -> LoadReport:
    file = folder / "file.csv"
    file.write_text(text, encoding="utf-8")
    return load_table(table, [file], db=folder / "shop.duckdb", append=True, **options)


def loaded(folder: Path, select: str, table: str = "orders") -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "shop.duckdb"), read_only=True) as con:
        return con.execute(f"select {select} from raw.{table} order by all").fetchall()


def test_a_later_export_updates_what_changed(tmp_path: Path) -> None:
    head = f"{HEAD},status\n"
    load(
        tmp_path, f"{head}1,a,2024-01-02,10,paid\n2,b,2024-01-03,20,paid\n3,c,2024-01-04,30,paid\n"
    )
    report = load(
        tmp_path,
        f"{head}2,b,2024-01-03,25,paid\n3,d,2024-01-04,30,paid\n4,d,2024-01-05,40,paid\n1,a,2024-01-02,10,paid\n",
    )
    assert report.changes == Changes(inserted=1, updated=2, unchanged=1, older=0, moved=1)
    assert "1 inserted, 2 updated, 1 unchanged; 1 order now of another customer" in report.as_text()
    assert loaded(tmp_path, "order_id, customer_id, amount") == [
        ("1", "a", 10),
        ("2", "b", 25),
        ("3", "d", 30),
        ("4", "d", 40),
    ]


def test_the_same_file_again_changes_nothing(tmp_path: Path) -> None:
    text = (
        f"{HEAD},status,channel\n1,a,2024-01-02,10,paid,web\n2,b,2024-01-03,20,,\n"
        ",c,2024-01-04,1,,\n"
    )
    load(tmp_path, text)
    before = loaded(tmp_path, "*")
    report = load(tmp_path, text)
    assert report.changes == Changes(inserted=0, updated=0, unchanged=3, older=0, moved=0)
    assert loaded(tmp_path, "*") == before


def test_an_older_version_does_not_come_back(tmp_path: Path) -> None:
    head = f"{HEAD},updated_at\n"
    load(tmp_path, f"{head}1,a,2024-01-02,12,2024-02-01\n")
    report = load(tmp_path, f"{head}1,a,2024-01-02,10,2024-01-02\n")
    assert report.changes == Changes(0, 0, 0, older=1, moved=0)
    assert loaded(tmp_path, "amount") == [(12,)]


def test_a_status_that_changed_has_a_time(tmp_path: Path) -> None:
    head = f"{HEAD},status,updated_at\n"
    load(tmp_path, f"{head}1,a,2024-01-02,10,paid,2024-01-02\n2,b,2024-01-03,20,paid,2024-01-03\n")
    load(
        tmp_path,
        f"{head}1,a,2024-01-02,10,cancelled,2024-03-01\n2,b,2024-01-03,21,paid,2024-03-01\n",
    )
    expected = [("1", "cancelled", datetime(2024, 3, 1)), ("2", "paid", None)]
    assert loaded(tmp_path, "order_id, status, status_changed_at") == expected
    # The next night's export says the same: the status is as old as before.
    load(tmp_path, f"{head}1,a,2024-01-02,10,cancelled,2024-04-01\n")
    assert loaded(tmp_path, "order_id, status, status_changed_at") == expected


def test_a_status_without_updated_at_changed_when_it_was_loaded(tmp_path: Path) -> None:
    head = f"{HEAD},status\n"
    load(tmp_path, f"{head}1,a,2024-01-02,10,paid\n")
    load(tmp_path, f"{head}1,a,2024-01-02,10,cancelled\n")
    ((status, changed),) = loaded(tmp_path, "status, status_changed_at")
    assert status == "cancelled"
    assert changed > datetime(2026, 1, 1)


def test_items_of_an_order_replace_those_of_it(tmp_path: Path) -> None:
    head = "order_id,product_id,quantity\n"
    load(tmp_path, f"{head}1,x,1\n1,x,1\n1,y,2\n2,x,1\n", "order_items")
    report = load(tmp_path, f"{head}1,x,1\n1,x,1\n1,y,2\n2,x,5\n3,z,1\n", "order_items")
    assert report.changes == Changes(inserted=1, updated=1, unchanged=3, older=0, moved=0)
    assert loaded(tmp_path, "*", "order_items") == [
        ("1", "x", 1.0),
        ("1", "x", 1.0),
        ("1", "y", 2.0),
        ("2", "x", 5.0),
        ("3", "z", 1.0),
    ]


def test_rows_without_an_id_go_by_all_they_hold(tmp_path: Path) -> None:
    head = "customer_id,returned_at,refund_amount\n"
    load(tmp_path, f"{head}a,2024-01-02,5\na,2024-01-02,5\nb,2024-01-03,6\n", "returns")
    report = load(tmp_path, f"{head}a,2024-01-02,5\nb,2024-01-03,6\nb,2024-01-04,7\n", "returns")
    assert report.changes == Changes(inserted=1, updated=0, unchanged=2, older=0, moved=0)
    assert report.table_now.rows == 4


def test_of_rows_without_an_id_those_beyond_what_is_there_are_new(tmp_path: Path) -> None:
    line = ",a,2024-01-02,10\n"
    for count, inserted, unchanged in ((1, 1, 0), (3, 2, 1), (2, 0, 2)):
        report = load(tmp_path, f"{HEAD}\n{line * count}")
        assert (report.changes or Changes(1, 0, 0, 0, 0)) == Changes(
            inserted=inserted, updated=0, unchanged=unchanged, older=0, moved=0
        )
    assert len(loaded(tmp_path, "*")) == 3


def test_a_column_that_the_load_does_not_bring_keeps_its_values(tmp_path: Path) -> None:
    load(tmp_path, f"{HEAD},channel\n1,a,2024-01-02,10,web\n2,b,2024-01-02,20,shop\n")
    load(tmp_path, f"{HEAD},status\n1,a,2024-01-02,11,paid\n")
    assert loaded(tmp_path, "order_id, amount, channel, status") == [
        ("1", 11, "web", "paid"),
        ("2", 20, "shop", None),
    ]


def test_orders_of_two_stores_are_two(tmp_path: Path) -> None:
    load(tmp_path, f"{HEAD},store\n1,a,2024-01-02,10,x\n")
    report = load(tmp_path, f"{HEAD},store\n1,b,2024-01-02,20,y\n1,a,2024-01-02,11,x\n")
    assert report.changes == Changes(inserted=1, updated=1, unchanged=0, older=0, moved=0)
    assert loaded(tmp_path, "store, customer_id, amount") == [("x", "a", 11), ("y", "b", 20)]
