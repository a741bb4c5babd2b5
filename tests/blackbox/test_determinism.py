"""The same shop gives the same bytes, in any row order, with any number of threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.shop.package import project_dir

# Each process hashes texts with a seed of its own; those that the warm server forks share one.
COLD = {"CVA_TESTS_COLD": "1"}
SHUFFLED = {
    "orders": "order_id",
    "order_items": "order_id",
    "returns": "return_id",
    "reviews": "review_id",
}


def build_with_duckdb_threads(db: Path, models_dir: Path, threads: int) -> None:
    """dbt by itself, with a profile as a user would write it."""
    work = db.parent / "own_dbt"
    work.mkdir()
    plugin = {"module": "cva_sql.udfs.plugin", "config": {"models_dir": str(models_dir)}}
    output = {
        "type": "duckdb",
        "path": str(db),
        "schema": "main",
        "threads": 2,
        "settings": {"threads": threads},
        "plugins": [plugin],
    }
    profile = {"cva": {"target": "own", "outputs": {"own": output}}}
    (work / "profiles.yml").write_text(json.dumps(profile), encoding="utf-8")
    dbt = subprocess.run(
        [sys.executable, "-m", "dbt.cli.main", "run", "--project-dir", str(project_dir())],
        cwd=work,
        env={
            **os.environ,
            **COLD,
            "DBT_PROFILES_DIR": str(work),
            "DBT_TARGET_PATH": str(work / "target"),
            "DBT_LOG_PATH": str(work / "logs"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert dbt.returncode == 0, dbt.stdout


@pytest.fixture(scope="module")
def variants(
    sample_shop: Any,
    cva: Any,
    scored: Any,
    together: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("variants")

    def threads(count: int) -> Any:
        db = sample_shop.copy_to(folder / f"{count} threads")
        build_with_duckdb_threads(db, sample_shop.models_dir, count)
        return scored(db)

    def shuffled() -> Any:
        db = sample_shop.copy_to(folder / "shuffled")
        with duckdb.connect(str(db)) as con:
            for table, key in SHUFFLED.items():
                before = con.execute(f"from raw.{table}").fetchall()
                con.execute(f"create temp table rows as from raw.{table}")
                con.execute(
                    f"create or replace table raw.{table} as from rows order by hash({key})"
                )
                con.execute("drop table rows")
                after = con.execute(f"from raw.{table}").fetchall()
                assert before != after
                assert sorted(map(repr, before)) == sorted(map(repr, after))
        environment = {**os.environ, **COLD}
        trained = cva("train", "--db", db, "--json", env=environment)
        run = cva("run", "--db", db, env=environment)
        assert (trained.returncode, run.returncode) == (0, 0), trained.stderr + run.stderr
        return scored(db), json.loads(trained.stdout)["version"], db.parent / "cva_models"

    shuffled_result, one, two = together([shuffled, lambda: threads(1), lambda: threads(2)])
    return {"shuffled": shuffled_result, "one thread": one, "two threads": two}


@pytest.mark.parametrize("table", ["customer_features", "customer_value"])
def test_shuffled_rows_give_the_same_bytes(
    sample_shop: Any, scored: Any, variants: dict[str, Any], table: str
) -> None:
    assert variants["shuffled"][0][table] == scored(sample_shop.db)[table]


@pytest.mark.parametrize("threads", ["one thread", "two threads"])
@pytest.mark.parametrize("table", ["customer_features", "customer_value"])
def test_duckdb_threads_do_not_matter(
    sample_shop: Any, scored: Any, variants: dict[str, Any], threads: str, table: str
) -> None:
    assert variants[threads][table] == scored(sample_shop.db)[table]


def test_training_again_gives_the_same_file(sample_shop: Any, variants: dict[str, Any]) -> None:
    _, version, models_dir = variants["shuffled"]
    assert version == sample_shop.trained.version
    assert sorted(path.name for path in (models_dir / "value").iterdir()) == [version]
