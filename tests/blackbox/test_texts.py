"""No text is read twice: new reviews, killed runs, another encoder, both ways to fill the table."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.demo.sample_shop import sample_reviews
from cva_sql.cli.shop.package import project_dir
from cva_sql.udfs.journal import SUFFIX, checksum

TEXTS = 300
VECTORS = "main_cva.int_cva__text_vectors"
UNTIL_VECTORS = ["run", "--select", "+int_cva__text_vectors"]


def make_shop(folder: Path, texts: list[str]) -> Path:
    """Two reviews a text, of customers of whom some never ordered; one review without a body."""
    folder.mkdir(parents=True, exist_ok=True)
    db = folder / "shop.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute("create schema raw")
        con.execute(
            "create table raw.orders as select i as order_id, i % 40 as customer_id, "
            "timestamp '2025-01-01' + to_days(i::integer) as ordered_at, 10.0 as amount "
            "from range(200) as t(i)"
        )
        con.execute(
            "create table raw.reviews as select i as review_id, i % 60 as customer_id, "
            "timestamp '2025-03-01' + to_days((i % 90)::integer) as reviewed_at, "
            "1 + i % 5 as rating, ($1::varchar[])[1 + i % len($1::varchar[])] as body "
            "from range(2 * len($1::varchar[])) as t(i)",
            [texts],
        )
        con.execute("insert into raw.reviews values (99999, 1, '2025-03-03', 3, null)")
    return db


def dbt_command(db: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """A plain dbt run on the database, without the CLI."""
    return [sys.executable, "-W", "ignore", "-m", "dbt.cli.main", *arguments], {
        **os.environ,
        "CVA_DB": str(db),
        "DBT_PROJECT_DIR": str(project_dir()),
        "DBT_PROFILES_DIR": str(project_dir()),
        "DBT_TARGET_PATH": str(db.parent / "target"),
        "DBT_LOG_PATH": str(db.parent / "logs"),
    }


def run_dbt(db: Path, *arguments: str) -> str:
    command, environment = dbt_command(db, *arguments)
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def journalled(db: Path) -> int:
    """Texts in the journal; 0 without one."""
    file = db.parent / ".cva" / f"texts-{db.stem}{SUFFIX}"
    if not file.is_file():
        return 0
    with closing(sqlite3.connect(file)) as con:
        try:
            return int(con.execute("select count(*) from readings").fetchone()[0])
        except sqlite3.OperationalError:  # as soon as the file is there, its table is not
            return 0


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return sample_reviews(TEXTS)


@pytest.fixture(scope="module")
def read_by_dbt(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop that a plain dbt run has been through."""
    db = make_shop(tmp_path_factory.mktemp("texts"), texts)
    run_dbt(db, *UNTIL_VECTORS)
    return db


@pytest.fixture
def copy(read_by_dbt: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(read_by_dbt, tmp_path / "shop.duckdb"))


def vectors(db: Path, rows: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = rows(db, f"from {VECTORS} order by text_hash")
    return found


def test_each_text_is_read_once_however_often_it_was_written(read_by_dbt: Path, rows: Any) -> None:
    assert rows(read_by_dbt, f"select count(*), count(distinct text_hash) from {VECTORS}") == [
        (TEXTS, TEXTS)
    ]
    assert not list((read_by_dbt.parent / ".cva").glob(f"*{SUFFIX}*"))


def test_cva_embed_fills_the_same_table_with_the_same_bytes(
    read_by_dbt: Path, texts: list[str], tmp_path: Path, cva: Any, rows: Any
) -> None:
    db = make_shop(tmp_path, texts)
    done = cva("embed", "--db", db, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["encoded"] == TEXTS
    assert vectors(db, rows) == vectors(read_by_dbt, rows)
    describe = f"describe {VECTORS}"
    assert rows(db, describe) == rows(read_by_dbt, describe)
    run_dbt(db, "run", "--vars", "{cva_udfs: false}", "--select", "+int_cva__review_scores")
    counts = rows(db, "select count(token_count) from main_cva.int_cva__review_scores")
    assert counts == [(2 * TEXTS,)]


def test_new_reviews_alone_are_read(copy: Path, cva: Any, rows: Any) -> None:
    new = ["A text nobody wrote before.", "Nor this one.", "And this is the third new one."]
    with duckdb.connect(str(copy)) as con:
        for place, body in enumerate(new):
            con.execute(
                "insert into raw.reviews values (?, 1, '2025-04-01', 5, ?)", [5000 + place, body]
            )
    done = cva("embed", "--db", copy, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["encoded"], found["texts"]) == (3, TEXTS + 3)
    again = json.loads(cva("embed", "--db", copy, "--json").stdout)
    assert (again["encoded"], again["texts"]) == (0, TEXTS + 3)


def kill_while_reading(
    db: Path, command: list[str], environment: dict[str, str]
) -> tuple[Path, int]:
    """Kills the command once a batch is in the journal: the journal, and the texts in it."""
    environment = {**environment, "CVA_TESTS_COLD": "1"}  # the kill hits what does the work
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while journalled(db) < 64 and time.monotonic() < deadline:
        assert process.poll() is None, "it ended before it was killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (journal,) = (db.parent / ".cva").glob(f"*{SUFFIX}")
    return journal, journalled(db)


def test_a_killed_run_reads_only_what_is_missing(texts: list[str], tmp_path: Path) -> None:
    """What is in the journal at the kill is in the table after the rerun as it was."""
    db = make_shop(tmp_path, texts)
    command, environment = dbt_command(db, *UNTIL_VECTORS)
    journal, kept = kill_while_reading(db, command, environment)
    assert 64 <= kept < TEXTS
    mark_journal(journal)
    run_dbt(db, *UNTIL_VECTORS)
    with duckdb.connect(str(db), read_only=True) as con:
        marked = con.execute(
            f"select count(*) filter (token_count = 77), count(*) from {VECTORS}"
        ).fetchall()
    assert marked == [(kept, TEXTS)]
    assert not list((db.parent / ".cva").glob(f"*{SUFFIX}*"))


def mark_journal(journal: Path) -> None:
    """Sets every token count to 77, which no reading of these texts would give."""
    with closing(sqlite3.connect(journal)) as con, con:
        rows = con.execute("select digest, status, sentiment, embedding from readings").fetchall()
        for digest, status, *rest in rows:
            con.execute(
                "update readings set token_count = 77, checksum = ? where digest = ?",
                [checksum(digest, status, 77, *rest), digest],
            )


def test_a_killed_embed_goes_on_where_it_stopped(
    texts: list[str], tmp_path: Path, cva: Any
) -> None:
    db = make_shop(tmp_path, texts)
    arguments = [sys.executable, "-m", "cva_sql.cli.app", "embed", "--db", str(db)]
    _, kept = kill_while_reading(db, arguments, dict(os.environ))
    found = json.loads(cva("embed", "--db", db, "--json").stdout)
    assert (found["texts"], found["encoded"]) == (TEXTS, TEXTS - kept)


def test_reviews_of_strangers_and_without_a_body_are_counted(copy: Path, rows: Any) -> None:
    run_dbt(copy, "run", "--select", "+customer_features", "cva_text_statuses")
    statuses = dict(rows(copy, "select status, review_count from main_cva.cva_text_statuses"))
    assert statuses["empty"] == 1
    assert sum(statuses.values()) == 2 * TEXTS + 1
    strangers = rows(
        copy,
        "select count(*), min(reviews_count), count(sentiment_mean) "
        "from main.customer_features where orders_count = 0",
    )
    assert strangers == [(20, 2 * TEXTS // 60, 20)]
