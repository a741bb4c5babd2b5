"""Defaults stand in dbt_project.yml alone: what else names one says the same."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from cva_sql.cli.load.command import load
from cva_sql.cli.shop.defaults import default_vars, internal_vars
from cva_sql.cli.shop.options import HorizonDays
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.sessions import USUAL_HORIZON_DAYS

ROOT = Path(__file__).parents[2]


def test_a_shop_has_the_vars_that_were_set_and_else_the_packages() -> None:
    shop = ResolvedShop(
        Path("x.duckdb"), Path("m"), {"cva_raw_schema": "erp", "cva_orders_identifier": "o"}
    )
    assert shop.var("cva_raw_schema") == "erp"
    assert shop.var("cva_timezone") == default_vars()["cva_timezone"] == "UTC"
    assert shop.var("cva_no_such_var") is None
    assert (shop.raw_table("orders"), shop.raw_table("reviews")) == (
        ("erp", "o"),
        ("erp", "reviews"),
    )


def test_internal_vars_are_those_that_the_file_marks() -> None:
    assert internal_vars() == {
        "cva_image_vectors",
        "cva_questions",
        "cva_reads_service",
        "cva_raw_database",
        "cva_spine",
        "cva_text_vectors",
        "cva_training_dates",
        "cva_training_max_rows",
    }
    assert internal_vars() <= set(default_vars())


def test_help_names_the_packages_defaults() -> None:
    (option,) = HorizonDays.__metadata__  # type: ignore[attr-defined]
    assert f"{USUAL_HORIZON_DAYS} without one." in option.help
    parameters = inspect.signature(load).parameters
    assert parameters["schema"].default.default == default_vars()["cva_raw_schema"]
    assert parameters["timezone"].default == default_vars()["cva_timezone"]


def test_no_command_writes_the_default_of_a_var_again() -> None:
    again = re.compile(r"""\.get\(f?"cva_\w+",""")
    files = sorted((ROOT / "cli").rglob("*.py"))
    assert [str(path) for path in files if again.search(path.read_text(encoding="utf-8"))] == []
