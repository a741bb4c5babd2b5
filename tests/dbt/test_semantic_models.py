"""The semantic models in a project of the user's: MetricFlow takes them, and adds up alike."""

from __future__ import annotations

import csv
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml  # type: ignore[import-untyped]

from cva_sql.cli.init.project import init_project
from cva_sql.cli.shop.package import project_dir

SCRIPTS = Path(sysconfig.get_path("scripts"))
METRICS = project_dir() / "models" / "semantic" / "cva_metrics.yml"


@pytest.fixture(scope="module")
def project(sample_shop: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the metrics on, its tables built by `cva run`."""
    folder = tmp_path_factory.mktemp("metrics")
    db = sample_shop.copy_to(folder / "data")
    init_project(folder / "own", db)
    file = folder / "own" / "dbt_project.yml"
    settings = yaml.safe_load(file.read_text())
    settings["vars"]["cva"]["cva_semantic_models"] = True
    file.write_text(yaml.safe_dump(settings))
    for call in (("dbt", "deps"), ("dbt", "run", "--select", "cva_time_spine"), ("dbt", "parse")):
        told(folder / "own", *call)
    return folder / "own"


def told(project: Path, program: str, *arguments: str) -> str:
    done = subprocess.run(
        [SCRIPTS / program, *arguments],
        cwd=project, env={**os.environ, "DBT_PROFILES_DIR": str(project)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def query(project: Path, metrics: str, by: str) -> dict[str, list[float]]:
    """Numbers by the group's name, '' where it has none."""
    out = project / "found.csv"
    told(project, "mf", "query", "--metrics", metrics, "--group-by", by, "--csv", str(out))
    with out.open(encoding="utf-8") as file:
        _, *rows = csv.reader(file)
    return {name: [float(value) if value else 0.0 for value in values] for name, *values in rows}


def plain(project: Path, select: str) -> dict[str, list[float]]:
    db = project.parent / "data" / "shop.duckdb"
    with duckdb.connect(str(db), read_only=True) as con:
        rows = con.execute(select).fetchall()
    return {name or "": [float(value or 0) for value in values] for name, *values in rows}


def test_metricflow_takes_them_with_no_word(project: Path) -> None:
    said = told(project, "mf", "validate-configs")
    assert said.count("(ERRORS: 0, FUTURE_ERRORS: 0, WARNINGS: 0)") == 6


@pytest.mark.parametrize(
    ("metrics", "by", "select"),
    [
        (
            "cva_predicted_value,cva_expected_buyers,cva_customers",
            "customer__lifecycle_stage",
            "select lifecycle_stage, sum(predicted_value), sum(purchase_probability), count(*) "
            "from customer_segments group by 1",
        ),
        (
            "cva_ltv,cva_cac",
            "customer__first_category",
            "select first_category, sum(margin) / nullif(count(first_month), 0), "
            "sum(acquisition_cost) / nullif(count(acquisition_cost), 0) from customer_economics "
            "group by 1",
        ),
        (
            "cva_money_at_stake",
            "customer__value_tier",
            "select value_tier, sum(money_at_stake) from churn_alerts join customer_value "
            "using (customer_id) where state in ('new', 'open') group by 1",
        ),
    ],
)
def test_metrics_are_what_the_tables_add_up_to(
    project: Path, metrics: str, by: str, select: str
) -> None:
    found, expected = query(project, metrics, by), plain(project, select)
    assert expected
    assert {name: pytest.approx(values) for name, values in expected.items()} == found


def test_every_metric_is_ours_by_name() -> None:
    metrics = yaml.safe_load(METRICS.read_text(encoding="utf-8"))["metrics"]
    assert [metric["name"] for metric in metrics if not metric["name"].startswith("cva_")] == []
