"""docs/generate.py writes what the registries say, and says which file no longer does."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

SCRIPT = Path(__file__).parents[2] / "docs" / "generate.py"


@pytest.fixture
def generate(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))  # as for a script, which finds docs/pages.py
    spec = importlib.util.spec_from_file_location("generate", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_the_registries_say_is_what_the_files_say() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_stale_file_is_named_and_written_anew(
    generate: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    page = tmp_path / "reference" / "page.md"
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "generated", lambda: iter([(page, "new")]))
    assert generate.main(["--check"]) == 1
    assert "reference/page.md is stale" in capsys.readouterr().err
    assert not page.exists()
    assert generate.main([]) == 0
    assert page.read_text() == "new"
    assert generate.main(["--check"]) == 0
    assert generate.main(["--chek"]) == 2


def test_columns_by_hand_and_unit_tests_stay(generate: Any) -> None:
    text = (
        "models:\n  - name: a\n    columns:\n      - name: by_hand\n        description: Mine.\n"
        f"{generate.MARK}      - name: old\n        description: >-\n          Gone.\n"
        "\nunit_tests:\n  - name: b\n"
    )
    features = [
        {"name": "new", "description": "Short."},
        {"name": "odd", "description": "1: a text that YAML would take for something else."},
        {"name": "long", "description": "word " * 30},
    ]
    written = generate.with_columns(text, features)
    (model,) = yaml.safe_load(written)["models"]
    assert model["columns"] == [
        {"name": "by_hand", "description": "Mine."},
        *({**f, "description": f["description"].strip()} for f in features),
    ]
    assert written.endswith("\n\nunit_tests:\n  - name: b\n")
    assert generate.with_columns(written, features) == written
    assert max(map(len, written.splitlines())) <= generate.WIDTH


def test_the_readme_has_to_keep_its_comments(generate: Any) -> None:
    text = "before\n<!-- marts -->\nold\n<!-- /marts -->\nafter\n"
    written = generate.readme(text)
    assert written.startswith("before\n<!-- marts -->\n| table | question |\n|---|---|\n")
    assert "old" not in written
    assert written.endswith("|\n<!-- /marts -->\nafter\n")
    with pytest.raises(SystemExit, match="has lost its comments"):
        generate.readme("before\nafter\n")
