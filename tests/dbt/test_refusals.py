"""What would harm or mislead is refused, by plain dbt as well, and changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.run.build import run_shop
from cva_sql.cli.score.filling import TABLE, fill_table
from cva_sql.cli.shop.dbt_runner import refuse_jinja
from cva_sql.cli.shop.model_store import deploy, store_model
from cva_sql.cli.shop.package import project_dir
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.udfs.errors import CvaError, UsageError
from cva_sql.udfs.manifest import read_manifest, read_model
from cva_sql.udfs.sessions import baseline_folder

PROFILE = {
    "type": "duckdb",
    "path": "shop.duckdb",
    "plugins": [{"module": "cva_sql.udfs.plugin"}],
}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    profiles = {"cva": {"target": "dev", "outputs": {"dev": PROFILE}}}
    (tmp_path / "profiles.yml").write_text(json.dumps(profiles))
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as con:
        con.execute(
            "create schema raw; create table raw.orders as select range::varchar as order_id,"
            " (range % 9)::varchar as customer_id, 10.0 as amount,"
            " timestamp '2024-01-01' + interval (range) day as ordered_at from range(90)"
        )
    return tmp_path / "shop.duckdb"


def dbt(db: Path, *arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    """Plain dbt on the packaged project."""
    call = [sys.executable, "-m", "dbt.cli.main", *arguments, "--project-dir", str(project_dir())]
    call += ["--profiles-dir", str(db.parent), "--vars", json.dumps(variables)]
    places = {
        "DBT_TARGET_PATH": str(db.parent / "target"),
        "DBT_LOG_PATH": str(db.parent / "logs"),
    }
    return subprocess.run(
        call, capture_output=True, text=True, cwd=db.parent, env={**os.environ, **places}
    )


@pytest.mark.parametrize(
    "operation",
    [
        ["cut_raw_tables", "--args", "{as_of: 2024-02-01}"],
        ["cut_dated_rows", "--args", "{table: orders, relation: raw.orders, is_later: 'true'}"],
        ["replace_by_table", "--args", "{relation: raw.orders}"],
        ["forget_state", "--args", "{table: orders, relation: x, names: [], is_later: 'true'}"],
    ],
    ids=lambda operation: operation[0],
)
def test_raw_rows_are_cut_in_the_copy_of_check_features_alone(
    shop: Path, rows: Any, operation: list[str]
) -> None:
    done = dbt(shop, "run-operation", *operation)
    assert done.returncode != 0
    assert "is no copy of cva check-features, and its rows are not to be cut" in done.stdout
    assert rows(shop, "select count(*) from raw.orders") == [(90,)]


def test_a_build_without_orders_fails_and_the_rest_of_dbt_does_not(shop: Path) -> None:
    absent = {"cva_orders_identifier": "ordres"}
    done = dbt(shop, "build", "--exclude-resource-type", "unit_test", **absent)
    assert done.returncode != 0
    assert "there is no table raw.ordres in shop.duckdb" in done.stdout
    for command in (["compile"], ["run", "--empty", "--select", "stg_cva__orders"]):
        assert dbt(shop, *command, **absent).returncode == 0, command


def test_nobody_to_score_is_no_success(shop: Path, rows: Any) -> None:
    select = ["--select", "+customer_value"]
    assert dbt(shop, "run", *select).returncode == 0
    before = rows(shop, "select count(*) from customer_value")
    done = dbt(shop, "run", *select, cva_as_of="1970-01-01")
    assert done.returncode != 0
    assert "customer_value as of 1970-01-01 would have no customer" in done.stdout
    assert rows(shop, "select count(*) from customer_value") == before == [(9,)]
    assert dbt(shop, "run", *select, cva_as_of="1970-01-01", cva_allow_empty=True).returncode == 0
    assert rows(shop, "select count(*) from customer_value") == [(0,)]


def test_most_customers_gone_is_published_only_when_told(shop: Path, rows: Any) -> None:
    assert run_shop(open_shop(shop)).customers == 9
    early = open_shop(shop, as_of="2024-01-03")
    with pytest.raises(CvaError, match=r"2 customers and the published one 9.* --allow-empty"):
        run_shop(early)
    published = shop.parent / "published" / "current" / "cva.duckdb"
    assert rows(published, "select count(*) from customer_value") == [(9,)]
    assert run_shop(early, allow_empty=True).customers == 2
    assert rows(published, "select count(*) from customer_value") == [(2,)]


@pytest.mark.parametrize(
    "variables",
    [
        {"cva_currency": "{{ run_query('select 1') }}"},
        {"cva_orders_columns": {"amount": "{% do x %}"}},
        {"cva_families_off": ["{# a #}"]},
        {"{{ x }}": 1},
    ],
)
def test_a_var_is_no_template(variables: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="which dbt would run"):
        refuse_jinja(variables)
    refuse_jinja({"cva_orders_columns": {"amount": "a % 2 # {x}"}, "cva_tier_shares": [0.2, {}]})


def horizon(shop: Path, **variables: Any) -> str:
    inline = "select {{ cva.setting('cva_horizon_days') }} as days"
    done = dbt(shop, "--quiet", "compile", "--inline", inline, **variables)
    return done.stdout.strip()


def tell_horizon(shop: Path, days: int) -> None:
    """The table that the commands write which deploy and score."""
    with duckdb.connect(str(shop)) as con:
        con.execute(
            "create schema main_cva; create table main_cva.cva_deployed_models as"
            f" select 'value' as kind, 'v' as version, {days} as horizon_days"
        )


def test_the_horizon_is_that_of_the_model_which_the_plugin_finds(shop: Path) -> None:
    """Whatever the table says: the plugin's model is the one that scores."""
    models = shop.parent / "cva_models"
    rule = read_manifest(baseline_folder())
    manifest = replace(rule, name="value", version="v1", horizon_days=30, is_baseline=False)
    store_model(models, read_model(baseline_folder(), rule), manifest)
    deploy(models, "v1")
    tell_horizon(shop, 365)
    assert horizon(shop) == "select 30 as days"


def test_the_horizon_is_the_deployed_models(shop: Path) -> None:
    """Without our functions the table tells that the commands write; a var comes first."""
    (shop.parent / "profiles.yml").write_text(
        json.dumps({"cva": {"target": "dev", "outputs": {"dev": {**PROFILE, "plugins": []}}}})
    )
    assert horizon(shop, cva_udfs=False) == "select 90 as days"
    tell_horizon(shop, 365)
    assert horizon(shop, cva_udfs=False) == "select 365 as days"
    assert horizon(shop, cva_udfs=False, cva_horizon_days=30) == "select 30 as days"


def test_without_python_dbt_says_which_command_fills_what_is_missing(shop: Path, rows: Any) -> None:
    """And the four steps of the docs go from a fresh database to customer_value."""
    done = dbt(shop, "run", "--select", "int_cva__customer_scores", cva_udfs=False)
    assert done.returncode != 0
    assert "does not exist, and with cva_udfs: false dbt does not make it; run: cva score" in (
        " ".join(done.stdout.split())
    )
    assert "Catalog Error" not in done.stdout
    assert dbt(shop, "run", "--select", "+customer_features", cva_udfs=False).returncode == 0
    fill_table(open_shop(shop), TABLE, "cva_predict")
    done = dbt(shop, "run", cva_udfs=False)
    assert done.returncode == 0, done.stdout
    assert rows(shop, "select count(*), count(predicted_value) from customer_value") == [(9, 9)]
