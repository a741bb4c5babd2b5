"""Every command that `cva doctor` prints runs as it is, on the shop that made it print it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from cva_sql.cli.init.project import init_project

# Names that SQL has for itself, so that all has to be quoted: an order far ahead of the others, one
# of a billion, an id in two spellings, a reseller, a third without an amount.
ODD = (
    'create schema "my shop"',
    """create table "my shop"."order" as select 'O''' || i as "group",
    case when i < 240 then 'the ''reseller''' when i = 400 then 'c401' else 'C' || i end as who,
    current_date - (900 + i // 4)::int as "at",
    case when i % 3 > 0 or i = 400 then 20 + i % 40 end::double as "sum"
    from range(600) as t(i)""",
    """insert into "my shop"."order" values ('ahead', 'C450', current_date - 1, 10),
    ('typed', 'C451', current_date - 910, 1e9)""",
)
ODD_VARS = (
    "{cva_raw_schema: my shop, cva_orders_identifier: order, cva_orders_columns: "
    '{order_id: "\\"group\\"", customer_id: who, ordered_at: "\\"at\\"", amount: "\\"sum\\""}}'
)
ORDERS = """create table {name} as select 'O' || i as order_id, {customer} as customer_id,
current_date - 1 - i::int as ordered_at, 20.5 + i % 40 as amount, '{status}' as status
from range(120) as t(i)"""


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        timeout=300,
        check=False,
    )


def run_all(doctor: str, folder: Path) -> list[str]:
    """Runs what doctor prints in a shell; the names of the commands."""
    said = shell(doctor, folder)
    assert said.returncode == 0, said.stdout + said.stderr
    printed = [line.strip() for line in said.stdout.splitlines() if line.startswith("      ")]
    for command in printed:
        done = shell(command, folder)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return [command.split()[1] for command in printed]


def fill(db: Path, *statements: str) -> None:
    with duckdb.connect(str(db)) as con:
        for statement in statements:
            con.execute(statement)


def test_tables_of_other_names(tmp_path: Path) -> None:
    fill(tmp_path / "my shop.duckdb", ORDERS.format(name="sales", customer="i % 40", status=""))
    assert run_all("cva doctor --db 'my shop.duckdb'", tmp_path) == ["init"]


def test_all_that_is_odd(tmp_path: Path) -> None:
    fill(tmp_path / "shop.duckdb", *ODD)
    doctor = f"cva doctor --db shop.duckdb --vars '{ODD_VARS}'"
    names = run_all(doctor, tmp_path)
    # ahead; amount; two spellings; reseller of orders, of spend; rejects; model; build
    assert names == ["run", "sql", "run", "sql", "sql", "train", "run"]


def test_statuses_come_before_any_other_run(tmp_path: Path) -> None:
    orders = ORDERS.format(name="raw.orders", customer="'C' || i", status="on-hold")
    fill(tmp_path / "shop.duckdb", "create schema raw", orders)
    # each customer has one order: that is looked at
    assert run_all("cva doctor --db shop.duckdb", tmp_path) == ["run", "sql"]


def test_a_dbt_project_in_another_folder(tmp_path: Path) -> None:
    db = tmp_path / "shop.duckdb"
    orders = ORDERS.format(name="raw.orders", customer="'C' || i % 40", status="paid")
    fill(db, "create schema raw", orders)
    init_project(tmp_path / "a project", db)
    assert shell("cd 'a project' && dbt deps", tmp_path).returncode == 0
    assert run_all("cva doctor --project 'a project'", tmp_path) == ["train", "run"]


@pytest.mark.parametrize("orders", [False, True])
def test_what_needs_a_file_is_told_and_not_printed_as_a_command(
    tmp_path: Path, orders: bool
) -> None:
    db = tmp_path / "shop.duckdb"
    made = ORDERS.format(name="raw.orders", customer="i", status="paid")
    fill(db, *(("create schema raw", made, "delete from raw.orders") if orders else ()))
    assert run_all(f"cva doctor --db {db}", tmp_path) == []
