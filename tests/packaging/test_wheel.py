"""The wheel holds what it should, and runs from a folder that nobody may write."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path
from typing import Any

import duckdb

ROOT = Path(__file__).parents[2]
FOLDERS = ("cli", "udfs", "models_onnx", "dbt_project")
LEFT_OUT = {"target", "logs", "dbt_packages", "__pycache__"}
FILE_TYPES = {
    "cli": {".py", ".sql", ".yml", ".html", ""},
    "udfs": {".py"},
    "models_onnx": {".py", ".onnx", ".json"},
    "dbt_project": {".py", ".sql", ".yml"},
}


def test_the_wheel_holds_exactly_the_packages_files(installed: Any) -> None:
    expected = {
        f"cva_sql/{path.relative_to(ROOT).as_posix()}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
        and path.suffix in FILE_TYPES[folder]
        and not LEFT_OUT & set(path.relative_to(ROOT).parts)
    }
    with zipfile.ZipFile(installed.wheel) as wheel:
        names = set(wheel.namelist())
    ours = {name for name in names if not name.startswith("cva_sql-")}
    assert ours == expected
    assert {
        "cva_sql/dbt_project/profiles.yml",
        "cva_sql/dbt_project/dbt_project.yml",
        "cva_sql/cli/demo/shop.sql",
        "cva_sql/models_onnx/artefacts/baseline/model.onnx",
        "cva_sql/models_onnx/artefacts/encoder/model.onnx",
        "cva_sql/models_onnx/artefacts/encoder/tokenizer.json",
        "cva_sql/cli/demo/review_phrases.sql",
        "cva_sql/cli/report/template.html",
        "cva_sql/cli/init/templates/gitignore",
        "cva_sql/cli/init/templates/profiles.yml",
    } <= ours
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_demo_runs_from_the_wheel_and_leaves_the_package_untouched(
    installed: Any, tmp_path: Path
) -> None:
    def listing() -> dict[str, tuple[int, int]]:
        return {
            str(path): (path.stat().st_mtime_ns, path.stat().st_size)
            for path in installed.package.rglob("*")
        }

    subprocess.run(["chmod", "-R", "a-w", str(installed.package)], check=True)
    before = listing()
    cva = installed.python.parent / "cva"
    done = installed.run(str(cva), "demo", "--customers", "400", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "customer_value as of 2026-01-01: 400 customers" in done.stdout
    published = tmp_path / "cva_demo" / "published" / "current" / "cva.duckdb"
    with duckdb.connect(str(published), read_only=True) as con:
        assert con.execute("select count(*) from customer_value").fetchall() == [(400,)]
    assert listing() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cva_demo", "home"]


def test_the_wheel_is_what_runs_and_it_needs_no_torch(installed: Any, tmp_path: Path) -> None:
    code = """
import importlib, importlib.util, pkgutil, sys
import cva_sql.cli, cva_sql.udfs, cva_sql.models_onnx, cva_sql.dbt_project
for package in (cva_sql.cli, cva_sql.udfs, cva_sql.models_onnx, cva_sql.dbt_project):
    assert package.__file__.startswith(sys.argv[1]), package.__file__
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
assert "torch" not in sys.modules
print(importlib.util.find_spec("torch") is None, importlib.metadata.version("cva-sql"))
"""
    done = installed.run("-c", code, str(installed.package), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    is_without_torch, version = done.stdout.split()
    assert is_without_torch == "True"
    assert version in installed.wheel.name


def test_the_command_says_help_outside_any_checkout(installed: Any, tmp_path: Path) -> None:
    done = installed.run(str(installed.python.parent / "cva"), "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "demo" in done.stdout
