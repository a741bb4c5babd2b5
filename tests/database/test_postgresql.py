"""`cva load --from` a real PostgreSQL: types, streaming, presets, and what failures say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

MANY = 1_000_000
LARGE = f"""select n as order_id, n % 5000 as customer_id, (n % 90)::numeric(12, 2) as amount,
    timestamp '2023-01-01' + n * interval '1 minute' as ordered_at, repeat('x', 300) as channel
    from generate_series(1, {MANY}) as n"""
ODD = """create table odd as select n as order_id, 'k' || n % 3 as customer_id,
    timestamptz '2024-06-30 23:30:00+02' + n * interval '1 day' as ordered_at,
    (n * 1000 + 0.0001 * n)::numeric as amount, '1.' || (250 + n) as channel,
    case when n = 2 then null else 'paid' end as status from generate_series(1, 3) as n"""


@pytest.fixture(scope="module")
def server(postgres: Any) -> Any:
    postgres.run(ODD)
    return postgres


def load(cva: Any, db: Path, *arguments: object, **environment: str) -> Any:
    env = {**os.environ, **environment}
    return cva("load", *arguments, "--db", db, env=env)


def rows(db: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(db), read_only=True) as con:
        return con.execute(query).fetchall()


def test_values_come_as_they_are(server: Any, cva: Any, tmp_path: Path) -> None:
    db = tmp_path / "shop.duckdb"
    query = "select * from odd -- 100% of :them"
    done = load(cva, db, "orders", "--from", server.url(), "--query", query)
    assert done.returncode == 0, done.stderr
    assert rows(db, "select order_id, ordered_at::varchar, amount::varchar, channel, status from"
                " raw.orders order by 1") == [
        ("1", "2024-07-01 21:30:00", "1000.0001", "1.251", "paid"),
        ("2", "2024-07-02 21:30:00", "2000.0002", "1.252", None),
        ("3", "2024-07-03 21:30:00", "3000.0003", "1.253", "paid"),
    ]  # fmt: skip


def test_the_options_of_a_load_hold(server: Any, cva: Any, tmp_path: Path) -> None:
    db = tmp_path / "shop.duckdb"
    given = ["--from", server.url(), "--query", "select * from odd"]
    berlin = ["--timezone", "Europe/Berlin", "--column", "channel=upper('web')"]
    assert load(cva, db, "orders", *given, *berlin, "--where", "amount > 1500").returncode == 0
    assert rows(db, "select count(*), min(ordered_at)::varchar, min(channel) from raw.orders") == [
        (2, "2024-07-02 23:30:00", "WEB")
    ]
    again = load(cva, db, "orders", *given, "--append")
    assert "1 inserted, 2 updated, 0 unchanged" in again.stdout


def test_the_password_comes_from_the_environment_or_a_file(
    server: Any, cva: Any, tmp_path: Path
) -> None:
    query = ["--query", "select * from odd", "--replace"]
    db = tmp_path / "shop.duckdb"
    done = load(cva, db, "orders", "--from", "SHOP_URL", *query, SHOP_URL=server.url())
    assert done.returncode == 0, done.stderr
    bare = server.url(password=None)
    done = load(cva, db, "orders", "--from", bare, *query, PGPASSWORD="p@ss:w/rd")
    assert done.returncode == 0, done.stderr
    secret = tmp_path / ".pgpass"
    secret.write_text(f"127.0.0.1:{server.port}:*:cva_test:p@ss\\:w/rd\n")
    secret.chmod(0o600)
    done = load(cva, db, "orders", "--from", bare, *query, PGPASSFILE=str(secret))
    assert done.returncode == 0, done.stderr


def test_a_large_table_is_streamed(server: Any, tmp_path: Path) -> None:
    """The process grows by DuckDB's own memory and a batch; ten times fewer rows take as much."""
    code = (
        "import resource, sys\n"
        "import duckdb, pyarrow, sqlalchemy, psycopg\n"
        "from cva_sql.cli.load.databases import read_query\n"
        "con = duckdb.connect(config={'memory_limit': '60MB', 'temp_directory': sys.argv[2]})\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "read_query(con, sys.argv[1], sys.argv[3])\n"
        "print(con.execute('select count(*), sum(amount) from cva_source').fetchall())\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, server.url(), str(tmp_path), LARGE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found, grown = done.stdout.splitlines()
    assert found == f"[({MANY}, Decimal('{sum(n % 90 for n in range(1, MANY + 1))}.00'))]"
    assert int(grown) < 400_000  # kB; all rows as Python objects are 700 MB


FAILURES = {
    "wrong password": (1, "postgres", "select 1", "password authentication failed"),
    "no such database": (1, "absent", "select 1", 'database "absent" does not exist'),
    "bad query": (2, "postgres", "select nothing from odd", 'column "nothing" does not exist'),
    "no SELECT": (2, "postgres", "delete from odd", "--query:"),
    "later row fails": (
        1,
        "postgres",
        "select 1 / (3 - n) from generate_series(1, 9) as n",
        "zero",
    ),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_one_line_without_the_password(
    case: str, server: Any, cva: Any, tmp_path: Path
) -> None:
    db = tmp_path / "shop.duckdb"
    load(cva, db, "orders", "--from", server.url(), "--query", "select * from odd")
    code, database, query, said = FAILURES[case]
    wrong = {"password": "s3cr%2Ft"} if case == "wrong password" else {}
    url = server.url(database=database, **wrong)
    done = load(cva, db, "orders", "--from", url, "--query", query, "--replace")
    assert done.returncode == code, done.stderr
    error = [line for line in done.stderr.splitlines() if line.startswith("cva: ")]
    assert len(error) == 1
    assert said in error[0]
    assert not [s for s in ("p@ss", "p%40ss", "s3cr") if s in done.stderr + done.stdout]
    assert rows(db, "select count(*) from raw.orders") == [(3,)]


def test_a_host_that_is_down_is_one_line(cva: Any, tmp_path: Path) -> None:
    url = "postgresql://u:s3cret@127.0.0.1:1/shop"
    done = load(cva, tmp_path / "shop.duckdb", "orders", "--from", url, "--query", "select 1")
    assert done.returncode == 1
    assert "cva: --from postgresql://u:***@127.0.0.1:1/shop: " in done.stderr
    assert "refused" in done.stderr
    assert "s3cret" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_there(server: Any, cva: Any, tmp_path: Path) -> None:
    query = "with gone as (delete from odd returning *) select * from gone"
    done = load(cva, tmp_path / "s.duckdb", "orders", "--from", server.url(), "--query", query)
    assert done.returncode != 0
    again = ["--from", server.url(), "--query", "select * from odd"]
    assert "3 orders" in load(cva, tmp_path / "s.duckdb", "orders", *again).stdout


def test_a_preset_reads_the_tables_of_its_schema(server: Any, cva: Any, tmp_path: Path) -> None:
    server.run(
        "create schema shopify",
        'create table shopify."order" (id bigint, customer_id bigint, email text,'
        " created_at timestamptz, processed_at timestamptz, total_price numeric, currency text,"
        " financial_status text, cancelled_at timestamptz, updated_at timestamptz,"
        " confirmed boolean, test boolean, _fivetran_deleted boolean)",
        "insert into shopify.\"order\" values (9007199254740993, 7, 'a@x.org', now(),"
        " now(), 12.50, 'EUR', 'paid', null, now(), true, false, false),"
        " (2, 8, 'b@x.org', now(), now(), 3, 'EUR', 'paid', now(), now(), true, false, false)",
    )
    db = tmp_path / "shop.duckdb"
    done = load(cva, db, "fivetran-shopify", "--from", server.url(), "--source-schema", "shopify")
    assert done.returncode == 0, done.stderr
    assert rows(db, "select order_id, amount::varchar, status from raw.orders order by 1") == [
        ("2", "3.0000", "cancelled"),
        ("9007199254740993", "12.5000", "paid"),
    ]
