"""What a user meets at the command line: help, README, quick start, one way to import."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from cva_sql.cli.app import app

ROOT = Path(__file__).parents[2]
COMMANDS: dict[str, Any] = dict(get_command(app).commands)  # type: ignore[attr-defined]
HEAVY = (
    "duckdb",
    "matplotlib",
    "numpy",
    "pyarrow",
    "onnxruntime",
    "onnx",
    "dbt",
    "lightgbm",
    "sklearn",
    "scipy",
)
FOLDERS = ("cli", "udfs", "models_onnx", "dbt_project", "tests", "benchmarks")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name: str) -> None:
    command = COMMANDS[name]
    assert len((command.help or "").strip()) > 20
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{name} {parameter.name}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_readme(name: str) -> None:
    assert f"cva {name}" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_exits_with_zero_and_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom cva_sql.cli.app import main\nsys.argv = ['cva', *sys.argv[1:]]\n"
        "try:\n    main()\nexcept SystemExit as done:\n    code = done.code\n"
        "print(code or 0, *{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    exit_code, *modules = done.stderr.split()
    assert exit_code == "0", done.stderr
    assert set(modules) & set(HEAVY) == set()
    assert "Usage" in done.stdout


def test_an_unknown_option_is_a_misuse(cva: Any) -> None:
    assert cva("run", "--no-such-option").returncode == 2


def test_nobody_imports_the_folders_by_their_bare_names() -> None:
    bare = re.compile(r"^\s*(from|import)\s+(udfs|cli|models_onnx|dbt_project)\b", re.MULTILINE)
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 30
    assert [str(path) for path in files if bare.search(path.read_text(encoding="utf-8"))] == []


def test_only_the_command_line_prints() -> None:
    printing = re.compile(r"^\s*print\(", re.MULTILINE)
    files = [path for folder in ("udfs", "models_onnx") for path in (ROOT / folder).rglob("*.py")]
    assert [str(path) for path in files if printing.search(path.read_text(encoding="utf-8"))] == []
