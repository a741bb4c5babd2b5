"""The dbt package comes from git as well: `dbt deps` takes the folder out of a repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import yaml

from cva_sql.cli.demo.sample_shop import write_shop
from cva_sql.cli.load.table import load_table

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "own_project.md").read_text(encoding="utf-8")
COMMIT = ["git", "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "--quiet"]
PROFILE = """\
acme:
  target: dev
  outputs:
    dev:
      type: duckdb
      path: shop.duckdb
      plugins: [{module: cva_sql.udfs.plugin}]
"""


def run(*arguments: str, cwd: Path) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DBT_")}
    done = subprocess.run(
        arguments,
        cwd=cwd,
        env={**kept, "HOME": str(cwd), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one commit: what git would take of this checkout as it stands."""
    folder = tmp_path_factory.mktemp("repository")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    for name in run(*listed, cwd=ROOT).split("\0"):
        if name and (ROOT / name).is_file() and not name.startswith("models_onnx/artefacts"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    run("git", "init", "--quiet", cwd=folder)
    run("git", "add", "--all", cwd=folder)
    run(*COMMIT, "--message", "all", cwd=folder)
    run("git", "tag", "v0", cwd=folder)
    return folder


def test_the_page_names_the_folder_of_the_package() -> None:
    (shown,) = [part for part in PAGE.split("```yaml\n")[1:] if part.startswith("packages:")]
    (package,) = yaml.safe_load(shown.partition("```")[0])["packages"]
    assert set(package) == {"git", "subdirectory", "revision"}
    assert (ROOT / package["subdirectory"] / "dbt_project.yml").is_file()


def test_a_project_installs_the_package_from_git_and_scores(
    repository: Path, tmp_path: Path
) -> None:
    package = {"git": f"file://{repository}", "subdirectory": "dbt_project", "revision": "v0"}
    project = {"name": "acme", "version": "1.0.0", "profile": "acme", "model-paths": ["models"]}
    (tmp_path / "packages.yml").write_text(yaml.safe_dump({"packages": [package]}))
    (tmp_path / "dbt_project.yml").write_text(yaml.safe_dump(project))
    (tmp_path / "profiles.yml").write_text(PROFILE)
    (tmp_path / "models").mkdir()
    mine = "select customer_id, predicted_value from {{ ref('cva', 'customer_value') }}"
    (tmp_path / "models" / "best_customers.sql").write_text(mine)
    write_shop(tmp_path / "files", customers=400)
    load_table("orders", [tmp_path / "files" / "orders.csv"], db=tmp_path / "shop.duckdb")
    dbt = [sys.executable, "-W", "ignore", "-m", "dbt.cli.main"]
    run(*dbt, "deps", cwd=tmp_path)
    assert (tmp_path / "dbt_packages" / "cva" / "dbt_project.yml").is_file()
    run(*dbt, "run", "--select", "+best_customers", cwd=tmp_path)
    with duckdb.connect(str(tmp_path / "shop.duckdb"), read_only=True) as con:
        found = con.execute(
            "select count(*), count(predicted_value) from best_customers"
        ).fetchone()
    assert found is not None
    assert found[0] == found[1] > 300
