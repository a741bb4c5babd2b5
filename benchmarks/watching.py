"""`cva watch` under load: how long from a file to its published score, and is it the right one?

    .venv/bin/python benchmarks/watching.py --customers 20000 --files 40 --every 30
    .venv/bin/python benchmarks/watching.py --files 200 --every 0.5 --shuffle --kills 2
    .venv/bin/python benchmarks/watching.py --files 30 --every 20 --readers 50 --kills 3
    .venv/bin/python benchmarks/watching.py --customers 500 --days 30

A shop of MBG/NBD customers over two years has been loaded, trained and published. Then come files
of orders (new, late, sent twice, corrected, cancelled) and of reviews, one after the other or in
random order, while the watch runs and is killed. Each file brings a customer nobody knew, so that
the first published table with that customer tells its latency. At the end the published tables are
compared with those of a run in a new database over the same files. With `--days` each file is a
day, and the tables are compared after each with those of a full refresh.
"""

from __future__ import annotations

import argparse
import csv
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

START, DAYS = datetime(2023, 1, 1), 730
CVA = [sys.executable, "-m", "cva_sql.cli.app"]
# What a table says of earlier runs is not of the data alone, nor is when something was done.
OF_RUNS = {
    "customer_value_history", "segment_moves", "segment_flows", "churn_alerts",
    "cva_live_performance",
}  # fmt: skip
OF_TIME = {"scored_at", "explained_as_of", "run_id"}


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Puts the file there in one step, as a sink that knows its trade does."""
    part = path.with_name(f".{path.name}")
    with part.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    part.rename(path)


class Shop:
    """Orders of the past, and the files that come after."""

    def __init__(self, customers: int, seed: int) -> None:
        self.draw = random.Random(seed)
        rng = np.random.default_rng(seed)
        rate = rng.gamma(0.8, 1 / 40.0, customers)
        mean = rng.gamma(3.0, 15.0, customers)
        born = rng.integers(0, DAYS - 10, customers)
        self.orders: list[dict[str, Any]] = []
        for who in range(customers):
            day = float(born[who])
            while day < DAYS:
                self._add(who, day, float(mean[who]))
                if rng.random() < 0.2:
                    break
                day += rng.exponential(1 / max(rate[who], 1e-4))
        self.customers, self.mean = customers, mean

    def _add(self, who: int, day: float, mean: float) -> dict[str, Any]:
        at = START + timedelta(days=day)
        row = {
            "order_id": f"o{len(self.orders)}",
            "customer_id": f"c{who}",
            "ordered_at": at.strftime("%Y-%m-%d %H:%M:%S"),
            "amount": f"{max(1.0, self.draw.gauss(mean, mean / 3)):.2f}",
            "status": "paid",
            "updated_at": at.strftime("%Y-%m-%d %H:%M:%S"),
        }
        self.orders.append(row)
        return row

    def file(self, number: int, day: float, size: int) -> dict[str, list[dict[str, Any]]]:
        """What comes with this number: kind -> rows; the orders of the day, and of others."""
        now = (START + timedelta(days=day)).strftime("%Y-%m-%d %H:%M:%S")
        rows = []
        for _ in range(size):
            who, late = self.draw.randrange(self.customers), self.draw.choice((0, 0, 0, 3, 20))
            rows.append(self._add(who, day - late, float(self.mean[who])))
        new = self._add(0, day, 40.0)
        new["customer_id"] = f"new-{number}"
        rows.append(new)
        for old in self.draw.sample(self.orders[:-size], max(1, size // 5)):
            what = self.draw.choice(("again", "corrected", "cancelled"))
            if what == "corrected":
                old.update(amount=f"{float(old['amount']) * 1.1:.2f}", updated_at=now)
            elif what == "cancelled":
                old.update(status="cancelled", updated_at=now)
            rows.append(old)
        reviews = [
            {"review_id": f"r{self.draw.randrange(500)}", "customer_id": row["customer_id"],
             "reviewed_at": now, "rating": self.draw.randint(1, 5), "body": f"fine, {number} 🎉"}
            for row in rows[: max(1, size // 10)]
        ]  # fmt: skip
        return {"orders": [dict(row) for row in {r["order_id"]: r for r in rows}.values()],
                "reviews": list({r["review_id"]: r for r in reviews}.values())}  # fmt: skip


def cva(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*CVA, *map(str, arguments)], capture_output=True, text=True, check=False, **options
    )
    if done.returncode:
        raise SystemExit(f"cva {arguments[0]}: {done.stderr[-2000:]}")
    return done


def prepare(folder: Path, customers: int, seed: int) -> Shop:
    """A shop that was loaded, trained and published."""
    shop = Shop(customers, seed)
    (folder / "in").mkdir(parents=True)
    write_rows(folder / "in" / "orders-0.csv", shop.orders)
    watch_once(folder)
    cva("train", "--db", folder / "shop.duckdb")
    watch_once(folder)
    return shop


def watch_once(folder: Path, *more: object) -> None:
    cva(
        "watch", "--raw", folder / "in", "--db", folder / "shop.duckdb", "--once", "--settle", 0,
        "--no-report", "--accept-drift", *more,
    )  # fmt: skip


def published(folder: Path) -> Path:
    return folder / "published" / "current" / "cva.duckdb"


def known_new(folder: Path) -> set[int]:
    """The numbers of the files whose customer is published."""
    with duckdb.connect(str(published(folder).resolve()), read_only=True) as con:
        rows = con.execute(
            "select customer_id from customer_value where starts_with(customer_id, 'new-')"
        ).fetchall()
    return {int(name.removeprefix("new-")) for (name,) in rows}


class Watcher:
    """A `cva watch` that is started, killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.process, self.log = folder, None, folder / "watch.log"

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*CVA, "watch", "--raw", str(self.folder / "in"), "--db",
                 str(self.folder / "shop.duckdb"), "--no-report", "--accept-drift"],
                stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait()


