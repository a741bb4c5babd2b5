"""The DuckDB file that a run publishes is one that old readers open, unless a table needs more."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from cva_sql.cli.run.publish import publish
from cva_sql.cli.shop.resolver import Need, open_shop
from cva_sql.udfs.errors import CvaError

RUN = "20260101T000000000000"

MARTS = """create table main.customer_value as select 'a' as customer_id, 1.5::decimal(18, 4) as
    predicted_value, ['x'] as reasons, {'rank': 1} as first, now() as scored_at;
create table main.mine as select """
SAID = """create schema main_cva; create table main_cva.cva_marts as
    select * from (values ('main', 'customer_value', false, false), ('main', 'mine', true, false))
    as said(schema_name, table_name, is_own, only_with_rows)"""


def publish_tables(folder: Path, own: str) -> Path:
    """The file published of a table of the package's and one of the user's."""
    db = folder / "shop.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute(MARTS + own)
        con.execute(SAID)
    shop = open_shop(db, need=Need.NOTHING)
    return publish(shop, RUN) / "cva.duckdb"


def storage_of(file: Path) -> str:
    with duckdb.connect(str(file), read_only=True) as con:
        found = con.execute(
            "select tags['storage_version'] from duckdb_databases() where not internal"
        ).fetchall()
    return str(found[0][0])


def test_the_file_is_of_the_oldest_storage_that_there_is(tmp_path: Path) -> None:
    file = publish_tables(tmp_path, "1 as n")
    assert storage_of(file) == "v1.0.0+"
    assert sorted(path.name for path in file.parent.iterdir()) == [
        ".cva_run", "customer_value.parquet", "cva.duckdb", "mine.parquet"
    ]  # fmt: skip


def test_a_table_that_needs_a_newer_storage_gets_it_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = publish_tables(tmp_path, "42::variant as anything")
    assert storage_of(file) == "v1.5.0+"
    assert "cva.duckdb needs a DuckDB later than v1.0.0: main.mine" in capsys.readouterr().err
    with duckdb.connect(str(file), read_only=True) as con:
        assert con.execute("select count(*) from customer_value").fetchall() == [(1,)]


def test_what_no_storage_holds_publishes_nothing(tmp_path: Path) -> None:
    with pytest.raises(CvaError, match=r"main\.mine cannot be published"):
        publish_tables(
            tmp_path, "1 as n; drop table mine; create view mine as select error('no') as n"
        )
    assert not (tmp_path / "published" / "current").exists()
