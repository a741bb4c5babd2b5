"""`cva publish --to postgresql://…`: what readers see, what is refused, what a kill leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
import yaml

from cva_sql.cli.load.databases import find_database
from cva_sql.cli.publish.postgresql import Copied, copy_to_postgresql
from cva_sql.cli.publish.tables import identity, opened
from cva_sql.cli.shop.resolver import Need, open_shop
from cva_sql.udfs.errors import CvaError

RUN = "20260101T000000000000"
EMOJI = '🛍️ "l\'été" \\N\t$1,\nü\r;'
TABLES = (
    "create table customer_value (customer_id varchar, as_of_date date, predicted_value double,"
    " historic_value decimal(18, 4), is_overdue boolean, scored_at timestamp, run integer)",
    "comment on table customer_value is 'One row per customer; it''s 100 % \\ {fine}'",
    "comment on column customer_value.customer_id is 'who; \"quoted\" {0}'",
    "insert into customer_value select 'C' || n, date '2026-01-01', n / 7, n, n % 2 = 0,"
    " timestamp '2026-01-02 03:04:05.678901', 1 from range(2000) as r(n)",
    "create table churn_alerts as select customer_id, run from customer_value limit 3",
    "create table nobody (customer_id varchar, n bigint)",
)
KILLED = """
import os, signal, sys
from pathlib import Path
import cva_sql.cli.publish.postgresql as publishing
from cva_sql.cli.app import app
name, when = sys.argv[3:]
real = getattr(publishing, name)
calls = []
def killed(*given):
    calls.append(given)
    if len(calls) == 2 and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    done = real(*given)
    if len(calls) == 2 or name == "_clear":
        os.kill(os.getpid(), signal.SIGKILL)
    return done
setattr(publishing, name, killed)
app(["publish", "--db", sys.argv[1], "--to", sys.argv[2]], standalone_mode=False)
"""


class Shop:
    """A published file of a few tables, without the runs that would make one."""

    def __init__(self, folder: Path, name: str = "shop.duckdb") -> None:
        self.db = folder / name
        folder.mkdir(exist_ok=True)
        duckdb.connect(str(self.db)).close()
        (folder / "published" / RUN).mkdir(parents=True)
        (folder / "published" / "current").symlink_to(RUN)
        self.change(*TABLES)

    def change(self, *statements: str) -> None:
        with duckdb.connect(str(self.db.parent / "published" / RUN / "cva.duckdb")) as con:
            for statement in statements:
                con.execute(statement)

    def publish(self, url: str, *, is_to_adopt: bool = False) -> Copied:
        shop = open_shop(self.db, need=Need.DATABASE)
        with opened(shop) as source:
            owner = identity(shop)
            return copy_to_postgresql(source, find_database(url), owner, is_to_adopt=is_to_adopt)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "one")


@pytest.fixture
def url(postgres: Any) -> Iterator[str]:
    """A database of the test's own."""
    name = f"db{time.monotonic_ns()}"
    postgres.run(f"create database {name}")
    yield postgres.url(database=name)
    postgres.run(f"drop database {name} with (force)")