READER = """
import sys, time, duckdb
path, stop, bad, count = sys.argv[1], sys.argv[2], 0, 0
import os
while not os.path.exists(stop):
    try:
        with duckdb.connect(path, read_only=True) as con:
            a = con.execute("select count(*), count(distinct as_of_date),"
                            " count(distinct model_hash) from customer_value").fetchone()
            b = con.execute("select count(*) from customer_value_path").fetchone()[0]
            c = con.execute("select count(*) from customer_value v join customer_segments s"
                            " using (customer_id) where v.value_tier is not distinct from"
                            " s.value_tier").fetchone()[0]
            n = con.execute("select count(distinct days) from customer_value_path").fetchone()[0]
        count += 1
        if a[1] != 1 or a[2] != 1 or c != a[0] or b != a[0] * n:
            bad += 1
            print('mixed', a, b, c, file=sys.stderr)
    except Exception as error:
        bad += 1
        print('failed', error, file=sys.stderr)
    time.sleep(float(sys.argv[3]))
print(count, bad)
"""


@contextmanager
def readers(folder: Path, count: int, pause: float) -> Iterator[list[subprocess.Popen[str]]]:
    stop = folder / "stop"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", READER, str(published(folder)), str(stop), str(pause)],
            stdout=subprocess.PIPE, text=True,
        )
        for _ in range(count)
    ]  # fmt: skip
    yield started
    stop.touch()
    reads, bad = 0, 0
    for process in started:
        out, _ = process.communicate(timeout=120)
        reads, bad = reads + int(out.split()[0]), bad + int(out.split()[1])
    if count:
        print(f"{count} readers: {reads:,} reads, {bad} failed or mixed")


def stream(folder: Path, shop: Shop, given: argparse.Namespace) -> None:
    numbers = list(range(1, given.files + 1))
    files = [(n, shop.file(n, DAYS + n * given.span / given.files, given.size)) for n in numbers]
    if given.shuffle:
        shop.draw.shuffle(files)
    kills = sorted(shop.draw.sample(range(2, len(files)), given.kills))
    watcher, arrived, seen = Watcher(folder), dict[int, float](), dict[int, float]()
    done = threading.Event()

    def look() -> None:
        last = None
        while not done.is_set():
            now = (folder / "published" / "current").readlink()
            if now != last:
                last, moment = now, time.time()
                for number in known_new(folder) - seen.keys():
                    seen[number] = moment
            time.sleep(0.05)

    looker = threading.Thread(target=look)
    runs = count_runs(folder)
    watcher.start()
    looker.start()
    with readers(folder, given.readers, given.pause):
        for place, (number, kinds) in enumerate(files):
            for kind, rows in kinds.items():
                write_rows(folder / "in" / f"{kind}-{number}.csv", rows)
            arrived[number] = time.time()
            time.sleep(given.every * shop.draw.uniform(0.5, 1.5))
            if place in kills:
                watcher.kill()
                watcher.start()
        until = time.time() + 600
        while len(seen) < len(files) and time.time() < until:
            time.sleep(0.2)
    code = watcher.stop()
    done.set()
    looker.join()
    waits = np.array([seen[n] - arrived[n] for n in arrived if n in seen])
    print(
        f"{len(files)} files, {given.kills} kills, {count_runs(folder) - runs} publishes, stopped"
        f" with exit code {code}; not published: {len(files) - len(waits)}"
    )
    print(
        f"from file to published score: median {np.median(waits):.1f} s, p99"
        f" {np.quantile(waits, 0.99):.1f} s, longest {waits.max():.1f} s"
    )
    with duckdb.connect(str(folder / "shop.duckdb"), read_only=True) as con:
        print(
            "one run, start to end: median"
            f" {con.execute(LAST_RUNS).fetchall()[0][0]:.1f} s, of {given.customers:,} customers"
        )


