"""What is in examples/ runs as it stands on a sample shop."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOK = json.loads((EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8"))
CELLS = ["".join(c["source"]) for c in NOTEBOOK["cells"] if c["cell_type"] == "code"]
SQL = (EXAMPLES / "queries.sql").read_text(encoding="utf-8")
QUERIES = dict(re.findall(r"^-- (.+)\n([a-z][^;]*);$", SQL, re.MULTILINE))
# This shop has no touches, and neither recommends nor asks for what reviews say: test_campaigns.py,
# test_review_insights.py and test_text_reasons.py of tests/dbt ask these of shops that have them,
# as tests/recommend/test_command.py does.
ELSEWHERE = {
    "campaign_results",
    "review_insights",
    "aspect_trends",
    "product_issues",
    "customer_value_text_reasons",
    "recommendations",
    "similar_products",
    "customer_category_affinity",
}
HERE = [
    question for question, query in QUERIES.items() if not any(one in query for one in ELSEWHERE)
]


@pytest.fixture(scope="module")
def published(sample_shop: Any) -> Path:
    return sample_shop.db.parent / "published" / "current" / "cva.duckdb"


def test_each_query_has_a_question() -> None:
    assert len(QUERIES) == SQL.count(";\n") > 10
    assert [question for question in QUERIES if "?" not in question] == []


@pytest.mark.parametrize("question", HERE)
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
    assert {*tables, *ELSEWHERE} == set(re.findall(r"^-- # (\w+):", SQL, re.MULTILINE))


def test_the_notebook_is_stored_without_outputs() -> None:
    code = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"]] == []
    assert len({cell["id"] for cell in NOTEBOOK["cells"]}) == len(NOTEBOOK["cells"])


def test_the_cells_of_the_notebook_run_in_order(sample_shop: Any, tmp_path: Path) -> None:
    """In a process of its own, as plain Python: a kernel would be one more thing to install."""
    sample_shop.copy_to(tmp_path / "cva_demo")
    same_python = f"import sys; sys.executable = {sys.executable!r}"  # by which they start dbt
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([same_python, *CELLS])],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "ensemble explains more deviance" in done.stdout
    assert re.search(r"^800 customers as of 2026-01-01", done.stdout, re.MULTILINE)
    assert "with one more order in 90 days the model would say" in done.stdout
    assert "over the dates" in done.stdout or "cva ranks" in done.stdout
