"""Database files: what is none is left alone, and what is wrong is said in one line."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from cva_sql.cli.init.command import init
from cva_sql.cli.init.scan.tables import opened
from cva_sql.cli.load.table import load_table
from cva_sql.cli.shop.connection import check_name, connect, reason_of
from cva_sql.udfs.errors import CvaError, UsageError


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("looked into the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def load(db: Path) -> None:
    file = db.parent / "orders.csv"
    file.write_text("order_id,customer_id,ordered_at,amount\n1,a,2024-01-01,3\n", encoding="utf-8")
    load_table("orders", [file], db=db, append=True)


def scan(db: Path) -> None:
    with opened(db):
        pass


WAYS = pytest.mark.parametrize("way", [load, scan, connect], ids=["load", "scan", "connect"])


def valid(db: Path) -> bytes:
    with duckdb.connect(str(db)) as con:
        con.execute("create table t as select range as a from range(100000)")
    return db.read_bytes()


def sqlite_file(db: Path) -> bytes:
    con = sqlite3.connect(db)
    con.execute("create table t (a)")
    con.commit()
    con.close()
    return db.read_bytes()


@WAYS
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda db: b"", "is an empty file; expected a DuckDB file, give another"),
        (sqlite_file, "is an SQLite database; expected a DuckDB file"),
        (lambda db: b"order_id,customer_id\n1,2\n", "is no DuckDB database"),
        (lambda db: valid(db)[:4096], "is damaged: "),
        (lambda db: b"x" + valid(db)[1:], "is damaged: "),
    ],
    ids=["empty", "sqlite", "csv", "cut", "changed"],
)
def test_what_is_no_sound_database_stays_as_it_is(
    tmp_path: Path, way: Callable[[Path], None], content: Callable[[Path], bytes], said: str
) -> None:
    db = tmp_path / "x.duckdb"
    data = content(db)
    db.write_bytes(data)
    with pytest.raises(CvaError) as error:
        way(db)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert "in use" not in str(error.value)
    assert db.read_bytes() == data


@pytest.mark.parametrize(
    "name",
    ["a'b.duckdb", '"q".duckdb', "a;b.duckdb", "a\nb.duckdb", "a\x1b[31m.duckdb", "{{x}}.duckdb",
     "{% x %}.duckdb", "raw.duckdb", "MAIN.duckdb", "pg_catalog.duckdb", "information_schema.db",
     "published", ".cva", "cva_models"],
)  # fmt: skip
def test_a_name_that_a_run_cannot_use_is_refused_by_load_too(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"call it e\.g\. shop") as error:
        load(tmp_path / name)
    assert not {"\n", "\x1b"} & set(str(error.value))
    assert [path.name for path in tmp_path.iterdir()] == ["orders.csv"]


@pytest.mark.parametrize("name", ["shop.duckdb", "a b.db", "ü 商店.duckdb", "2024-x", "memory"])
def test_usual_names_are_fine(name: str) -> None:
    check_name(Path(name))


def test_a_project_on_what_is_no_database_is_not_begun(tmp_path: Path) -> None:
    """dbt would look for an extension that reads it, in the network as well."""
    other = tmp_path / "x.sqlite"
    other.write_bytes(b"SQLite format 3\0" + bytes(100))
    for options in ({"db": other}, {"scan": other}):
        with pytest.raises(CvaError, match="is an SQLite database; expected a DuckDB file"):
            init(tmp_path / "project", **options)
    with pytest.raises(UsageError, match=r"call it e\.g\. shop"):
        init(tmp_path / "project", db=tmp_path / "raw.duckdb")
    assert not (tmp_path / "project").exists()


def test_an_extension_that_is_not_there_is_said_whole() -> None:
    with duckdb.connect() as con:
        con.execute("set autoinstall_known_extensions = false")
        con.execute("set autoload_known_extensions = false")
        with pytest.raises(duckdb.Error) as error:
            con.execute("from read_csv('https://example.invalid/x.csv')")
    assert reason_of(error.value) == (
        "this needs DuckDB's extension httpfs, which cva does not load; give a local file"
    )
