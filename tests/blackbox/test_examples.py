"""What is in examples/ runs as it stands on a sample shop."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import duckdb
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SQL = (EXAMPLES / "queries.sql").read_text(encoding="utf-8")
QUERIES = dict(re.findall(r"^-- (.+)\n([a-z][^;]*);$", SQL, re.MULTILINE))


@pytest.fixture(scope="module")
def published(sample_shop: Any) -> Path:
    return sample_shop.db.parent / "published" / "current" / "cva.duckdb"


def test_each_query_has_a_question() -> None:
    assert len(QUERIES) == SQL.count(";\n") > 10
    assert [question for question in QUERIES if "?" not in question] == []


@pytest.mark.parametrize("question", QUERIES)
def test_a_query_of_the_examples_finds_something(question: str, published: Path) -> None:
    with duckdb.connect(str(published), read_only=True) as con:
        found = con.execute(QUERIES[question]).fetchall()
    assert found
    assert all(any(row[i] is not None for row in found) for i in range(len(found[0])))


def test_each_published_table_has_a_question(published: Path) -> None:
    with duckdb.connect(str(published), read_only=True) as con:
        tables = {
            name for (name,) in con.execute("select table_name from duckdb_tables()").fetchall()
        }
    assert tables == set(re.findall(r"^-- # (\w+):", SQL, re.MULTILINE))
