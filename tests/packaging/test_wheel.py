"""The wheel holds what it should, and runs from a folder that nobody may write."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("cli", "udfs", "models_onnx", "dbt_project")
LEFT_OUT = {"target", "logs", "dbt_packages", "__pycache__"}
FILE_TYPES = {
    "cli": {".py", ".sql"},
    "udfs": {".py"},
    "models_onnx": {".py", ".onnx", ".json"},
    "dbt_project": {".py", ".sql", ".yml"},
}


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel; the test environment lends it the dependencies."""

    wheel: Path
    python: Path
    package: Path

    def run(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        home = cwd / "home"
        home.mkdir(exist_ok=True)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "DBT_"))}
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=cwd,
            env={**kept, "HOME": str(home), "PATH": f"{self.python.parent}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in FOLDERS:  # a copy, so that nothing an earlier build left can slip in
        shutil.copytree(ROOT / name, source / name)
    for file in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / file, source / file)
    (source / "dbt_project" / "target").mkdir(exist_ok=True)
    (source / "dbt_project" / "target" / "compiled.sql").write_text("select 1")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    built = subprocess.run([*build, str(source)], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)],
        check=True,
    )
    site = Path(
        subprocess.run(
            [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    )
    # Searched last, and the .pth files in it (our editable install) are not read.
    lent = [path for path in sys.path if path.endswith("site-packages")]
    (site / "lent.pth").write_text("\n".join(lent), encoding="utf-8")
    return Installed(wheel, python, site / "cva_sql")


def test_the_wheel_holds_exactly_the_packages_files(installed: Installed) -> None:
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
    } <= ours
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_demo_runs_from_the_wheel_and_leaves_the_package_untouched(
    installed: Installed, tmp_path: Path
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


def test_the_wheel_is_what_runs_and_it_needs_no_torch(installed: Installed, tmp_path: Path) -> None:
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


def test_the_command_says_help_outside_any_checkout(installed: Installed, tmp_path: Path) -> None:
    done: Any = installed.run(str(installed.python.parent / "cva"), "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "demo" in done.stdout
