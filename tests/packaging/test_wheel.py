"""The wheel holds what it should, and runs from a folder that nobody may write."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("cli", "udfs", "models_onnx", "dbt_project")
LEFT_OUT = {"target", "logs", "dbt_packages", "__pycache__"}
FILE_TYPES = {
    "cli": {".py", ".sql", ".yml", ".html", "", ".typed"},
    "udfs": {".py"},
    "models_onnx": {".py", ".onnx", ".json"},
    "dbt_project": {".py", ".sql", ".yml"},
}


def test_the_wheel_holds_exactly_the_packages_files(installed: Any) -> None:
    expected = {
        f"cva_sql/{path.relative_to(ROOT).as_posix()}".replace("cva_sql/cli/public/", "cva_sql/")
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
        "cva_sql/__init__.py",
        "cva_sql/py.typed",
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
        "cva_sql/cli/presets/shopify.yml",
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
import cva_sql, cva_sql.cli, cva_sql.udfs, cva_sql.models_onnx, cva_sql.dbt_project
for package in (cva_sql.cli, cva_sql.udfs, cva_sql.models_onnx, cva_sql.dbt_project):
    assert package.__file__.startswith(sys.argv[1]), package.__file__
for module in pkgutil.walk_packages(cva_sql.__path__, "cva_sql."):
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


IMPORTS = """
import sys
import cva_sql
assert {name.split(".")[0] for name in sys.modules}.isdisjoint({"duckdb", "numpy", "pyarrow"})
from cva_sql import CvaError, Shop, UsageError, register, unregister
from cva_sql.cli.app import app
from cva_sql.cli.demo.sample_shop import sample_reviews
from cva_sql.udfs.sessions import baseline_folder
from cva_sql.cli.shop.package import project_dir
assert issubclass(UsageError, CvaError)
assert (baseline_folder() / "model.onnx").is_file()
assert (project_dir() / "dbt_project.yml").is_file()
print(cva_sql.__version__, Shop.__module__, len(sample_reviews(3)))
"""


def test_the_python_interface_comes_from_the_wheel(installed: Any, tmp_path: Path) -> None:
    done = installed.run("-c", IMPORTS, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1:] == ["cva_sql.api", "3"]


@pytest.mark.parametrize("mode", ["", "strict"])
def test_the_python_interface_works_in_an_editable_install(
    installed: Any, tmp_path: Path, mode: str
) -> None:
    """The package's own files are found by the link to the checkout, whichever kind it is."""
    source = tmp_path / "source"
    source.mkdir()
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name)
    for file in ("pyproject.toml", "LICENSE", "NOTICE", "README.md"):
        shutil.copy(ROOT / file, source / file)
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    settings = ["--config-settings", f"editable_mode={mode}"] if mode else []
    done = subprocess.run(
        [*pip, "--no-index", "--target", str(site), *settings, "--editable", str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lent = [path for path in sys.path if path.endswith("site-packages")]
    places = f"import site, sys; site.addsitedir({str(site)!r}); sys.path += {lent!r}"
    code = f"{places}\n{IMPORTS}\nprint(cva_sql.__file__)"
    # -S: the wheel of this environment stays out of the way.
    done = subprocess.run(
        [str(installed.python), "-S", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(str(source))
