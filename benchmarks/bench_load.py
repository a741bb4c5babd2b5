"""`cva load orders --lines` beside DuckDB's own read_csv into a table and one sum per order.

    python benchmarks/bench_load.py [--lines 2000000]

Both write a database file. The best of three runs of each; what counts is the ratio.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from cva_sql.cli.load.table import load_table

RUNS = 3


def write_lines(file: Path, lines: int) -> None:
    """Order lines of two-decimal amounts, three to an order."""
    with duckdb.connect() as con:
        con.execute(
            "copy (select (i // 3)::bigint as order_id, 'c' || (hash(i // 3) % 200000) as"
            " customer_id, timestamp '2022-01-01' + (i // 3) * interval 1 minute as ordered_at,"
            " ((hash(i) % 10000) / 100.0)::decimal(10, 2) as amount"
            f" from range({lines}) as t (i)) to '{file}' (header)"
        )


def plain(file: Path, db: Path) -> None:
    """What somebody would write by hand who knows the file."""
    with duckdb.connect(str(db)) as con:
        con.execute(f"create table lines as from read_csv('{file}')")
        con.execute(
            "create table orders as select order_id, min(customer_id) as customer_id,"
            " min(ordered_at) as ordered_at, sum(amount) as amount from lines group by order_id"
        )


def ours(file: Path, db: Path) -> None:
    load_table("orders", [file], db=db, lines=True)


def best_of(load: Callable[[Path, Path], None], file: Path, folder: Path) -> float:
    seconds = []
    for run in range(RUNS):
        started = time.monotonic()
        load(file, folder / f"{load.__name__}{run}.duckdb")
        seconds.append(time.monotonic() - started)
    return min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=2_000_000)
    lines = parser.parse_args().lines
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_lines(folder / "lines.csv", lines)
        by_hand, by_cva = (best_of(load, folder / "lines.csv", folder) for load in (plain, ours))
    print(f"{lines:,} lines: read_csv and a sum {by_hand:.2f} s, cva load {by_cva:.2f} s")
    print(f"ratio {by_cva / by_hand:.1f}")


if __name__ == "__main__":
    main()
