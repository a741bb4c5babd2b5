"""Each text is read once, until the encoder changes; without reviews no text is looked for.

A mark put on the stored rows tells whether they were read again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.embed.reading import embed_shop
from cva_sql.cli.embed.texts import shop_encoder
from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.errors import CvaError

ORDERS = """
create schema raw;
create table raw.orders as select n as order_id, 'c' || n % 3 as customer_id,
    timestamp '2024-01-01 10:00:00' + interval (n) day as ordered_at, 10.0 as amount
from range(9) as numbers(n);
"""
REVIEWS = """
create table raw.reviews (review_id integer, customer_id varchar, reviewed_at timestamp,
    rating integer, body varchar);
insert into raw.reviews values
    (1, 'c0', '2024-01-02', 5, 'Lovely tea, I will order again.'),
    (2, 'c1', '2024-01-02', 5, 'Lovely tea, I will order again.'),
    (3, 'c1', '2024-01-03', 1, 'Arrived broken and nobody answered.'),
    (4, 'c2', '2024-01-04', 3, null);
"""
MARK = 0.125  # as a sentiment
STORED = "main_cva.int_cva__text_vectors"
ALL = ["+customer_features", "cva_text_statuses"]

Sql = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def read_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a shop whose texts were read."""
    folder = tmp_path_factory.mktemp("read")
    with duckdb.connect(str(folder / "shop.duckdb")) as con:
        con.execute(ORDERS + REVIEWS)
    run_dbt(ResolvedShop(folder / "shop.duckdb", folder / "models"), "run", select=ALL)
    return folder


@pytest.fixture
def shop(read_shop: Path, tmp_path: Path) -> ResolvedShop:
    """A copy of it, without dbt's log."""
    shutil.copytree(
        read_shop, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("dbt.log")
    )
    return ResolvedShop(tmp_path / "shop.duckdb", tmp_path / "models")


@pytest.fixture
def sql(shop: ResolvedShop) -> Sql:
    def execute(*statements: str) -> list[tuple[Any, ...]]:
        """The rows of the last of them."""
        with duckdb.connect(str(shop.db)) as con:
            return [con.execute(statement).fetchall() for statement in statements][-1]

    return execute


def read_and_marked(sql: Sql) -> tuple[int, int]:
    """Texts in the table, and how many of them still carry the mark."""
    found = sql(f"select count(*), count(case when sentiment = {MARK} then 1 end) from {STORED}")
    return found[0][0], found[0][1]


def logged(shop: ResolvedShop) -> str:
    return (shop.work_dir / "logs" / "dbt.log").read_text(encoding="utf-8")


def test_the_same_words_twice_are_one_text(sql: Sql) -> None:
    assert read_and_marked(sql) == (2, 0)
    assert sql("from main_cva.cva_text_statuses order by status") == [("", 3, 2), ("empty", 1, 0)]


def test_a_text_is_read_once_until_the_encoder_changes(shop: ResolvedShop, sql: Sql) -> None:
    sql(
        f"update {STORED} set sentiment = {MARK}",
        "insert into raw.reviews values (5, 'c2', '2024-01-05', 4, 'Good value.')",
        "delete from raw.reviews where review_id = 3",
    )
    run_dbt(shop, "run", select=ALL)
    assert read_and_marked(sql) == (3, 2)  # the one whose review is gone stays
    assert "the encoder changed" not in logged(shop)

    sql(f"update {STORED} set sentiment = {MARK}, encoder_key = 'another one'")
    run_dbt(shop, "run", select=ALL)
    assert read_and_marked(sql) == (2, 0)
    assert "the encoder changed; 2 texts are read again" in logged(shop)
    assert sql(f"select count(distinct encoder_key) from {STORED}") == [(1,)]


def test_another_tier_is_another_encoder_for_dbt_and_for_cva(shop: ResolvedShop, sql: Sql) -> None:
    fast = replace(shop, vars={"cva_encoder_tier": "fast"})
    (before,) = sql(f"select distinct encoder_key from {STORED}")
    run_dbt(fast, "run", select=ALL)
    assert "the encoder changed; 2 texts are read again" in logged(shop)
    (after,) = sql(f"select distinct encoder_key from {STORED}")
    assert (before, after) == ((shop_encoder(shop).key,), (shop_encoder(fast).key,))
    assert before != after
    sql(f"update {STORED} set sentiment = {MARK}")
    assert (embed_shop(fast).encoded, read_and_marked(sql)) == (0, (2, 2))
    assert (embed_shop(shop).dropped, read_and_marked(sql)) == (2, (2, 0))  # and back
    with pytest.raises(CvaError, match="cva_encoder_tier is 'best'; expected exact or fast"):
        embed_shop(replace(shop, vars={"cva_encoder_tier": "best"}))


