"""Table cva_runs: a row for each command, whatever became of it; and who keeps whom off."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.load.table import load_table
from cva_sql.cli.run.gates import check_customers
from cva_sql.cli.shop.dbt_runner import _execute
from cva_sql.cli.shop.history import COLUMNS, Entry, recorded, recording, say_unpublished
from cva_sql.cli.shop.lock import exclusive
from cva_sql.cli.shop.resolver import Need, open_shop
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.sql.session import query_shop
from cva_sql.udfs.errors import CvaError, UsageError


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "shop.duckdb"


def load(db: Path, rows: str = "1,a,2024-01-01,3\n", **options: bool) -> None:
    file = db.parent / "orders.csv"
    file.write_text(f"order_id,customer_id,ordered_at,amount\n{rows}", encoding="utf-8")
    load_table("orders", [file], db=db, **options)


def runs(db: Path, columns: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(db), read_only=True) as con:
        return con.execute(f"select {columns} from cva_runs order by started_at").fetchall()


def test_a_load_leaves_a_row_also_where_it_failed(db: Path) -> None:
    load(db)
    load(db, "2,a,2024-01-02,3\n3,b,2024-01-02,3\n", append=True)
    with pytest.raises(UsageError):
        load(db)
    assert runs(db, "command, outcome, row_count, reason like '%add --replace%'") == [
        ("load orders", "ok", 1, None),
        ("load orders", "ok", 2, None),
        ("load orders", "failed", None, True),
    ]
    assert [row[0] for row in runs(db, "duration_seconds >= 0 and finished_at >= started_at")] == [
        True
    ] * 3
    with duckdb.connect(str(db), read_only=True) as con:
        named = con.execute(
            "select column_name, comment from duckdb_columns() where table_name = 'cva_runs'"
        ).fetchall()
    assert dict(named) == {name: comment for name, (_, comment) in COLUMNS.items()}


def test_a_load_that_fails_leaves_no_database_for_its_row(db: Path) -> None:
    with pytest.raises(CvaError):
        load(db, "")
    assert not db.exists()


def test_a_command_that_fails_says_why_in_its_row(db: Path) -> None:
    load(db)
    found = Entry("2025-01-01", 3, 1, "v1")
    with recorded(db, "run") as entry:
        entry.fill(found)
    for error in (CvaError("no such thing"), ValueError("a\nb"), KeyboardInterrupt()):
        with pytest.raises(type(error)), recorded(db, "train"):
            raise error
    columns = "command, outcome, reason, as_of_date::varchar, row_count, rejected_row_count"
    assert runs(db, f"{columns}, model_version")[1:] == [
        ("run", "ok", None, "2025-01-01", 3, 1, "v1"),
        ("train", "failed", "no such thing", None, None, None, None),
        ("train", "failed", "ValueError: a b", None, None, None, None),
        ("train", "failed", "interrupted", None, None, None, None),
    ]


def test_a_killed_command_is_told_by_the_next_one(db: Path) -> None:
    load(db)
    code = (
        "import os, sys; from pathlib import Path; from cva_sql.cli.shop.history import recorded\n"
        "with recorded(Path(sys.argv[1]), 'run'): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(db)], check=False)
    assert runs(db, "command, outcome, finished_at")[1:] == [("run", "running", None)]
    with recorded(db, "run"):
        pass
    assert [row[0] for row in runs(db, "outcome")] == ["ok", "killed", "ok"]


def test_what_a_command_decorates_claims_its_folder_and_says_what_is_full(db: Path) -> None:
    load(db)

    @recording("run", lambda rows: Entry(rows=rows))
    def build(shop: ResolvedShop, rows: int) -> int:
        if rows < 0:
            raise CvaError("IO Error: could not write: No space left on device")
        return rows

    shop = open_shop(db, need=Need.NOTHING)
    assert build(shop, 5) == 5
    assert (db.parent / ".cva" / ".cva_database").read_text() == "shop.duckdb\n"
    with pytest.raises(CvaError, match=r"has no room: about .* bytes are needed"):
        build(shop, -1)
    assert runs(db, "outcome, row_count, reason like '%has no room%'")[1:] == [
        ("ok", 5, None),
        ("failed", None, True),
    ]


def test_a_load_does_not_slip_in_between_two_turns_of_dbt(db: Path) -> None:
    load(db)
    shop = open_shop(db)
    with exclusive(shop):
        for call in (
            lambda: load(db, append=True),
            lambda: load(db, replace=True),
            lambda: query_shop(shop, "create table mine as select 1 as a"),
        ):
            with pytest.raises(CvaError, match="is in use by another process; wait for it"):
                call()
        assert query_shop(shop, "select 1 as a").num_rows == 1
    load(db, append=True)


def test_a_killed_dbt_is_said_to_be(db: Path) -> None:
    load(db)
    shop = open_shop(db)
    shop.work_dir.mkdir(exist_ok=True)
    code = "import os; os.kill(os.getpid(), 9)"
    with pytest.raises(CvaError, match=r"^dbt was killed by SIGKILL, for lack of memory or by"):
        _execute(shop, [sys.executable, "-c", code], {"CVA_TESTS_COLD": "1"})


@pytest.mark.parametrize(
    "given",
    [
        "{cva_as_of: 2025-02-31}",
        '{"cva_as_of": "2025-02-31"}',
        {"cva_as_of": "2025-02-31"},
        "[" * 200_000,
        "{a: &x [*x]}",
    ],
)
def test_a_day_that_is_in_no_calendar_is_one_line(db: Path, given: Any) -> None:
    load(db)
    with pytest.raises(UsageError) as error:
        open_shop(db, variables=given)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


def test_a_project_file_with_such_a_day_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "dbt_project.yml").write_text("name: x\nvars: {cva_as_of: 2025-02-31}\n")
    with pytest.raises(UsageError, match="cannot be read: day is out of range"):
        open_shop(project=tmp_path)


def test_readers_say_that_the_last_run_was_not_published(
    db: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with duckdb.connect(str(db)) as con:
        say_unpublished(con)  # no run was ever made
    for number, (end, said) in enumerate(
        [
            (None, ""),
            (CvaError("2 customers"), "the last run failed, and these tables may be what it left"),
            (None, ""),
        ]
    ):
        with contextlib.suppress(CvaError), recorded(db, "run"):
            if end is not None:
                raise end
        with recorded(db, "explain"):
            pass  # what came after it says nothing of it
        with duckdb.connect(str(db)) as con:
            say_unpublished(con)
        err = capfd.readouterr().err
        assert err.startswith(said), number
        assert bool(err) == bool(said), number
    with duckdb.connect(str(db)) as con:
        con.execute("update main.cva_runs set outcome = 'running'")
        say_unpublished(con)
    assert capfd.readouterr().err.startswith("the last run did not end")


@pytest.mark.parametrize("harm", ["cut", "another", "folder"])
def test_what_was_published_and_is_damaged_is_nothing_to_compare_with(
    db: Path, harm: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = ResolvedShop(db, db.parent / "cva_models")
    published = shop.published / "current" / "cva.duckdb"
    published.parent.mkdir(parents=True)
    for file, rows in ((db, 2), (published, 5)):
        with duckdb.connect(str(file)) as con:
            con.execute(f"create table customer_value as select * from range({rows})")
    with pytest.raises(CvaError, match="customer_value has 2 customers and the published one 5"):
        check_customers(shop)
    data = published.read_bytes()
    published.unlink()
    if harm == "cut":
        published.write_bytes(data[: len(data) // 2])
    elif harm == "another":
        duckdb.connect(str(published)).close()
    else:
        published.mkdir()
    check_customers(shop)
    assert ("so nothing is compared with it" in capfd.readouterr().err) == (harm != "folder")
