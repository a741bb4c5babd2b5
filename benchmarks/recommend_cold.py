"""What customers without an order are offered: does what those like them buy beat popularity?

    python benchmarks/recommend_cold.py shop.duckdb --on 2011-09-16 \\
        --group "select customer_id, country from raw.customers"

On each date lists are made, from the orders before it, for the customers whose first order is in
the 28 days after it, by the group that the query says and without one. Prints what would be chosen
on the 28 days before, recall@10 and NDCG@10 of both and the paired difference, with 95 % intervals
over customers.
"""

from __future__ import annotations

import argparse
from datetime import date

import duckdb
import numpy as np
from recommend import read

from cva_sql.models_onnx.recommend.cold_choice import choose_cold, judge_cold
from cva_sql.models_onnx.recommend.metrics import interval

EPOCH = date(1970, 1, 1).toordinal()


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("db")
    parser.add_argument("--group", required=True, help="SQL: customer_id, group")
    parser.add_argument("--on", action="append", required=True, type=date.fromisoformat)
    parser.add_argument("--horizon", type=int, default=28)
    given = parser.parse_args()
    baskets = read(given.db)
    with duckdb.connect(given.db, read_only=True) as con:
        groups = {str(who): (str(told),) for who, told in con.execute(given.group).fetchall()}
    days = [on.toordinal() - EPOCH for on in given.on]
    for on, day in zip(given.on, days, strict=True):
        print(f"{on}: {choose_cold(baskets, groups, day, given.horizon).verdict}")
    alike = [judge_cold(baskets, groups, day, given.horizon) for day in days]
    plain = [judge_cold(baskets, {}, day, given.horizon) for day in days]
    for metric in ("recall", "ndcg"):
        one, other = (np.concatenate([found[metric] for found in part]) for part in (alike, plain))
        each = np.arange(len(one))
        for name, values in (("similar", one), ("popular", other), ("difference", one - other)):
            said = interval(values, each)
            print(f"{metric}@10 {name:<12}{said.value:.4f} ({said.lower:.4f} to {said.upper:.4f})")
    print(f"{len(one)} new customers")


if __name__ == "__main__":
    main()
