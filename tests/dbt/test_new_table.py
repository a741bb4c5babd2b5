"""A raw table that the package does not have: its registry entry and a staging model are enough.

The tests work on a copy of the package with a table `repairs`, in processes that import the copy.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.shop.package import project_dir

# What adding the table takes: lines in files that there are, and new files.
LINES: dict[str, tuple[str, str]] = {  # file -> (the text before which they go, the lines)
    "macros/raw_tables.sql": (
        '    "orders": {\n',
        """    "repairs": {
        "role": "facts",
        "date": "opened_at",
        "states": {"closed_at": ["closed_at"]},
        "key": ["repair_id"],
        "kept": ["opened_at", "customer_id", "subject"],
        "columns": {
            "repair_id": ["id", true, "repair id=1, repair=.75, id=.75"],
            "customer_id": ["id", true, "customer id=1, customer=.8"],
            "opened_at": ["time", true, "opened time=1, repair time=1, time=.9, created time=.8"],
            "closed_at": ["time", false, "closed time=1"],
            "subject": ["text", false, "subject=1"],
            "replies": ["integer", false, "reply quantity=1"],
        },
        "name": "repair",
        "words": {
            "repair": "repair reparatur",
            "opened": "opened offen",
            "closed": "closed geschlossen",
            "subject": "subject betreff",
            "reply": "reply antwort",
        },
    },
""",
    ),
}
FILES: dict[str, str] = {
    "models/staging/stg_cva__repairs.sql": """-- One row per raw repair row.
{{ cva.staged('repairs') }}
""",
    "models/staging/stg_cva__repairs.yml": """models:
  - name: stg_cva__repairs
    description: One row per raw repair row.
    columns:
      - name: repair_id
        description: Repair; null where missing, which is a reject.
      - name: customer_id
        description: Customer who wrote it; null where unknown, which is a reject.
      - name: opened_at
        description: When it was opened; null where missing or unreadable.
      - name: opened_date
        description: Day of opened_at.
      - name: closed_at
        description: When it was closed; null where it is open.
      - name: subject
        description: What it is about; null where unknown.
      - name: replies
        description: Answers to it; null where unknown.
      - name: reject_reason
        description: Why the row cannot be used; null where it can.