LAST_RUNS = (
    "select median(duration_seconds) from (select duration_seconds from main.cva_runs"
    " where command = 'run' and outcome = 'ok' order by started_at desc limit 10)"
)


def count_runs(folder: Path) -> int:
    with duckdb.connect(str(folder / "shop.duckdb"), read_only=True) as con:
        return con.execute(
            "select count(*) from main.cva_runs where command = 'run' and outcome = 'ok'"
        ).fetchall()[0][0]


def fresh(folder: Path) -> Path:
    """A new database with the same files and models, run once."""
    other = folder / "fresh"
    shutil.rmtree(other, ignore_errors=True)
    other.mkdir()
    shutil.copytree(folder / "in", other / "in")  # with the times of the files
    (other / "cva_models").mkdir()
    for path in (folder / "cva_models").iterdir():
        if path.is_dir():
            shutil.copytree(path, other / "cva_models" / path.name)
        elif not path.name.startswith("."):
            shutil.copyfile(path, other / "cva_models" / path.name)
    watch_once(other)
    return other


def compare(folder: Path, other: Path) -> str:
    """The published tables that differ, but for what is of earlier runs."""
    con = duckdb.connect()
    for name, at in (("a", folder), ("b", other)):
        con.execute(f"attach '{published(at).resolve()}' as {name} (read_only)")
    found = con.execute(
        "select table_name, list(column_name) from duckdb_columns() where database_name = 'a'"
        " and not internal group by 1 order by 1"
    ).fetchall()
    different, compared = [], 0
    for table, columns in found:
        if table in OF_RUNS:
            continue
        compared += 1
        names = ", ".join(f'"{c}"' for c in columns if c not in OF_TIME)
        count = sum(
            con.execute(
                f"select count(*) from (select {names} from {x}.{table} except all"
                f" select {names} from {y}.{table})"
            ).fetchall()[0][0]
            for x, y in (("a", "b"), ("b", "a"))
        )
        if count:
            different.append(f"{table} ({count:,} rows)")
    con.close()
    return (
        f"{compared} tables compared with a full run, different: {', '.join(different) or 'none'}"
    )


def by_day(folder: Path, shop: Shop, given: argparse.Namespace) -> None:
    bad = 0
    for day in range(1, given.days + 1):
        for kind, rows in shop.file(day, DAYS + day, given.size).items():
            write_rows(folder / "in" / f"{kind}-{day}.csv", rows)
        watch_once(folder)
        said = compare(folder, fresh(folder))
        bad += not said.endswith("none")
        if not said.endswith("none"):
            print(f"day {day}: {said}", flush=True)
    print(f"{given.days} days, each kept + recomputed beside a full refresh: {bad} days differ")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=2_000)
    parser.add_argument("--files", type=int, default=30)
    parser.add_argument("--size", type=int, default=20, help="orders a file")
    parser.add_argument("--span", type=float, default=0.9, help="days that the files are of")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two files")
    parser.add_argument("--shuffle", action="store_true", help="in random order")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--readers", type=int, default=0)
    parser.add_argument("--pause", type=float, default=4.0, help="seconds between two reads of one")
    parser.add_argument("--days", type=int, default=0, help="a file a day, compared each day")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shop = prepare(folder, given.customers, given.seed)
        if given.days:
            by_day(folder, shop, given)
            return
        stream(folder, shop, given)
        watch_once(folder)  # a file of reviews may have come after the last run
        print(compare(folder, fresh(folder)))


if __name__ == "__main__":
    main()
