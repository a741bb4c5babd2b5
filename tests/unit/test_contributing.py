"""CONTRIBUTING and the hooks before a commit: what they name is there, and needs no network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LIST = re.compile(r"^### (.+?)\n(?:(?!^###).)*?^```files\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LISTS = dict(LIST.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
MOST = {
    "A feature": 2,
    "A raw table with its family": 6,
    "A member of the value model": 2,
    "A mart": 2,
    "A mart with a model of its own": 4,
    "A preset": 2,
}


def test_each_kind_of_addition_has_a_short_list() -> None:
    assert set(LISTS) == set(MOST)
    assert [name for name, most in MOST.items() if len(LISTS[name].split()) > most] == []


@pytest.mark.parametrize("name", MOST)
def test_a_listed_file_is_there_or_others_of_its_kind_are(name: str) -> None:
    paths = LISTS[name].split()
    assert [path for path in paths if not any(ROOT.glob(path.replace("X", "*")))] == []


def test_hooks_before_a_commit_are_local_and_call_what_is_there() -> None:
    """A hook of another repository would be downloaded."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    assert {hook["id"] for hook in hooks} == {"ruff-check", "ruff-format", "generated"}
    assert {hook["language"] for hook in hooks} == {"system"}
    named = [word for hook in hooks for word in hook["entry"].split() if word.endswith(".py")]
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_every_target_that_contributing_names_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\bmake ([a-z-]+)", text)) <= targets
