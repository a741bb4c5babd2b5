"""The pages of docs/: `sh` blocks run as they stand, Python parses, every command has a part."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
import typer.main
import yaml

from cva_sql.cli.app import app
from cva_sql.cli.shop.defaults import internal_vars
from cva_sql.cli.shop.package import project_dir

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
PAPERS = [*(ROOT / name for name in ("README.md", "README.zh.md", "CONTRIBUTING.md")), *PAGES]
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return [body for kind, body in BLOCK.findall(text) if kind == language]


@pytest.fixture(scope="module")
def shop_files(sample_shop: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the pages speak of: sales.csv, warehouse.duckdb and shop.duckdb."""
    folder = tmp_path_factory.mktemp("docs")
    with duckdb.connect() as con:
        con.execute(f"attach '{sample_shop.db}' as sample (read_only)")
        con.execute(f"attach '{folder / 'warehouse.duckdb'}' as warehouse")
        con.execute(
            "create table warehouse.main.sales as select order_id as ref, customer_id as client, "
            "ordered_at as sold_at, amount as total from sample.raw.orders "
            "where ordered_at < '2026-01-01'"
        )
        con.execute(f"copy warehouse.main.sales to '{folder / 'sales.csv'}' (header)")
        con.execute(f"attach '{folder / 'shop.duckdb'}' as shop")
        con.execute("create schema shop.raw")
        con.execute("create table shop.raw.orders as from sample.raw.orders")
        con.execute("create table shop.raw.reviews as from sample.raw.reviews limit 50")
    return folder


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "sh")], ids=lambda page: page.stem)
def test_the_commands_of_a_page_run_as_they_stand(
    page: Path, shop_files: Path, tmp_path: Path
) -> None:
    names = ["warehouse.duckdb", "sales.csv"]
    if page.stem in ("alerts", "bi_tools", "explain", "orchestrating", "segments"):
        names = ["shop.duckdb"]
    for name in names:
        (tmp_path / name).write_bytes((shop_files / name).read_bytes())
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-u", "-c", "\n".join(blocks(page, "sh"))],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_the_python_of_its_page_runs_as_it_stands(shop_files: Path, tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_bytes((shop_files / "sales.csv").read_bytes())
    same_python = f"import sys; sys.executable = {sys.executable!r}"  # by which it starts dbt
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([same_python, *blocks(DOCS / "python.md", "python")])],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "nanobind" not in done.stderr


@pytest.mark.parametrize("page", PAPERS, ids=lambda page: page.stem)
def test_python_parses_and_links_lead_somewhere(page: Path) -> None:
    for block in blocks(page, "python"):
        ast.parse(block)
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_a_part_of_its_own(name: str) -> None:
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    assert command.help
    for page in (DOCS / "commands.md", DOCS / "reference" / "commands.md"):
        assert f"## cva {name}\n" in page.read_text(encoding="utf-8")


def test_every_var_is_described() -> None:
    """But those that the commands set themselves while training."""
    settings = yaml.safe_load((project_dir() / "dbt_project.yml").read_text(encoding="utf-8"))
    text = (DOCS / "reference" / "vars.md").read_text(encoding="utf-8")
    missing = [name for name in settings["vars"] if f"`{name}`" not in text]
    assert set(missing) <= internal_vars()


def test_every_column_is_described_in_the_database(sample_shop: Any, rows: Any) -> None:
    undescribed = rows(
        sample_shop.db,
        "select table_name, column_name from duckdb_columns() where not internal "
        "and schema_name in ('main', 'main_cva') and comment is null "
        "and table_name <> 'cva_model_metrics'",
    )
    assert undescribed == []


def test_dbts_own_docs_build(sample_shop: Any, tmp_path: Path) -> None:
    db = sample_shop.copy_to(tmp_path / "shop")
    arguments = ["docs", "generate", "--target-path", str(tmp_path), "--log-path", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "dbt.cli.main", *arguments],
        cwd=project_dir(),
        env={**os.environ, "CVA_DB": str(db)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "catalog.json").is_file()
