"""`cva.model_scores`: a mart of a model of another kind, with the model deployed and without."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.shop.model_store import deploy, store_model, withdraw
from cva_sql.cli.shop.package import project_dir
from cva_sql.models_onnx.value.graph.builder import OPSET, Graph
from cva_sql.udfs.manifest import Feature, Manifest

MART = """
{{ config(materialized='table') }}
{{ cva.model_scores('toy', ref('cva', 'customer_features'), ['twice', 'half']) }}
"""
COLUMNS = [
    ("customer_id", "VARCHAR"),
    ("as_of_date", "DATE"),
    ("twice", "DOUBLE"),
    ("half", "DOUBLE"),
    ("model_version", "VARCHAR"),
    ("model_hash", "VARCHAR"),
]


def deploy_toy(models_dir: Path) -> None:
    graph = Graph()
    spend = graph.whole_blocks([graph.number_input("spend")])
    graph.output("twice", graph.op("Mul", spend, 2.0))
    graph.output("half", graph.op("Mul", spend, 0.5))
    onnx = graph.to_bytes("toy")
    manifest = Manifest(
        name="toy",
        version="t1",
        sha256=hashlib.sha256(onnx).hexdigest(),
        features=(Feature("spend", "number"),),
        horizon_days=90,
        is_baseline=False,
        opset=OPSET,
        training={},
        evaluation={},
        outputs=("twice", "half"),
    )
    store_model(models_dir, onnx, manifest)
    deploy(models_dir, "t1", "toy")


@pytest.fixture
def build(tmp_path: Path) -> Any:
    """Runs the mart alone; its columns and rows, the first query on features that are there."""
    project, db = tmp_path / "dbt_project", tmp_path / "shop.duckdb"
    shutil.copytree(project_dir(), project, ignore=shutil.ignore_patterns("target", "logs"))
    (project / "models" / "marts" / "toy.sql").write_text(MART, encoding="utf-8")
    with duckdb.connect(str(db)) as con:
        con.execute(
            "create table customer_features as select 'c' || range as customer_id, "
            "date '2025-01-01' as as_of_date, range * 1.0 as spend from range(3)"
        ).fetchall()

    def run() -> tuple[list[tuple[str, str]], list[tuple[Any, ...]]]:
        done = subprocess.run(
            [sys.executable, "-m", "dbt.cli.main", "--quiet", "run", "--select", "toy",
             "--project-dir", str(project), "--profiles-dir", str(project),
             "--target-path", str(tmp_path / "target"), "--log-path", str(tmp_path / "logs")],
            env={**os.environ, "CVA_DB": str(db)},
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        with duckdb.connect(str(db), read_only=True) as con:
            columns = con.execute(
                "select column_name, data_type from duckdb_columns() where table_name = 'toy' "
                "order by column_index"
            ).fetchall()
            return columns, con.execute("from toy order by customer_id").fetchall()

    return run


def test_the_mart_has_scores_where_a_model_is_deployed_and_none_where_not(
    build: Any, tmp_path: Path
) -> None:
    deploy_toy(tmp_path / "cva_models")
    columns, rows = build()
    assert columns == COLUMNS
    assert [(row[0], row[2], row[3], row[4]) for row in rows] == [
        ("c0", 0.0, 0.0, "t1"),
        ("c1", 2.0, 0.5, "t1"),
        ("c2", 4.0, 1.0, "t1"),
    ]
    withdraw(tmp_path / "cva_models", "toy")
    assert build() == (COLUMNS, [])
