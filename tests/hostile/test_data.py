"""A shop whose ids, statuses and names are hostile: all is data, from the file to the report."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import duckdb


def test_a_shop_of_hostile_texts_is_loaded_run_explained_and_reported(
    attempt: Any, hostile: list[str], tmp_path: Path
) -> None:
    with Path("orders.csv").open("w", encoding="utf-8", newline="") as file:
        orders = csv.writer(file, quoting=csv.QUOTE_ALL)
        orders.writerow(["order_id", "customer_id", "ordered_at", "amount", "status", "channel"])
        for day, text in enumerate(hostile):
            for turn in range(2):
                date = f"2024-{1 + (day + turn) % 12:02}-{1 + day % 28:02}"
                status = "paid" if "null" in text else text  # a word for cancelled is asked about
                orders.writerow([f"{day}{text}{turn}", text, date, "10.5", status, text])
    given = json.dumps({"cva_status_counts": [t for t in hostile if "{" not in t and t.strip()]})
    assert attempt("load", "orders", "orders.csv", "--db=shop.duckdb").code == 0
    done = attempt("run", "--db=shop.duckdb", f"--vars={given}")
    assert done.code == 0, done.err
    with duckdb.connect("published/current/cva.duckdb", read_only=True) as con:
        ids = {row[0] for row in con.execute("select customer_id from customer_value").fetchall()}
    strange = ids - set(hostile) - {text.strip() for text in hostile}
    assert not {text for text in strange if "owned" in text and "\n" not in text}
    assert len(ids) > 250  # what is blank, or the same but for white space, is one or none
    for customer in sorted(ids)[::40]:
        attempt("explain", "--db=shop.duckdb", "--", customer)
    assert attempt("report", "--db=shop.duckdb").code == 0
    page = Path("report.html").read_text(encoding="utf-8")
    for tag in ("<script>alert", "<img src=x", "<h1>x", "</svg><script>", 'onmouseover="alert'):
        assert tag not in page
    assert attempt("sql", "--db=shop.duckdb", "from customer_value").code == 0
    assert not list(tmp_path.rglob("*owned*"))