def test_without_python_new_texts_wait_and_old_ones_stay(shop: ResolvedShop, sql: Sql) -> None:
    sql(
        f"update {STORED} set sentiment = {MARK}, encoder_key = 'another one'",
        "insert into raw.reviews values (5, 'c2', '2024-01-05', 4, 'Good value.')",
    )
    run_dbt(shop, "run", select=ALL, variables={"cva_udfs": False})
    assert read_and_marked(sql) == (2, 2)
    assert sql("from main_cva.cva_text_statuses order by status") == [
        ("", 3, 2),
        ("empty", 1, 0),
        ("not_read", 1, 1),
    ]


def test_with_the_family_off_no_text_is_read(shop: ResolvedShop, sql: Sql) -> None:
    sql(
        f"update {STORED} set sentiment = {MARK}, encoder_key = 'another one'",
        "insert into raw.reviews values (5, 'c2', '2024-01-05', 4, 'Good value.')",
    )
    run_dbt(shop, "run", select=ALL, variables={"cva_families_off": ["reviews"]})
    assert read_and_marked(sql) == (2, 2)


def test_reviews_may_come_later(tmp_path: Path) -> None:
    shop = ResolvedShop(tmp_path / "shop.duckdb", tmp_path / "models")
    query = (
        "select customer_id, reviews_count, rating_mean from main.customer_features "
        "where reviews_count > 0"
    )
    counts = []
    for tables in (ORDERS, REVIEWS):
        with duckdb.connect(str(shop.db)) as con:
            con.execute(tables)
        run_dbt(shop, "run", select=ALL)
        with duckdb.connect(str(shop.db)) as con:
            counts.append(con.execute(f"select count(*) from {STORED}").fetchall()[0][0])
            found = con.execute(f"{query} order by 1").fetchall()
        if tables == ORDERS:
            assert found == []
    assert counts == [0, 2]
    assert found == [("c0", 1, 5.0), ("c1", 2, 3.0), ("c2", 1, 3.0)]


def test_training_reads_the_vectors_that_are_there(shop: ResolvedShop, sql: Sql) -> None:
    sql(f"update {STORED} set sentiment = {MARK}")
    training = {
        "cva_spine": "training",
        "cva_training_dates": [["2024-01-04", 3]],
        "cva_text_vectors": STORED,
    }
    run_dbt(shop, "run", select=["+customer_features"], variables=training, schema="trial")
    tables = sql("select table_name from duckdb_tables() where schema_name = 'trial_cva'")
    assert ("int_cva__text_components",) in tables
    assert ("int_cva__text_vectors",) not in tables
    query = (
        "select customer_id, reviews_count, sentiment_mean from trial.customer_features "
        "where reviews_count > 0"
    )
    assert sql(f"{query} order by 1") == [("c0", 1, MARK), ("c1", 2, MARK)]


def test_a_failed_reading_gives_the_memory_limit_back(shop: ResolvedShop, sql: Sql) -> None:
    """In the same process: what dbt builds after it, in the thread that failed, has all of it."""
    from dbt.cli.main import dbtRunner

    from cva_sql.cli.shop import dbt_runner
    from cva_sql.cli.shop.package import project_dir

    sql("insert into raw.reviews values (9, 'c2', '2024-01-05', 4, 'Never read before.')")
    dbt_runner._write_profile(shop, shop.schema, {})
    (shop.work_dir / "texts-shop.journal").mkdir()  # so that reading fails
    profile = (shop.work_dir / "profiles.yml").read_text(encoding="utf-8")
    raw = json.loads(profile)
    raw["cva"]["outputs"]["run"] |= {"threads": 1, "config_options": {"memory_limit": "3GiB"}}
    raw["cva"]["outputs"]["run"] |= {"path": str(shop.db), "keep_open": True}
    (shop.work_dir / "profiles.yml").write_text(json.dumps(raw), encoding="utf-8")
    call = ["--quiet", "run", "--project-dir", str(project_dir()), "--profiles-dir"]
    call += [str(shop.work_dir), "--target-path", str(shop.target_dir()), "--log-path"]
    call += [str(shop.work_dir / "logs"), "--select", "int_cva__text_vectors"]
    done = dbtRunner().invoke(call)
    assert not done.success
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager as Connections

    con = Connections._ENV.conn
    try:
        assert con.execute("select current_setting('memory_limit')").fetchall() == [("3.0 GiB",)]
    finally:
        Connections.close_all_connections()