def read(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as con:
        return con.execute(query).fetchall()


def write(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as con:
        for statement in statements:
            con.execute(statement)


def everything(url: str) -> list[Any]:
    """Each table of the schema with its rows and what is said of it."""
    tables = read(
        url,
        "select c.relname, obj_description(c.oid, 'pg_class') from pg_class c where relkind = 'r'"
        " and relnamespace = to_regnamespace('cva') order by 1",
    )
    return [(*table, read(url, f"select t::text from cva.{table[0]} t")) for table in tables]


def test_tables_arrive_with_types_values_and_comments(shop: Shop, url: str) -> None:
    done = shop.publish(url)
    assert done.rows == {"churn_alerts": 3, "customer_value": 2000, "nobody": 0}
    types = dict(
        read(
            url,
            "select attname, format_type(atttypid, atttypmod) from pg_attribute"
            " where attrelid = 'cva.customer_value'::regclass and attnum > 0 order by attnum",
        )
    )
    assert types == {
        "customer_id": "text",
        "as_of_date": "date",
        "predicted_value": "double precision",
        "historic_value": "numeric(18,4)",
        "is_overdue": "boolean",
        "scored_at": "timestamp without time zone",
        "run": "integer",
    }
    with duckdb.connect(str(shop.db.parent / "published/current/cva.duckdb")) as con:
        expected = con.execute("from customer_value order by customer_id").fetchall()
    assert (
        read(url, 'select * from cva.customer_value order by customer_id collate "C"') == expected
    )
    said = read(
        url,
        "select obj_description('cva.customer_value'::regclass),"
        " col_description('cva.customer_value'::regclass, 1),"
        " col_description('cva.customer_value'::regclass, 2)",
    )[0]
    assert said[0].startswith(
        "One row per customer; it's 100 % \\ {fine}\n\nPublished by cva from "
    )
    assert str(shop.db.parent) not in said[0]
    assert said[1:] == ('who; "quoted" {0}', None)


def test_twice_is_the_same(shop: Shop, url: str) -> None:
    shop.publish(url)
    first = everything(url)
    shop.publish(url)
    assert everything(url) == first


VALUES = {
    "varchar": [None, "", "\\N", "NULL", EMOJI, "\\", "a\\nb", "x" * 100_000, "=1+1", "日本"],
    "double": [None, 0.1, 1e-300, 1.7976931348623157e308, float("inf"), -0.0, 2 / 3],
    "float": [None, 0.5, 16777216.0],
    "decimal(28, 4)": [None, "0.0001", "-123456789012345678901234.5678"],
    "hugeint": [None, "-170141183460469231731687303715884105728"],
    "ubigint": [None, "18446744073709551615"],
    "utinyint": [None, 255],
    "boolean": [None, True, False],
    "date": [None, "0001-01-01", "9999-12-31"],
    "timestamp": [None, "2026-01-02 03:04:05.000001"],
    "blob": [None, b"", b"\x00\xff\\"],
    "uuid": [None, "6d0a2a4e-8d0c-4c4c-9d5c-000000000001"],
}


@pytest.mark.parametrize("kind", VALUES)
def test_each_value_is_as_it_was(kind: str, shop: Shop, url: str) -> None:
    with duckdb.connect(str(shop.db.parent / "published/current/cva.duckdb")) as con:
        con.execute(f'create table odd (n integer, "Sp ""al%s {{é}}" {kind})')
        con.executemany("insert into odd values (?, ?)", list(enumerate(VALUES[kind])))
        expected = con.execute("from odd order by n").fetchall()
    shop.publish(url)
    found = read(url, "select * from cva.odd order by n")
    assert [value for _, value in found] == [value for _, value in expected]


def test_what_is_nested_is_jsonb(shop: Shop, url: str) -> None:
    shop.change(
        "create table nested as select [1, null] as list, {'a': 'x''\"\\', 'b': [true]} as fields,"
        " map {'k': 2} as pairs, cast('{\"j\": \"🛍️\"}' as json) as said,"
        " cast(null as int[]) as none"
    )
    shop.publish(url)
    assert read(url, "select * from cva.nested") == [
        ([1, None], {"a": "x'\"\\", "b": [True]}, {"k": 2}, {"j": "🛍️"}, None)
    ]


def test_a_type_that_postgresql_lacks_is_refused_before_anything(shop: Shop, url: str) -> None:
    shop.change("create table odd as select timestamp_ns '2026-01-01 00:00:00' as at")
    with pytest.raises(CvaError, match=r"odd\.at is TIMESTAMP_NS.*cast it in the model"):
        shop.publish(url)
    assert read(url, "select to_regnamespace('cva')") == [(None,)]


def test_a_value_that_postgresql_lacks_is_one_line(shop: Shop, url: str) -> None:
    shop.publish(url)
    before = everything(url)
    shop.change("update customer_value set customer_id = 'a' || chr(0) where customer_id = 'C1'")
    with pytest.raises(CvaError, match=r"customer_value: invalid byte sequence") as error:
        shop.publish(url)
    assert "\n" not in str(error.value)
    assert everything(url) == before


@pytest.mark.parametrize("schema", ["Öd \"d.s'ch%;e-{m}a🛍️", "public", "select"])
def test_a_schema_of_any_name_is_filled(schema: str, shop: Shop, url: str) -> None:
    from urllib.parse import quote

    shop.publish(f"{url}?schema={quote(schema)}")
    done = shop.publish(f"{url}?application_name=x&schema={quote(schema)}")
    assert done.schema == schema
    assert read(url, "select nspname from pg_class c join pg_namespace n on n.oid = relnamespace"
                     " where relname = 'nobody'") == [(schema,)]  # fmt: skip


NOT_OURS = {
    "table": "create table cva.customer_value (customer_id text)",
    "view": "create view cva.customer_value as select 1 as customer_id",
    "sequence": "create sequence cva.churn_alerts",
    "comment": "create table cva.customer_value (id text);"
    " comment on table cva.customer_value is 'Published by cva from me'",
}


@pytest.mark.parametrize("kind", NOT_OURS)
def test_what_cva_did_not_make_is_refused(kind: str, shop: Shop, url: str) -> None:
    write(url, "create schema cva", *NOT_OURS[kind].split(";"))
    before = everything(url)
    with pytest.raises(CvaError) as error:
        shop.publish(url)
    name = "churn_alerts" if kind == "sequence" else "customer_value"
    assert str(error.value) == (
        f"cva.{name} is there and not cva's; rename it, or publish elsewhere, by ?schema=NAME in"
        " the URL"
    )
    assert everything(url) == before


def test_tables_of_another_database_are_refused_until_adopted(
    shop: Shop, url: str, tmp_path: Path
) -> None:
    other = Shop(tmp_path / "other")
    other.change("create table gone as select 1 as n")
    other.publish(url)
    before = everything(url)
    with pytest.raises(
        CvaError, match=r"churn_alerts is of another database, shop\.duckdb .*--ado"
    ):
        shop.publish(url)
    assert everything(url) == before
    assert shop.publish(url, is_to_adopt=True).dropped == ["gone"]
    with pytest.raises(CvaError, match="is of another database"):
        other.publish(url)


def test_a_column_that_somebody_added_is_not_lost(shop: Shop, url: str) -> None:
    shop.publish(url)
    write(url, "alter table cva.customer_value add column note text")
    with pytest.raises(CvaError, match=r"cva\.customer_value has other columns than cva gave it"):
        shop.publish(url)


def test_views_grants_and_indexes_outlive_a_publish(shop: Shop, url: str, postgres: Any) -> None:
    shop.publish(url)
    write(
        url,
        "create view public.best as select customer_id, run from cva.customer_value",
        "create index mine on cva.customer_value (customer_id)",
        "create role reader",
        "grant select on cva.customer_value to reader",
    )
    try:
        shop.change(
            "update customer_value set run = 2",
            "alter table customer_value add column added varchar default 'new'",
            "alter table customer_value drop is_overdue",
            "alter table customer_value alter historic_value type double",
        )
        shop.publish(url)
        assert read(url, "select distinct run from public.best") == [(2,)]
        assert read(url, "select distinct added from cva.customer_value") == [("new",)]
        assert read(url, "select to_regclass('cva.mine')::text, has_table_privilege('reader',"
                         " 'cva.customer_value', 'select')") == [("cva.mine", True)]  # fmt: skip
        shop.publish(url)
    finally:
        write(url, "drop owned by reader", "drop role reader")


def test_a_view_that_would_lose_a_column_is_named(shop: Shop, url: str) -> None:
    shop.publish(url)
    write(url, "create view public.late as select is_overdue from cva.customer_value")
    before = everything(url)
    shop.change("alter table customer_value drop is_overdue")
    said = (
        "late reads cva.customer_value.is_overdue, which is no longer published; change it or drop"
        " it first: drop view late"
    )
    with pytest.raises(CvaError) as error:
        shop.publish(url)
    assert str(error.value) == said
    assert everything(url) == before


def test_what_is_no_longer_published_goes_but_not_from_below_a_view(shop: Shop, url: str) -> None:
    shop.change("create table old as select 1 as n")
    shop.publish(url)
    write(url, "create view cva.count as select count(*) as n from cva.churn_alerts",
          "create table cva.mine as select 1 as n")  # fmt: skip
    shop.change("drop table churn_alerts", "drop table old")
    done = shop.publish(url)
    assert (done.dropped, done.emptied) == (["old"], ["churn_alerts"])
    assert read(url, "select n from cva.count") == [(0,)]
    assert read(url, "select n from cva.mine") == [(1,)]
    shop.change("create table churn_alerts as select customer_id, run from customer_value limit 2")
    assert shop.publish(url).emptied == []
    assert read(url, "select n from cva.count") == [(2,)]


def test_readers_do_not_wait_and_see_one_run(shop: Shop, url: str) -> None:
    """One that began before goes on with the former run, also in tables that it had not read."""
    shop.publish(url)
    shop.change("update customer_value set run = 2", "update churn_alerts set run = 2")
    runs = "select distinct a.run, b.run from cva.customer_value a, cva.churn_alerts b"
    with psycopg.connect(url) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("set statement_timeout = '5s'")
        assert reader.execute("select distinct run from cva.customer_value").fetchall() == [(1,)]
        shop.publish(url)  # with the reader's transaction open
        assert reader.execute(runs).fetchall() == [(1, 1)]
    assert read(url, runs) == [(2, 2)]


def test_each_query_during_publishes_sees_one_run(shop: Shop, url: str) -> None:
    shop.publish(url)
    seen, stop = set[Any](), threading.Event()

    def watch() -> None:
        with psycopg.connect(url, autocommit=True) as con:
            while not stop.is_set():
                found = con.execute(
                    "select min(a.run), max(a.run), count(*), (select min(run) from"
                    " cva.churn_alerts), (select count(*) from cva.churn_alerts)"
                    " from cva.customer_value a"
                ).fetchone()
                seen.add(found)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for run in range(2, 6):
        shop.change(
            f"update customer_value set run = {run}", f"update churn_alerts set run = {run}"
        )
        shop.publish(url)
    stop.set()
    watcher.join()
    assert seen <= {(run, run, 2000, run, 3) for run in range(1, 6)}
    assert len(seen) > 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ["_copy", "_comment", "_clear"])
def test_a_kill_leaves_what_was_there(name: str, when: str, shop: Shop, url: str) -> None:
    shop.publish(url)
    before = everything(url)
    shop.change("update customer_value set run = 2", "drop table nobody",
                "create table added as select 1 as n")  # fmt: skip
    env = {**os.environ, "CVA_TESTS_COLD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(shop.db), url, name, when], check=False, env=env
    )
    assert done.returncode == -signal.SIGKILL
    assert everything(url) == before
    assert shop.publish(url).dropped == ["nobody"]
    assert read(url, "select distinct run from cva.customer_value") == [(2,)]


def test_one_publishes_at_a_time_and_a_lock_is_not_waited_for_forever(
    shop: Shop, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.publish(url)
    with psycopg.connect(url) as other:
        other.execute("select pg_advisory_xact_lock(hashtextextended('cva publish cva', 0))")
        with pytest.raises(CvaError, match="another cva publish writes into cva"):
            shop.publish(url)
        other.rollback()
        monkeypatch.setattr("cva_sql.cli.publish.postgresql.LOCK_SECONDS", 1)
        other.execute("lock table cva.customer_value in access exclusive mode")
        with pytest.raises(CvaError, match="lock timeout: somebody else has a table of it open"):
            shop.publish(url)


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ("{url}", 0, "postgresql://cva_test:***@127.0.0.1:"),
        ("SHOP_URL", 0, "postgresql://cva_test:***@127.0.0.1:"),
        ("{wrong}", 1, "password authentication failed"),
        ("{url}?nonsense=1", 2, 'invalid connection option "nonsense"'),
        ("{url}?schema=%20", 2, "expected one name in ?schema=NAME"),
        ("{url}?schema=a&schema=b", 2, "expected one name in ?schema=NAME"),
        ("mysql://u:s3cr%2Ft@host/db", 2, "is no PostgreSQL; expected postgresql://"),
        ("postgresql:/u:s3cr%2Ft@host", 2, "--to is no URL; expected postgresql://"),
        ("ABSENT", 2, "--to ABSENT: no such environment variable"),
    ],
)
def test_the_command_says_no_password(
    given: str, code: int, said: str, shop: Shop, url: str, cva: Any
) -> None:
    wrong = url.replace("p%40ss%3Aw%2Frd", "s3cr%2Ft")
    env = {**os.environ, "SHOP_URL": url}
    done = cva("publish", "--db", shop.db, "--to", given.format(url=url, wrong=wrong), env=env)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert not [s for s in ("p@ss", "p%40ss", "s3cr") if s in done.stderr + done.stdout]
    if code:
        assert done.stderr.count("\n") == 1


