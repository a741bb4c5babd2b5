"""`cva publish --to FILE.xlsx`: what is in the sheets, and which file is replaced."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
from python_calamine import CalamineWorkbook

from cva_sql.cli.audience.workbook import MAX_CHARACTERS, Page, make_workbook
from cva_sql.cli.publish import book as books
from cva_sql.cli.publish.book import Book, write_book
from cva_sql.cli.publish.tables import identity, opened
from cva_sql.cli.shop.resolver import Need, open_shop
from cva_sql.udfs.errors import UsageError

RUN = "20260101T000000000000"
ODD = ["=1+1", "+49 30", "-5", "@sum", "\tx", "'quoted", "🛍️ é", "a\x07b", "x" * 40_000, None]
TABLES = (
    "create table customer_value (customer_id varchar, as_of_date date, churn_probability double,"
    " historic_value decimal(18, 4), is_overdue boolean, scored_at timestamp, orders bigint)",
    "comment on table customer_value is 'One row per customer.'",
    "comment on column customer_value.customer_id is '=who'",
    "insert into customer_value values"
    " ('a', '2026-01-01', 0.25, 1.5, true, '2026-01-02 03:04:05', 7),"
    " ('b', '0201-01-01', 'nan', null, false, '2026-01-02 03:04:05', 9007199254740993),"
    " ('c', null, null, null, null, null, null)",
    "create table customer_value_explain as select 'a' as customer_id",
    "create table churn_alerts (alert_id varchar, tags varchar[])",
)


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return make_shop(tmp_path / "one")


def make_shop(folder: Path) -> Path:
    """A published file of a few tables, without the run that would make one."""
    (folder / "published" / RUN).mkdir(parents=True)
    (folder / "published" / "current").symlink_to(RUN)
    duckdb.connect(str(folder / "shop.duckdb")).close()
    change(folder / "shop.duckdb", *TABLES)
    return folder / "shop.duckdb"


def change(db: Path, *statements: str) -> None:
    with duckdb.connect(str(db.parent / "published" / RUN / "cva.duckdb")) as con:
        for statement in statements:
            con.execute(statement)


def publish(db: Path, out: Path, *, is_to_adopt: bool = False) -> Book:
    shop = open_shop(db, need=Need.DATABASE)
    with opened(shop) as source:
        return write_book(source, shop, out, identity(shop), is_to_adopt=is_to_adopt)


def test_sheets_hold_numbers_dates_and_what_each_column_is(db: Path, tmp_path: Path) -> None:
    out = tmp_path / "v.xlsx"
    done = publish(db, out)
    assert done == Book(str(out), {"customer_value": 3, "churn_alerts": 0})
    book = openpyxl.load_workbook(out)
    assert book.sheetnames == ["columns", "customer_value", "churn_alerts"]
    assert [[cell.value for cell in row] for row in book["columns"].iter_rows(max_row=5)] == [
        ["sheet", "column", "meaning"],
        ["customer_value", None, "One row per customer."],
        ["churn_alerts", None, None],
        ["customer_value", "customer_id", "=who"],
        ["customer_value", "as_of_date", None],
    ]
    sheet = book["customer_value"]
    assert sheet.freeze_panes == "B2"
    assert sheet.auto_filter.ref == "A1:G4"
    assert [cell.value for cell in sheet[2]] == [
        "a", datetime(2026, 1, 1), 0.25, 1.5, True, datetime(2026, 1, 2, 3, 4, 5), 7,
    ]  # fmt: skip
    assert [cell.value for cell in sheet[3]][1:4] == ["0201-01-01", "nan", None]
    assert sheet["G3"].value == "9007199254740993"  # more digits than a spreadsheet keeps
    assert [cell.number_format for cell in sheet[2]] == [
        "General", "yyyy-mm-dd", "0.0%", "#,##0.00", "General", "yyyy-mm-dd hh:mm:ss", "#,##0",
    ]  # fmt: skip
    assert book["columns"]["C4"].data_type != "f"


def test_a_second_reader_reads_the_same(db: Path, tmp_path: Path) -> None:
    publish(db, tmp_path / "v.xlsx")
    sheet = CalamineWorkbook.from_path(str(tmp_path / "v.xlsx")).get_sheet_by_name("customer_value")
    assert sheet.to_python()[1][:3] == ["a", datetime(2026, 1, 1).date(), 0.25]


def test_text_is_never_a_formula_and_stays_as_it_is() -> None:
    data = make_workbook([Page("p", ["=head"], [[value] for value in ODD])])
    found = [cell for (cell,) in openpyxl.load_workbook(io.BytesIO(data))["p"].iter_rows()]
    assert {cell.data_type for cell in found} <= {"s", "n"}
    values = [cell.value for cell in found]
    assert values[:8] == ["=head", *ODD[:7]]
    assert values[8] == "a\N{REPLACEMENT CHARACTER}b"
    assert (len(values[9]), values[9][-1]) == (MAX_CHARACTERS, "…")
    assert [cell.quotePrefix for cell in found[1:8]] == [True] * 5 + [False] * 2
    assert "<f>" not in zipfile.ZipFile(io.BytesIO(data)).read("xl/worksheets/sheet1.xml").decode()


def test_the_same_tables_give_the_same_bytes(db: Path, tmp_path: Path) -> None:
    publish(db, tmp_path / "a.xlsx")
    publish(db, tmp_path / "b.xlsx")
    publish(db, tmp_path / "b.xlsx")  # its own is replaced
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()


def spoilt(kind: str, out: Path) -> None:
    if kind == "text":
        out.write_text("mine")
    elif kind == "book of others":
        openpyxl.Workbook().save(out)
    elif kind == "changed":
        book = openpyxl.load_workbook(out)
        book["customer_value"]["A2"] = "mine"
        book.save(out)
    elif kind == "part changed":
        with zipfile.ZipFile(out, "a") as parts:
            parts.writestr("xl/mine.xml", "mine")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("text", "is no workbook of cva's"),
        ("book of others", "is no workbook of cva's"),
        ("changed", "was changed since cva wrote it"),
        ("part changed", "was changed since cva wrote it"),
    ],
)
def test_a_file_that_is_not_ours_is_not_replaced(
    kind: str, said: str, db: Path, tmp_path: Path
) -> None:
    out = tmp_path / "v.xlsx"
    publish(db, out)
    spoilt(kind, out)
    before = out.read_bytes()
    with pytest.raises(UsageError, match=f"{said}.*; move it away, or name another file"):
        publish(db, out, is_to_adopt=True)
    assert out.read_bytes() == before


def test_the_workbook_of_another_database_is_not_replaced_until_adopted(
    db: Path, tmp_path: Path
) -> None:
    out, other = tmp_path / "v.xlsx", make_shop(tmp_path / "two & <more>")
    publish(other, out)
    publish(other, out)
    with pytest.raises(UsageError, match=r"of another database, shop\.duckdb .*say --adopt"):
        publish(db, out)
    publish(db, out, is_to_adopt=True)
    assert str(tmp_path) not in zipfile.ZipFile(out).read("docProps/core.xml").decode()


def test_places_that_would_harm_something_are_refused(db: Path, tmp_path: Path) -> None:
    folder, link = tmp_path / "f.xlsx", tmp_path / "l.xlsx"
    folder.mkdir()
    link.symlink_to(tmp_path / "none.xlsx")
    for out, said in (
        (folder, "is a folder"),
        (link, "is a link"),
        (db.parent / "published" / "current" / "v.xlsx", "the shop's own files"),
    ):
        with pytest.raises(UsageError, match=said):
            publish(db, out)


def test_more_rows_than_a_sheet_holds_are_refused(
    db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "v.xlsx"
    monkeypatch.setattr(books, "MAX_ROWS", 4)
    publish(db, out)
    monkeypatch.setattr(books, "MAX_ROWS", 3)
    with pytest.raises(UsageError) as error:
        publish(db, tmp_path / "w.xlsx")
    assert str(error.value) == (
        "customer_value has 3 rows, and a sheet holds 3 with its header; read "
        f"{db.parent}/published/current/customer_value.parquet, or publish to PostgreSQL"
    )
    assert not (tmp_path / "w.xlsx").exists()


def test_the_command_writes_the_book_of_a_sample_shop(
    sample_shop: Any, cva: Any, tmp_path: Path, rows: Any
) -> None:
    out = tmp_path / "customer_value.xlsx"
    done = cva("publish", "--db", sample_shop.db, "--to", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{out}: customer_value (800 rows), ")
    book = openpyxl.load_workbook(out, read_only=True)
    assert set(book.sheetnames) >= {
        "columns",
        "customer_value",
        "customer_segments",
        "next_actions",
    }
    explained = list(book["columns"].iter_rows(min_row=2, values_only=True))
    assert [row for row in explained if row[2] is None] == []
    query = "select customer_id, score from customer_value"
    found = [row[:2] for row in book["customer_value"].iter_rows(min_row=2, values_only=True)]
    assert [row[0] for row in found] == [i for i, _ in rows(Path(sample_shop.run.published), query)]
    assert cva("publish", "--db", sample_shop.db, "--to", tmp_path / "f").returncode == 2
