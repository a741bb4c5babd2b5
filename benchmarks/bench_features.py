"""How long all features take, against one aggregate over the same orders.

    .venv/bin/python benchmarks/bench_features.py [--customers 20000,200000]

Generates a shop in SQL, lets dbt compile and build the packaged project once, then times the
compiled statements of every feature table, from raw.orders to customer_features, in dbt's order.
Views cost nothing by themselves: their work is in the statements that read them. The yardstick is
what a user would write by hand, the RFM/BTYD summary with the purchases of one day merged.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import duckdb

from cva_sql.cli.shop.package import project_dir

ORDERS_PER_CUSTOMER = 20
THREADS = 2
MEMORY_LIMIT = "4GB"  # what the whole run may take; DuckDB spills to disk above it
REPETITIONS = 5  # single timings differ by a tenth
LIMIT = 3.0  # times the yardstick

YARDSTICK = "yardstick (RFM/BTYD summary)"
PLAIN = "plain (count, sum, min, max)"
FEATURES = "all features"

# Hashes stand in for chance: the same shop on every machine.
SHOP = """
create schema raw;
create table raw.orders as
select
    'o' || i as order_id,
    'c' || (i % {customers}) as customer_id,
    timestamp '2022-01-01' + to_seconds(cast(hash(i * 7 + 1) % (1000 * 86400) as bigint))
        as ordered_at,
    cast(5 + (hash(i * 3 + 2) % 10000) / 100.0 as decimal(18, 4)) as amount,
    'paid' as status
from range({orders}) as numbers(i)
order by hash(i);
"""

BY_HAND = {
    YARDSTICK: """
        create or replace table main.by_hand as
        select
            customer_id,
            count(*) - 1 as frequency,
            max(d) - min(d) as recency,
            date '2025-01-01' - min(d) as t,
            (sum(a) - min_by(a, d)) / nullif(count(*) - 1, 0) as monetary_value
        from (
            select customer_id, cast(ordered_at as date) as d, sum(amount) as a
            from raw.orders
            group by 1, 2
        )
        group by 1
    """,
    PLAIN: """
        create or replace table main.by_hand as
        select
            customer_id,
            count(*) as orders,
            sum(amount) as spend,
            min(ordered_at) as first_at,
            max(ordered_at) as last_at
        from raw.orders
        group by 1
    """,
}


@dataclass(frozen=True)
class Timings:
    """Of one shop: the seconds of each repetition by what was run, and the peak memory in GB."""

    customers: int
    seconds: dict[str, list[float]]
    peak_gb: float

    def of(self, name: str) -> float:
        return median(self.seconds[name])

    def ratio_to(self, name: str) -> float:
        """All features over `name`: the median over repetitions, whose parts ran side by side."""
        pairs = zip(self.seconds[FEATURES], self.seconds[name], strict=True)
        return median(features / other for features, other in pairs)


def run_dbt(db: Path, folder: Path) -> None:
    """Compiles and builds everything up to customer_features once, in its own process."""
    arguments = ["run", "--quiet", "--select", "+customer_features"]
    subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "dbt.cli.main", *arguments],
        check=True,
        env={
            **os.environ,
            "CVA_DB": str(db),
            "DBT_PROJECT_DIR": str(project_dir()),
            "DBT_PROFILES_DIR": str(project_dir()),
            "DBT_TARGET_PATH": str(folder / "target"),
            "DBT_LOG_PATH": str(folder / "logs"),
        },
    )


def table_statements(target: Path) -> dict[str, str]:
    """model -> the statement that builds it, for each model that is a table, in dbt's order."""
    nodes = json.loads((target / "manifest.json").read_text(encoding="utf-8"))["nodes"]
    results = json.loads((target / "run_results.json").read_text(encoding="utf-8"))["results"]
    results.sort(key=lambda result: result["timing"][-1]["started_at"])
    built = [nodes[result["unique_id"]] for result in results]
    return {
        node["name"]: f"create or replace table {node['relation_name']} as "
        + (target / "compiled" / "cva" / node["original_file_path"]).read_text(encoding="utf-8")
        for node in built
        if node["config"]["materialized"] == "table"
    }


def timed(con: duckdb.DuckDBPyConnection, statement: str) -> float:
    started = time.perf_counter()
    con.execute(statement).fetchall()
    return time.perf_counter() - started


def measure(customers: int, folder: Path) -> Timings:
    """The timings of a shop of that many customers, generated in `folder`."""
    db = folder / "shop.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute(SHOP.format(customers=customers, orders=customers * ORDERS_PER_CUSTOMER))
    run_dbt(db, folder)
    models = table_statements(folder / "target")
    seconds: dict[str, list[float]] = {name: [] for name in [*models, FEATURES, *BY_HAND]}
    with duckdb.connect(str(db)) as con:
        con.execute(f"set threads = {THREADS}; set memory_limit = '{MEMORY_LIMIT}'")
        for _ in range(REPETITIONS):
            for name, statement in {**BY_HAND, **models}.items():
                seconds[name].append(timed(con, statement))
            seconds[FEATURES].append(sum(seconds[name][-1] for name in models))
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Timings(customers, seconds, peak_kb / 1e6)


def report(runs: list[Timings]) -> None:
    """Prints one line per statement and one column per shop, with the growth from first to last."""
    first, last = runs[0], runs[-1]
    head = "".join(f"{f'{run.customers:,}':>12}" for run in runs)
    print(f"{'seconds by customers':32}{head}{'growth':>10}")
    for name in last.seconds:
        times = "".join(f"{run.of(name):12.3f}" for run in runs)
        print(f"{name:32}{times}{last.of(name) / first.of(name):9.1f}x")
    for other in BY_HAND:
        label = f"features / {other.partition(' (')[0]}"
        ratios = "".join(f"{run.ratio_to(other):11.2f}x" for run in runs)
        print(f"{label:32}{ratios}")
    print(f"{'peak memory, GB':32}" + "".join(f"{run.peak_gb:12.2f}" for run in runs))
    print(
        f"\n{ORDERS_PER_CUSTOMER} orders a customer, {THREADS} threads,"
        f" DuckDB {duckdb.__version__}, medians of {REPETITIONS};"
        f" aim: {LIMIT:g}x the yardstick, {MEMORY_LIMIT}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Time all features against one aggregate.")
    parser.add_argument("--customers", default="20000,200000", help="Sizes, smallest first.")
    sizes = sorted(int(size) for size in parser.parse_args().customers.split(","))
    runs = []
    for customers in sizes:
        with tempfile.TemporaryDirectory(prefix="cva_bench_") as folder:
            runs.append(measure(customers, Path(folder)))
    report(runs)


if __name__ == "__main__":
    main()
