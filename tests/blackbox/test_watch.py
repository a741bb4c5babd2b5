"""`cva watch` as its user meets it: files come, it is killed, it is stopped, and readers read."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.demo.sample_shop import write_shop

# What a table says of earlier runs, and when something was done, is not of the data alone.
OF_RUNS = {
    "customer_value_history", "segment_moves", "segment_flows", "churn_alerts",
    "cva_live_performance",
}  # fmt: skip
OF_TIME = {"scored_at", "explained_as_of"}
WAIT_SECONDS = 180


def split(source: Path, folder: Path, parts: int, draw: random.Random) -> None:
    """A shop's tables as many files each, some rows in two of them, in random order."""
    folder.mkdir()
    for path in sorted(source.glob("*.csv")):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        pieces: list[list[dict[str, str]]] = [[] for _ in range(parts)]
        for row in rows:
            pieces[draw.randrange(parts)].append(row)
        for piece in pieces:
            piece += draw.sample(rows, 5)
        for number, piece in enumerate(pieces):
            with (folder / f"{path.stem}-{number}.csv").open("w", newline="") as file:
                table = csv.DictWriter(file, list(rows[0]))
                table.writeheader()
                table.writerows(piece)


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cva_sql.cli.app", "watch", "--raw", str(folder / "in"), "--db",
         str(folder / "shop.duckdb"), "--settle", "0.2", "--every", "0.2", *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "CVA_TESTS_COLD": "1"},
    )  # fmt: skip


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while not what():
        assert time.monotonic() < until
        time.sleep(0.1)


def customers(folder: Path) -> int:
    file = folder / "published" / "current" / "cva.duckdb"
    if not file.exists():
        return 0
    with duckdb.connect(str(file.resolve()), read_only=True) as con:
        return int(con.execute("select count(*) from customer_value").fetchall()[0][0])


def published(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    file = (folder / "published" / "current" / "cva.duckdb").resolve()
    with duckdb.connect(str(file), read_only=True) as con:
        found = con.execute(
            "select table_name, list(column_name order by column_index) from duckdb_columns()"
            " where not internal group by 1"
        ).fetchall()
        return {
            table: con.execute(
                f"select {', '.join(c for c in columns if c not in OF_TIME)} from {table}"
                " order by all"
            ).fetchall()
            for table, columns in found
            if table not in OF_RUNS
        }


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_shop(tmp_path / "files", customers=200)
    return tmp_path / "files"


def test_killed_twice_it_publishes_what_one_run_of_all_publishes(
    cva: Callable[..., Any], files: Path, tmp_path: Path
) -> None:
    shop = tmp_path / "shop"
    (shop / "in").mkdir(parents=True)
    draw = random.Random(5)
    split(files, tmp_path / "parts", 6, draw)
    parts = sorted((tmp_path / "parts").iterdir())
    draw.shuffle(parts)
    watcher = start(shop, "--no-report")
    for place, part in enumerate(parts):
        shutil.copy2(part, shop / "in" / f".{part.name}")
        (shop / "in" / f".{part.name}").rename(shop / "in" / part.name)
        if place in (len(parts) // 3, len(parts) // 2):
            time.sleep(draw.uniform(0.5, 3))
            watcher.send_signal(signal.SIGKILL)
            watcher.communicate()
            watcher = start(shop, "--no-report")
    expected = len({row["customer_id"] for row in csv.DictReader((files / "customers.csv").open())})
    wait_for(lambda: customers(shop) >= expected)
    watcher.send_signal(signal.SIGTERM)
    _, said = watcher.communicate(timeout=WAIT_SECONDS)
    assert watcher.returncode == 0, said
    assert not (shop / "in" / "rejected").exists()
    cva("watch", "--raw", shop / "in", "--db", shop / "shop.duckdb", "--once", "--no-report")

    other = tmp_path / "other"
    shutil.copytree(shop / "in", other / "in")
    done = cva(
        "watch", "--raw", other / "in", "--db", other / "shop.duckdb", "--once", "--settle", 0,
        "--json",
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert (found["files"], found["runs"], found["rejected"]) == (len(parts), 1, [])
    assert (other / "report.html").is_file()
    assert published(shop) == published(other)

    again = cva("watch", "--raw", other / "in", "--db", other / "shop.duckdb", "--once", "--json")
    assert json.loads(again.stdout)["runs"] == 0
    poison = other / "in" / "orders-bad.csv"
    poison.write_text("order_id,amount\n1,2\n")
    os.utime(poison, (0, 0))
    said = cva("watch", "--raw", other / "in", "--db", other / "shop.duckdb", "--once")
    assert "1 rejected" in said.stdout
    assert "nothing to publish" in said.stdout
    assert (other / "in" / "rejected" / "orders-bad.csv").is_file()


def test_a_table_that_somebody_fills_is_published_when_it_changes(
    cva: Callable[..., Any], files: Path, tmp_path: Path
) -> None:
    db = tmp_path / "shop.duckdb"
    cva("load", "orders", files / "orders.csv", "--db", db)
    once = ("watch", "--raw", "raw.orders", "--db", db, "--once", "--json", "--no-report")
    assert json.loads(cva(*once).stdout)["runs"] == 1
    assert json.loads(cva(*once).stdout)["runs"] == 0
    with duckdb.connect(str(db)) as con:
        con.execute(
            "insert into raw.orders (order_id, customer_id, ordered_at, amount) select 'extra',"
            " 'somebody new', max(ordered_at) - interval 1 day, 12 from raw.orders"
        )
    found = json.loads(cva(*once).stdout)
    assert found["runs"] == 1
    assert found["last"]["customers"] == customers(tmp_path)
    assert json.loads(cva(*once).stdout)["runs"] == 0
    nothing = cva("watch", "--raw", "raw.absent", "--db", db, "--once")
    assert nothing.returncode == 2
    assert "is no folder, and no table of" in nothing.stderr