""",
}

ORDERS = """order_id,customer_id,ordered_at,amount
o1,buys,2025-01-01,10
o2,buys,2025-02-01,20
o3,both,2025-03-01 10:00:00,30
"""
REPAIRS = """nr,customer_id,opened_at,closed_at,subject,replies
t1,both,2025-02-20 10:00:00,2025-04-01,Where is it?,2
t1,both,2025-02-21,,a copy,
t2,writes,2025-03-02T08:00:00Z,,Hello,1.5
t3,,2025-01-01,,nobody,
,both,2025-01-01,,no id,
t4,both,1969-12-31,,ancient,
t5,both,,,no date,
t6,late,2125-01-01,,from the future,
"""
REJECTS = {
    "duplicate_repair_id": 1,
    "customer_unknown": 1,
    "repair_id_missing": 1,
    "opened_at_before_1970": 1,
    "opened_at_missing": 1,
    "in_the_future": 1,
    "on_or_after_as_of": 1,
}
Call = Callable[..., str]


@dataclass(frozen=True)
class NewTable:
    """A copy of the package that has the table, and a shop that was loaded and run with it."""

    call: Call
    project: Path
    db: Path
    loaded: str

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.db), read_only=True) as con:
            return con.execute(query).fetchall()


def copy_package(folder: Path) -> None:
    """Writes the package with the table, so that `folder` before all on the path imports it."""
    root = folder / "cva_sql"
    root.mkdir()
    for part in ("cli", "udfs", "models_onnx"):
        (root / part).symlink_to(str(files(f"cva_sql.{part}")))
    shutil.copytree(project_dir(), root / "dbt_project")
    for file, (before, lines) in LINES.items():
        path = root / "dbt_project" / file
        text = path.read_text(encoding="utf-8")
        assert text.count(before) == 1
        path.write_text(text.replace(before, lines + before), encoding="utf-8")
    for file, text in FILES.items():
        (root / "dbt_project" / file).write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> NewTable:
    package, folder = (tmp_path_factory.mktemp(name) for name in ("package", "shop"))
    copy_package(package)

    def call(module: str, *arguments: object, fails: bool = False, db: Path | None = None) -> str:
        done = subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(package), "CVA_DB": str(db)},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    (folder / "orders.csv").write_text(ORDERS)
    (folder / "repairs.csv").write_text(REPAIRS)
    db = folder / "shop.duckdb"
    call("cva_sql.cli.app", "load", "orders", "orders.csv")
    loaded = call("cva_sql.cli.app", "load", "repairs", "repairs.csv", "--column", "repair_id=nr")
    call("cva_sql.cli.app", "run", "--db", db)
    return NewTable(call, package / "cva_sql" / "dbt_project", db, loaded)


def run_dbt(new: NewTable, command: str, *options: str) -> str:
    places = ["--project-dir", new.project, "--profiles-dir", new.project]
    places += ["--log-path", "logs", "--target-path", "target"]
    return new.call("dbt.cli.main", command, *places, *options, db=new.db)


def test_load_knows_the_table(new: NewTable) -> None:
    assert new.loaded.startswith("raw.repairs: 8 repairs (3 customers, 1969-12-31 .. 2125-01-01)")
    assert "repair_id on more than one row: 1 value" in new.loaded
    assert "without opened_at: 1 repair" in new.loaded
    assert "could not be read: replies 1 value, e.g. '1.5'" in new.loaded
    said = new.call("cva_sql.cli.app", "load", "calls", "repairs.csv", fails=True)
    assert "'calls' is not a table, a preset or a file; expected one of repairs, orders" in said


def test_rejects_account_for_its_rows(new: NewTable) -> None:
    query = """select reason, row_count, raw_row_count, valid_row_count from main_cva.cva_rejects
        where table_name = 'repairs'"""
    assert {row[0]: row[1:] for row in new.rows(query)} == {
        reason: (count, 8, 1) for reason, count in REJECTS.items()
    }


def test_a_repair_shows_that_a_customer_was_there_and_does_not_set_the_date(new: NewTable) -> None:
    found = new.rows(
        "select customer_id, as_of_date::varchar, first_seen_date::varchar "
        "from main_cva.int_cva__spine order by 1"
    )
    assert found == [
        ("both", "2025-03-02", "2025-02-20"),
        ("buys", "2025-03-02", "2025-01-01"),
    ]
    assert new.rows("select count(*) from customer_value") == [(2,)]


def test_what_came_later_is_taken_away_from_it(new: NewTable) -> None:
    folder = new.db.parent / ".cva" / "check"  # where check-features has its copy
    folder.mkdir(parents=True, exist_ok=True)
    cut = replace(new, db=folder / "cut.duckdb")
    shutil.copyfile(new.db, cut.db)
    run_dbt(cut, "run-operation", "cva.cut_raw_tables", "--args", '{"as_of": "2025-02-21"}')
    found = cut.rows("select repair_id, closed_at from raw.repairs where customer_id = 'both'")
    assert sorted(found, key=str) == [("t1", None), ("t4", None), ("t5", None), (None, None)]


def test_scan_finds_it_by_another_name(new: NewTable, tmp_path: Path) -> None:
    db = tmp_path / "erp.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute(
            "create table Reparaturen as select 'A' || i as ReparaturNr, 'K' || i % 9 as KundenNr, "
            "timestamp '2024-01-01' + interval (i) day as Reparaturdatum, 'x' as Betreff "
            "from range(50) as t(i)"
        )
    said = new.call("cva_sql.cli.app", "init", tmp_path / "project", "--scan", db)
    assert "repairs = main.Reparaturen" in said
    project = (tmp_path / "project" / "dbt_project.yml").read_text()
    assert "cva_repairs_identifier: Reparaturen" in project
    assert "  opened_at: Reparaturdatum" in project


def test_the_packages_own_unit_tests_need_no_change(new: NewTable) -> None:
    said = run_dbt(new, "test", "--select", "test_type:unit")
    assert "PASS int_cva__spine::" in said
    assert " ERROR=0 " in said


def test_vars_say_where_it_is_and_what_its_columns_are(new: NewTable) -> None:
    with duckdb.connect(str(new.db)) as con:
        con.execute("create or replace view raw.support as select 'x' as topic, * from raw.repairs")
    mapped = {
        "cva_repairs_identifier": "support",
        "cva_repairs_columns": {"subject": "upper(topic)"},
    }
    run_dbt(new, "run", "--select", "stg_cva__repairs", "--vars", json.dumps(mapped))
    staged = "select distinct subject, opened_date from main_cva.stg_cva__repairs"
    assert ("X", date(2025, 2, 20)) in new.rows(staged)
