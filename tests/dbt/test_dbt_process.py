"""The process that dbt works in says what it does as lines of JSON, and closes the database."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.package import project_dir
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.errors import CvaError

ORDERS = """create schema raw;
create table raw.orders as select 'o' || i as order_id, 'c' || i % 9 as customer_id,
    date '2024-01-01' + i::integer as ordered_at, 5.0 as amount from range(99) as t(i)"""


@pytest.fixture
def shop(tmp_path: Path) -> ResolvedShop:
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as con:
        con.execute(ORDERS)
    return ResolvedShop(tmp_path / "shop.duckdb", tmp_path / "cva_models")


def call(shop: ResolvedShop, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cva_sql.cli.shop.dbt_process", *arguments, "--project-dir",
         str(project_dir()), "--profiles-dir", str(shop.work_dir), "--target-path",
         str(shop.work_dir / "target"), "--log-path", str(shop.work_dir / "logs")],
        cwd=shop.work_dir, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_each_line_is_an_event_and_the_database_is_closed(shop: ResolvedShop) -> None:
    run_dbt(shop, "run", select=["stg_cva__orders"])
    done = call(shop, "run", "--select", "stg_cva__*")
    assert done.returncode == 0
    events = [json.loads(line)["info"] for line in done.stdout.splitlines()]
    assert "LogModelResult" in {event["name"] for event in events}
    assert "debug" not in {event["level"] for event in events}
    assert not shop.db.with_name("shop.duckdb.wal").exists()
    log = (shop.work_dir / "logs" / "dbt.log").read_text()
    assert "[debug]" in log
    assert "\x1b" not in log


def test_failures_of_every_kind_exit_with_1_and_say_why(shop: ResolvedShop) -> None:
    run_dbt(shop, "run", select=["stg_cva__orders"])
    for arguments, why in (
        (("run", "--vars", "{cva_horizon_days: -1}"), "cva_horizon_days is -1"),
        (("run", "--no-such-option"), "No such option"),
        (("run", "--vars", "{"), "vars"),
    ):
        done = call(shop, *arguments)
        assert done.returncode == 1
        assert why in done.stdout


def test_files_of_dbt_are_written_where_they_are_asked_for(shop: ResolvedShop) -> None:
    file = shop.work_dir / "target" / "run_results.json"
    run_dbt(shop, "run", select=["stg_cva__orders"])
    assert not file.exists()
    run_dbt(shop, "run", select=["stg_cva__orders"], environment={"DBT_WRITE_JSON": "true"})
    assert file.is_file()
    with pytest.raises(CvaError, match="cva_horizon_days is -1"):
        run_dbt(shop, "run", variables={"cva_horizon_days": -1})
