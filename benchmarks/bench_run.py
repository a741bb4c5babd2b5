"""The stages of a whole run, how they grow with the shop, and each in bare aggregates.

The yardstick is one pass over the orders that everybody writes by hand: per customer the number of
orders, their sum, first and last. A stage of 20 is as long as 20 of those.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shop import make_shop

BARE = (
    "create or replace temp table bare as select customer_id, count(*) as orders_count, "
    "sum(amount) as spend, min(ordered_at) as first_at, max(ordered_at) as last_at "
    "from raw.orders group by customer_id"
)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that `work` takes, and what it returns."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def bare_seconds(db: Path) -> float:
    """The fastest of five bare aggregates."""
    import duckdb

    con = duckdb.connect(str(db))
    times = [timed(lambda: con.execute(BARE).fetchall())[0] for _ in range(5)]
    con.close()
    return min(times)


def dbt_groups(target: Path) -> dict[str, float]:
    """Seconds of dbt's models by folder, and of its tests, from the last invocation."""
    groups: dict[str, float] = {}
    results = json.loads((target / "run_results.json").read_text(encoding="utf-8"))
    nodes = json.loads((target / "manifest.json").read_text(encoding="utf-8"))["nodes"]
    for result in results["results"]:
        node = nodes.get(result["unique_id"])
        if node is None:  # unit tests stand elsewhere in the manifest
            continue
        name = "dbt tests" if node["resource_type"] == "test" else f"dbt {node['fqn'][1]}"
        if node["name"] == "int_cva__customer_scores":
            name = "dbt scoring"
        groups[name] = groups.get(name, 0.0) + float(result["execution_time"])
    return groups


def run_stages(customers: int) -> dict[str, float]:
    """Seconds by stage for one shop."""
    from cva_sql.cli.run.gates import check_scores
    from cva_sql.cli.run.publish import publish
    from cva_sql.cli.shop.dbt_runner import ARTEFACTS, run_dbt
    from cva_sql.cli.shop.resolver import open_shop
    from cva_sql.cli.train.training import train_shop
    from cva_sql.udfs.sessions import deployed_folder

    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "shop.duckdb"
        make_shop(db, customers)
        stages = {"bare aggregate": bare_seconds(db)}
        shop = open_shop(db)
        stages["cva train"], _ = timed(lambda: train_shop(shop))
        stages["cva run: dbt build"], _ = timed(
            lambda: run_dbt(shop, "build", environment=ARTEFACTS)
        )
        stages |= {f"  {k}": v for k, v in sorted(dbt_groups(shop.work_dir / "target").items())}
        model = deployed_folder(shop.models_dir)
        stages["cva run: gates"], _ = timed(lambda: check_scores(shop, model))
        stages["cva run: publish"], _ = timed(lambda: publish(shop, "bench"))
    return stages


def main() -> None:
    """Runs every size and prints stages side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", default="20000,200000")
    sizes = [int(size) for size in parser.parse_args().customers.split(",")]
    results = [run_stages(size) for size in sizes]
    header = "".join(f"{f'{size:,}':>14}{'in bare':>10}" for size in sizes)
    print(f"{'seconds, customers with 20 orders':<34}{header}{'growth':>10}")
    for stage in results[0]:
        cells = "".join(
            f"{result[stage]:>14.2f}{result[stage] / result['bare aggregate']:>10.1f}"
            for result in results
        )
        growth = results[-1][stage] / max(results[0][stage], 1e-9)
        print(f"{stage:<34}{cells}{growth:>9.1f}x")
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory: dbt {children:.2f} GB, training and scoring {own:.2f} GB")


if __name__ == "__main__":
    main()
