"""What a run publishes opens in the newest DuckDB 1.x, with the same rows: make reader."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import pytest

READ = """
import json, sys
import duckdb
con = duckdb.connect(sys.argv[1], read_only=True)
names = [row[0] for row in con.execute("select table_name from duckdb_tables()").fetchall()]
print(json.dumps({
    "version": duckdb.__version__,
    "rows": {name: len(con.execute(f"from {name}").fetchall()) for name in names},
    "first": str(con.execute("from customer_value order by customer_id limit 1").fetchone()),
}))
"""


@pytest.fixture
def reader() -> str:
    python = os.environ.get("READER")
    if not python:
        pytest.fail("READER is not set; run: make reader")
    return python


def test_duckdb_1_reads_every_published_table(sample_shop: Any, reader: str) -> None:
    published = Path(sample_shop.run.published)
    done = subprocess.run(
        [reader, "-c", READ, published], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["version"].startswith("1.")
    with duckdb.connect(str(published), read_only=True) as con:
        tables = {
            name for (name,) in con.execute("select table_name from duckdb_tables()").fetchall()
        }
        assert set(found["rows"]) == tables
        assert "customer_value" in tables
        for name, rows in found["rows"].items():
            assert con.execute(f"select count(*) from {name}").fetchall() == [(rows,)]
        first = con.execute("from customer_value order by customer_id limit 1").fetchone()
    assert found["first"] == str(first)
