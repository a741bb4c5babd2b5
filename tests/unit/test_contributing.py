"""The lists of files in CONTRIBUTING: each names what is there, or what has an example there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIST = re.compile(r"^### (.+?)\n(?:(?!^###).)*?^```files\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LISTS = dict(LIST.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
MOST = {
    "A feature": 2,
    "A raw table with its family": 6,
    "A member of the value model": 2,
    "A mart": 2,
    "A mart with a model of its own": 4,
}


def test_each_kind_of_addition_has_a_short_list() -> None:
    assert set(LISTS) == set(MOST)
    assert [name for name, most in MOST.items() if len(LISTS[name].split()) > most] == []


@pytest.mark.parametrize("name", MOST)
def test_a_listed_file_is_there_or_others_of_its_kind_are(name: str) -> None:
    paths = LISTS[name].split()
    assert [path for path in paths if not any(ROOT.glob(path.replace("X", "*")))] == []
