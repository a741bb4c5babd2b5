"""`cva load --from URL` without a server: SQLite, what is refused, and that no secret is said."""

from __future__ import annotations

import sqlite3
import sys
import traceback
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.load.batches import fill_table
from cva_sql.cli.load.databases import find_database
from cva_sql.cli.load.table import load_table
from cva_sql.udfs.errors import CvaError, UsageError

SECRET = "pässw0rd/#"
SOLD = ((1, "a", 10), (2, "b", 2.5), (3, "a", "7"))
WRITTEN = "p%C3%A4ssw0rd%2F%23"


@pytest.fixture
def shop(tmp_path: Path) -> str:
    """The URL of a SQLite database with 3 orders."""
    file = tmp_path / "till.sqlite"
    with sqlite3.connect(file) as con:
        con.execute("create table sold (order_id integer, who text, day text, total)")
        rows = [
            (1, "a", "2024-01-02", 10),
            (2, "b", "2024-01-03", 2.5),
            (3, "a", "2024-01-04", "7"),
        ]
        con.executemany("insert into sold values (?, ?, ?, ?)", rows)
    con.close()
    return f"sqlite:///{file}"


def load(tmp_path: Path, url: str | None, query: str = "select * from sold", **more: Any) -> Any:
    columns = {"customer_id": "who", "ordered_at": "day", "amount": "total"}
    db = tmp_path / "shop.duckdb"
    return load_table("orders", db=db, url=url, query=query, columns=columns, **more)


def test_a_query_over_sqlite_is_loaded(shop: str, tmp_path: Path) -> None:
    report = load(tmp_path, shop, "select * from sold where total <> 'x%' and day <> ':a';")
    assert (report.loaded.rows, report.loaded.customers) == (3, 2)
    assert str(report.loaded.amount) == "19.5000"


def test_the_url_may_be_in_the_environment(
    shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TILL_URL", shop)
    assert load(tmp_path, "TILL_URL").loaded.rows == 3


def test_a_bad_query_leaves_the_table_as_it_was(shop: str, tmp_path: Path) -> None:
    load(tmp_path, shop)
    for query in ("select absent from sold", "delete from sold", "create table x (a int)"):
        with pytest.raises(UsageError, match=r"--query: (no such column|attempt to write)"):
            load(tmp_path, shop, query, replace=True)
    assert load(tmp_path, shop, append=True).changes.unchanged == 3


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("SHOP_URL", "--from SHOP_URL: no such environment variable"),
        (f"user:{SECRET}@host", "--from is no URL; expected a URL, e.g. postgresql://user@host"),
        (f"postgresql://u:{SECRET}@w@host/db", "write it as %40"),
        (f"postgresql://u:{WRITTEN}@host:port/db", "cannot be read"),
        (f"nosuch://u:{WRITTEN}@host/db", "install what SQLAlchemy needs for nosuch"),
        (f"postgresql+nosuch://u:{WRITTEN}@host/db", "what SQLAlchemy needs for postgresql+nosuch"),
        (f"postgresql://u:{WRITTEN}@127.0.0.1:1/db", "postgresql://u:***@127.0.0.1:1/db: "),
        (f"mysql://u:{WRITTEN}@127.0.0.1:1/db", "mysql://u:***@127.0.0.1:1/db: "),
        (f"postgresql://127.0.0.1:1/db?user=u&password={WRITTEN}", "127.0.0.1:1/db: "),
        (f"postgresql://127.0.0.1:1/db?wrong={WRITTEN}&password={WRITTEN}", "127.0.0.1:1/db: "),
        ("sqlite:///absent.sqlite", "is no file"),
    ],
)
def test_what_cannot_be_reached_is_one_line_without_the_secret(
    url: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(CvaError) as error:
        load(tmp_path, url)
    assert said in str(error.value)
    assert "ssw0rd" not in str(error.value)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
    shown = "".join(traceback.format_exception(error.value))
    assert "sqlalchemy.exc" not in shown  # a driver's own words


def test_a_secret_in_a_drivers_words_is_hidden() -> None:
    database = find_database(f"postgresql://u:{WRITTEN}@host/db?sslpassword=inner&sslmode=require")
    text = f"cannot use {SECRET} or {WRITTEN}, nor inner; require it\nDETAIL: more"
    assert database.hide(text) == "cannot use *** or ***, nor ***; require it"


def test_without_the_extra_it_says_what_to_install(
    shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(CvaError, match=r"pip install 'cva-sql\[sql\]'") as error:
        load(tmp_path, shop)
    assert error.value.exit_code == 1


def test_a_url_needs_a_query_and_no_files(shop: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--from needs --query"):
        load_table("orders", [tmp_path / "f.csv"], db=tmp_path / "shop.duckdb", url=shop)


def test_a_column_takes_the_type_that_holds_all_its_batches() -> None:
    from datetime import UTC, datetime
    from decimal import Decimal
    from uuid import UUID

    batches = [
        [(None, 1, Decimal("1.5"), 1, {"a": 1}, datetime(2024, 1, 2, tzinfo=UTC), 1)],
        [(7, 2**70, Decimal("12345.678"), None, None, None, "x")],
        [(None, 3, None, Decimal("0.25"), ["ü"], None, UUID(int=5))],
        [(None, 3, Decimal("9" * 40), None, None, None, None)],
    ]
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        fill_table(con, "temp.t", ["a", "b", "c", "d", "e", "f", "a"], batches)
        types = [row[:2] for row in con.execute("describe temp.t").fetchall()]
        rows = con.execute("select columns(*)::varchar from temp.t").fetchall()
    assert types[0] == ("a", "BIGINT")
    assert types[3:7] == [
        ("d", "DECIMAL(21,2)"),
        ("e", "VARCHAR"),
        ("f", "TIMESTAMP WITH TIME ZONE"),
        ("a_1", "VARCHAR"),
    ]
    assert rows == [
        (None, "1", "1.500", "1.00", '{"a": 1}', "2024-01-02 00:00:00+00", "1"),
        ("7", str(2**70), "12345.678", None, None, None, "x"),
        (None, "3", None, "0.25", '["ü"]', None, str(UUID(int=5))),
        (None, "3", "9" * 40, None, None, None, None),
    ]