def test_the_password_may_be_in_the_environment_and_the_result_json(
    shop: Shop, url: str, cva: Any, postgres: Any
) -> None:
    bare = url.replace(":p%40ss%3Aw%2Frd", "")
    env = {**os.environ, "PGPASSWORD": "p@ss:w/rd"}
    done = cva("publish", "--db", shop.db, "--to", bare, "--json", env=env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "to": bare,
        "schema": "cva",
        "rows": {"churn_alerts": 3, "customer_value": 2000, "nobody": 0},
        "dropped": [],
        "emptied": [],
    }


def test_a_sample_shop_is_published_whole(sample_shop: Any, url: str, cva: Any) -> None:
    done = cva("publish", "--db", sample_shop.db, "--to", url)
    assert done.returncode == 0, done.stderr
    with duckdb.connect(sample_shop.run.published, read_only=True) as con:
        names = [row[0] for row in con.execute("select table_name from duckdb_tables()").fetchall()]
        counts = {n: con.execute(f"select count(*) from {n}").fetchall() for n in names}
    assert {n: read(url, f"select count(*) from cva.{n}") for n in names} == counts
    undescribed = read(
        url,
        "select attrelid::regclass::text, attname from pg_attribute join pg_class c on c.oid ="
        " attrelid where relnamespace = 'cva'::regnamespace and relkind = 'r' and attnum > 0"
        " and col_description(attrelid, attnum) is null",
    )
    assert undescribed == []


def test_the_datasets_of_the_dashboard_run_there_too(sample_shop: Any, url: str, cva: Any) -> None:
    assert cva("publish", "--db", sample_shop.db, "--to", url).returncode == 0
    for file in (Path(__file__).parents[2] / "examples/superset/datasets").rglob("*.yaml"):
        dataset = yaml.safe_load(file.read_text(encoding="utf-8"))
        with psycopg.connect(url, options="-c search_path=cva") as con:
            found = con.execute(dataset["sql"])
            assert [column.name for column in found.description or ()] == [
                column["column_name"] for column in dataset["columns"]
            ]
            assert found.fetchone() is not None
