"""How long one customer's score takes with an order given in the call, beside a whole run.

    .venv/bin/python benchmarks/score_rows.py --db shop.duckdb

The database has been run. Printed are the milliseconds of calls in one process that holds it, of
customers in random order, and how many of them a run takes as long as.
"""

from __future__ import annotations

import argparse
import random
import time
from datetime import timedelta

import duckdb
import numpy as np

from cva_sql import Shop


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--db", required=True)
    parser.add_argument("--calls", type=int, default=200)
    given = parser.parse_args()
    with duckdb.connect(given.db, read_only=True) as con:
        rows = con.execute("select customer_id, as_of_date from customer_value").fetchall()
        ((run_seconds,),) = con.execute(
            "select max_by(duration_seconds, started_at) from main.cva_runs"
            " where command = 'run' and outcome = 'ok'"
        ).fetchall()
    took = []
    started = time.perf_counter()
    with Shop(given.db).scorer() as scorer:
        opened = time.perf_counter() - started
        for number in range(given.calls):
            customer, as_of = random.Random(number).choice(rows)
            order = {
                "order_id": f"given-{number}",
                "ordered_at": str(as_of - timedelta(days=1)),
                "amount": 40,
            }
            started = time.perf_counter()
            scorer.score_rows(customer, {"orders": [order]})
            took.append(time.perf_counter() - started)
    median, slow = np.quantile(took, [0.5, 0.99])
    print(
        f"{len(rows):,} customers: opened in {opened:.1f} s, then a score in {1000 * median:.0f} ms"
        f" (median), {1000 * slow:.0f} ms (p99); the last run took {run_seconds:.1f} s, as long as"
        f" {run_seconds / median:,.0f} of them"
    )


if __name__ == "__main__":
    main()
