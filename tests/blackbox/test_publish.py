"""Readers of published/current see a whole run at any time, whatever becomes of the writer."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import onnx
import pytest

READER = """
import json, sys, time
from pathlib import Path
import duckdb
database, stop = sys.argv[1], Path(sys.argv[2])
print("started", flush=True)
while not stop.exists():
    try:
        with duckdb.connect(database, read_only=True) as con:
            seen = con.execute(
                "select count(*), count(distinct model_hash), min(model_hash), "
                "(select count(*) from customer_features), (select sum(predicted_value) > 0 "
                "from customer_value), max(scored_at)::varchar from customer_value"
            ).fetchall()[0]
    except Exception as error:
        seen = [repr(error)]
    print(json.dumps(seen), flush=True)
    time.sleep(0.02)
"""

# `cva run` on tables that are built already, killed at its n-th call of a function.
KILLED_RUN = """
import os, signal, sys
from pathlib import Path
import cva_sql.cli.shop.dbt_runner as dbt
import cva_sql.cli.run.publish as publish
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.cli.run.build import run_shop
db, place, when = sys.argv[1:]
dbt.run_dbt = lambda *_, **__: ()
owner, name = (Path, place[5:]) if place.startswith("Path.") else (publish, place)
real = getattr(owner, name)
def killed(*arguments, **options):
    if when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    real(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
shop = open_shop(Path(db))
setattr(owner, name, killed)
run_shop(shop)
"""
KILLED_AT = [
    ("check_scores", "before"),
    ("_copy_tables", "before"),
    ("_copy_tables", "after"),
    ("sync", "after"),
    ("Path.rename", "before"),
    ("Path.rename", "after"),
    ("Path.symlink_to", "after"),
    ("Path.replace", "after"),
    ("_remove_old", "before"),
]
KILL_DELAYS = (0.05, 0.25, 0.45, 0.65, 0.85, 0.98)  # of the time that a run takes


@dataclass(frozen=True)
class Published:
    """What a reader finds."""

    run: str
    customers: int
    features: int
    hashes: tuple[str, ...]


def read_published(folder: Path) -> Published:
    current = folder / "published" / "current"
    with duckdb.connect(str(current / "cva.duckdb"), read_only=True) as con:
        customers, hashes = con.execute(
            "select count(*), list(distinct model_hash) from customer_value"
        ).fetchall()[0]
        (features,) = con.execute("select count(*) from customer_features").fetchall()[0]
        (parquet,) = con.execute(
            f"select count(*) from '{current / 'customer_value.parquet'}'"
        ).fetchall()[0]
    assert parquet == customers
    return Published(current.resolve().name, customers, features, tuple(hashes))


def unfinished(folder: Path) -> list[str]:
    return [path.name for path in (folder / "published").iterdir() if path.name.startswith(".un")]


def start_run(db: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cva_sql.cli.app", "run", "--db", str(db)],
        env={**os.environ, "CVA_TESTS_COLD": "1"},  # a kill hits the process that does the work
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@dataclass(frozen=True)
class BusyRun:
    """A run during which another process read all the time and a second run was tried."""

    reads: list[list[Any]]
    first: int
    error: str
    second: subprocess.CompletedProcess[str]
    before: Published
    after: Published
    unfinished: list[str]


@pytest.fixture(scope="module")
def busy_run(sample_shop: Any, cva: Any, tmp_path_factory: pytest.TempPathFactory) -> BusyRun:
    db = sample_shop.copy_to(tmp_path_factory.mktemp("busy") / "shop")
    before = read_published(db.parent)
    stop = db.parent / "stop"
    database = db.parent / "published" / "current" / "cva.duckdb"
    said = db.parent / "reads.txt"  # a pipe that nobody empties would stop it half-way
    with said.open("w") as output:
        reader = subprocess.Popen(
            [sys.executable, "-c", READER, str(database), str(stop)], stdout=output
        )
    while not said.stat().st_size:
        time.sleep(0.05)
    run = start_run(db)
    second = try_while_locked(cva, run, db)
    _, error = run.communicate()
    time.sleep(0.3)
    stop.touch()
    reader.wait()
    reads = [json.loads(line) for line in said.read_text().splitlines()[1:]]
    after = read_published(db.parent)
    return BusyRun(reads, run.returncode, error, second, before, after, unfinished(db.parent))


def try_while_locked(
    cva: Any, run: subprocess.Popen[str], db: Path
) -> subprocess.CompletedProcess[str]:
    """A second run, once the first one's dbt holds the database."""
    log = db.parent / ".cva" / "logs" / "dbt.log"  # to look at the database would hold it
    before = log.stat().st_mtime_ns
    while run.poll() is None:
        if log.stat().st_mtime_ns > before:
            result: subprocess.CompletedProcess[str] = cva("run", "--db", db)
            return result
        time.sleep(0.1)
    raise AssertionError("the first run never held the database")


def test_every_read_during_a_run_succeeds_and_is_whole(sample_shop: Any, busy_run: BusyRun) -> None:
    assert busy_run.first == 0, busy_run.error
    assert len(busy_run.reads) > 20
    for customers, hashes, _, features, is_plausible, _ in busy_run.reads:
        assert (customers, features) == (sample_shop.run.customers,) * 2
        assert (hashes, is_plausible) == (1, True)


def test_readers_see_the_former_run_and_then_the_new_one(busy_run: BusyRun) -> None:
    assert busy_run.after.run > busy_run.before.run
    assert len({read[5] for read in busy_run.reads}) == 2
    assert busy_run.unfinished == []


def test_a_second_run_at_once_fails_in_one_line(busy_run: BusyRun) -> None:
    assert busy_run.second.returncode == 1
    (line,) = busy_run.second.stderr.splitlines()
    assert line.startswith("cva: ")
    assert "in use by another process" in line


def test_a_killed_run_leaves_the_former_one_and_the_next_works(
    sample_shop: Any, cva: Any, together: Any, tmp_path: Path
) -> None:
    def kill_some(name: str, delays: tuple[float, ...]) -> None:
        db = sample_shop.copy_to(tmp_path / name)
        former = read_published(db.parent)
        for delay in delays:
            run = start_run(db)
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.wait(delay * sample_shop.run_seconds)
            run.kill()
            run.communicate()
            found = read_published(db.parent)
            assert found.customers == found.features == former.customers
            assert found.hashes == former.hashes
            assert found.run == former.run or run.returncode == 0 or delay > 0.9
        again = cva("run", "--db", db)
        assert again.returncode == 0, again.stderr
        assert read_published(db.parent).run > former.run
        assert unfinished(db.parent) == []

    together([lambda: kill_some("a", KILL_DELAYS[::2]), lambda: kill_some("b", KILL_DELAYS[1::2])])


@pytest.mark.parametrize(("place", "when"), KILLED_AT)
def test_a_kill_between_two_steps_of_publishing_leaves_a_whole_run(
    sample_shop: Any, tmp_path: Path, place: str, when: str
) -> None:
    db = sample_shop.copy_to(tmp_path / "shop")
    former = read_published(db.parent)
    code = KILLED_RUN
    if place == "check_scores":
        code = code.replace("import cva_sql.cli.run.publish as", "import cva_sql.cli.run.gates as")
    killed = subprocess.run(
        [sys.executable, "-c", code, str(db), place, when], capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    found = read_published(db.parent)
    assert (found.customers, found.features) == (former.customers, former.features)
    is_switched = (place, when) in {("Path.replace", "after"), ("_remove_old", "before")}
    assert (found.run != former.run) == is_switched
    again = subprocess.run(
        [sys.executable, "-c", code.replace("setattr(", "0 and setattr("), str(db), place, when],
        capture_output=True,
        check=False,
    )
    assert again.returncode == 0, again.stderr.decode()
    assert read_published(db.parent).run > found.run
    assert unfinished(db.parent) == []


def predict_infinity(folder: Path) -> None:
    """Turns a model into one whose predicted_value is infinite, with a manifest that fits."""
    model = onnx.load(folder / "model.onnx")
    for node in model.graph.node:
        if node.output[0] == "predicted_value":
            node.output[0] = "finite"
    infinity = onnx.numpy_helper.from_array(np.array(np.inf), "infinity")
    model.graph.initializer.append(infinity)
    model.graph.node.append(
        onnx.helper.make_node("Max", ["finite", "infinity"], ["predicted_value"])
    )
    data = model.SerializeToString()
    (folder / "model.onnx").write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sha256"] = hashlib.sha256(data).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_failing_gate_leaves_the_former_run(sample_shop: Any, cva: Any, tmp_path: Path) -> None:
    db = sample_shop.copy_to(tmp_path / "shop")
    former = read_published(db.parent)
    # It builds every table and fails the test of what they hold.
    predict_infinity(db.parent / "cva_models" / "value" / sample_shop.model_folder.name)
    failed = cva("run", "--db", db)
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("cva: ")
    assert "cva__values_are_finite" in failed.stderr.splitlines()[-1]
    assert "Traceback" not in failed.stderr
    assert read_published(db.parent) == former
    assert unfinished(db.parent) == []


def test_old_runs_are_removed_but_three(sample_shop: Any, tmp_path: Path) -> None:
    db = sample_shop.copy_to(tmp_path / "shop")
    code = KILLED_RUN.replace("setattr(", "0 and setattr(")
    code = code.replace("run_shop(shop)", "[run_shop(shop) for _ in range(5)]")
    done = subprocess.run(
        [sys.executable, "-c", code, str(db), "sync", "before"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    runs = sorted(
        p.name for p in (db.parent / "published").iterdir() if p.is_dir() and not p.is_symlink()
    )
    assert len(runs) == 3
    assert read_published(db.parent).run == runs[-1]


def test_a_model_of_another_shop_does_not_score(sample_shop: Any, cva: Any, tmp_path: Path) -> None:
    db = sample_shop.copy_to(tmp_path / "shop")
    other = db.with_name("other.duckdb")
    db.rename(other)
    result = cva("run", "--db", other)
    assert result.returncode == 1
    assert "belongs to shop.duckdb, not to other.duckdb" in result.stderr
    assert cva("run", "--db", other, "--adopt").returncode == 0


def test_what_is_published_says_what_it_is(sample_shop: Any, rows: Any) -> None:
    query = (
        "select table_name, column_name, comment from duckdb_columns() where not internal"
        " and table_name = 'customer_value' and schema_name = 'main' order by column_index"
    )
    published = rows(Path(sample_shop.run.published), query)
    assert published == rows(sample_shop.db, query)
    assert len(published) > 20
    assert all(comment for *_, comment in published)
    said = "select comment from duckdb_tables() where comment is null"
    assert rows(Path(sample_shop.run.published), said) == []
