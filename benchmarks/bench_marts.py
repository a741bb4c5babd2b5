"""How long the marts that teams act on take, beside customer_features of the same shop.

Each statement of the last run is run again alone, from tables that are there: segments, alerts,
priorities, economics, cohorts, actions and the history, with the pass over all orders that some of
them share. The value path is told beside them. Without a model the packaged rule scores. Seconds
are of all cores together, which other work on the machine changes less than time on the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

from shop import make_shop

REPETITIONS = 3
YARDSTICK = "customer_features"
MARTS = (
    "customer_segments",
    "segment_moves",
    "segment_flows",
    "churn_alerts",
    "service_priority",
    "int_cva__customer_months",
    "customer_economics",
    "channel_economics",
    "cohort_economics",
    "cohort_retention",
    "next_actions",
    "int_cva__value_history",
)
BESIDE = ("customer_value_path", "segment_value_path")


def statements(target: Path) -> dict[str, str]:
    """The compiled SQL of each model of the last invocation, by name."""
    results = json.loads((target / "run_results.json").read_text(encoding="utf-8"))["results"]
    return {
        result["unique_id"].split(".")[-1]: result["compiled_code"]
        for result in results
        if result["unique_id"].startswith("model.")
    }


def core_seconds() -> float:
    """What all threads of this process have used so far."""
    times = os.times()
    return times.user + times.system


def median_seconds(db: Path, sql_of: dict[str, str]) -> dict[str, float]:
    """Seconds of each statement, the median of rounds in which each runs once."""
    import duckdb

    con = duckdb.connect(str(db))
    seconds: dict[str, list[float]] = {name: [] for name in sql_of}
    for _ in range(REPETITIONS):
        for name, sql in sql_of.items():
            before = core_seconds()
            con.execute(f"create or replace temp table timed as {sql}")
            seconds[name].append(core_seconds() - before)
    con.close()
    return {name: statistics.median(found) for name, found in seconds.items()}


def build(db: Path, models_dir: Path | None) -> dict[str, str]:
    """Builds the shop's tables and gives their statements."""
    from cva_sql.cli.shop.dbt_runner import ARTEFACTS, run_dbt
    from cva_sql.cli.shop.resolver import open_shop

    shop = open_shop(db, models_dir=models_dir)
    run_dbt(shop, "run", environment=ARTEFACTS)
    return statements(shop.work_dir / "target")


def main() -> None:
    """Prints each mart's seconds, and all of them over customer_features."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--db", type=Path, help="a shop that is there, in place of a new one")
    parser.add_argument("--models-dir", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        db = options.db or Path(folder) / "shop.duckdb"
        if options.db is None:
            make_shop(db, options.customers)
        sql_of = build(db, options.models_dir)
        wanted = {name: sql_of[name] for name in (YARDSTICK, *MARTS, *BESIDE)}
        seconds = median_seconds(db, wanted)
    for name, median in seconds.items():
        print(f"{name:<28}{median:>8.2f} s")
    total = sum(seconds[name] for name in MARTS)
    ratio = total / seconds[YARDSTICK]
    print(f"{'marts without the path':<28}{total:>8.2f} s, {ratio:.2f} times {YARDSTICK}")


if __name__ == "__main__":
    main()
