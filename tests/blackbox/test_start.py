"""`cva start`: from a file of orders to the report, and what it says the second time."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a file of orders whose columns have a shop's own names."""
    place = tmp_path_factory.mktemp("start")
    with duckdb.connect() as con:
        con.execute(
            "copy (select 'R' || i as ref, 'k' || (hash(i) % 150) as client,"
            " timestamp '2024-01-01' + interval 400 minute * i as sold_at,"
            " 5 + hash(i + 1) % 5000 / 100 as total from range(1200) as r(i))"
            f" to '{place / 'sales.csv'}' (header)"
        )
    return place


@pytest.fixture(scope="module")
def started(folder: Path, cva: Any) -> subprocess.CompletedProcess[str]:
    done: subprocess.CompletedProcess[str] = cva("start", "sales.csv", "--no-open", cwd=folder)
    assert done.returncode == 0, done.stderr
    return done


def test_it_shows_the_total_first_and_ends_in_a_report(
    started: subprocess.CompletedProcess[str], folder: Path, rows: Any
) -> None:
    lines = started.stdout.splitlines()
    assert lines[0].startswith("1,200 orders of 149 customers in 334 days, 2024-01-01 .. ")
    assert "report: cva_shop/report.html" in lines
    assert (folder / "cva_shop" / "report.html").read_bytes().startswith(b"<!doctype html")
    published = folder / "cva_shop" / "published" / "current" / "cva.duckdb"
    assert rows(published, "select count(*) from customer_value") == [(149,)]
    assert sorted(path.name for path in folder.iterdir()) == ["cva_shop", "sales.csv"]


def test_the_commands_that_it_prints_run(
    started: subprocess.CompletedProcess[str], folder: Path, cva: Any
) -> None:
    printed = [line.partition("  cva ")[2] for line in started.stdout.splitlines()]
    sql, evaluate, load = [line for line in printed if line]
    assert evaluate == "evaluate --db cva_shop/shop.duckdb"
    assert cva(*shlex.split(sql), cwd=folder).returncode == 0
    command = load.split(", then")[0].replace("FILE", "sales.csv")
    loaded = cva(*shlex.split(command), cwd=folder)
    assert "0 inserted, 0 updated, 1,200 unchanged" in loaded.stdout


def test_a_second_start_changes_nothing_and_says_how_to_go_on(
    started: subprocess.CompletedProcess[str], folder: Path, cva: Any
) -> None:
    def state() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}

    before = state()
    done = cva("start", "sales.csv", cwd=folder)
    assert done.returncode == 2
    assert "cva_shop is there, with a shop of 1,200 orders" in done.stderr
    assert "cva load orders FILE --append --db cva_shop/shop.duckdb" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert state() == before
