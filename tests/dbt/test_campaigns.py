"""What campaigns cost, who answered them and what they changed, by hand."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.shop import ResolvedShop

# The answers count for seven days. Of may: a and b reached, c and d left alone, e too lately; f was
# reached first and left alone after. Of june nobody was left alone. A touch may have no campaign.
RAW = """
create schema raw;
create table raw.orders as from (values
    ('o1', 'a', timestamp '2024-05-02 09:00', 30.0),
    ('o2', 'a', timestamp '2024-05-08 23:00', 10.0),
    ('o3', 'a', timestamp '2024-05-09 00:00', 99.0),
    ('o4', 'b', timestamp '2024-05-01 11:00', 50.0),
    ('o5', 'c', timestamp '2024-05-03 00:00', 8.0), ('o6', 'd', timestamp '2024-04-01 00:00', 7.0),
    ('o7', 'e', timestamp '2024-05-29 00:00', 5.0), ('o8', 'f', timestamp '2024-05-31 00:00', 1.0)
) as t(order_id, customer_id, ordered_at, amount);
create table raw.marketing_touches as from (values
    ('m1', 'a', timestamp '2024-05-01 12:00', 'may', 1.0, false, 'x'),
    ('m2', 'a', timestamp '2024-05-20 12:00', 'may', 1.0, false, 'y'),
    ('m3', 'b', timestamp '2024-05-01 12:00', 'may', null, null, 'x'),
    ('m4', 'c', timestamp '2024-05-01 12:00', 'may', 1.0, true, null),
    ('m5', 'd', timestamp '2024-05-01 12:00', 'may', null, true, null),
    ('m6', 'e', timestamp '2024-05-28 12:00', 'may', 2.0, false, 'x'),
    ('m7', 'f', timestamp '2024-05-02 12:00', 'may', 4.0, false, 'z'),
    ('m8', 'f', timestamp '2024-05-03 12:00', 'may', 4.0, true, null),
    ('m9', 'a', timestamp '2024-05-01 12:00', 'june', null, false, null),
    ('n1', 'b', timestamp '2024-05-01 12:00', null, 3.0, false, null),
    ('n2', 'b', timestamp '2024-06-01 00:00', 'late', 3.0, false, null)
) as t(touch_id, customer_id, touched_at, campaign_id, cost, is_control, variant);
create table raw.campaigns as from (values
    ('may', 'Spring', '2024-05-01', '2024-05-31', 100.0), ('may', 'copy', '2024-05-02', null, 1.0),
    ('never', 'Nobody', null, null, null), (null, 'no id', null, null, 3.0)
) as t(campaign_id, name, starts_at, ends_at, budget);
"""


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    with build(tmp_path_factory.mktemp("campaigns"), RAW) as con:
        yield con


def build(folder: Path, raw: str) -> duckdb.DuckDBPyConnection:
    shop = ResolvedShop(folder / "shop.duckdb", folder / "models", {})
    with duckdb.connect(str(shop.db)) as con:
        con.execute(raw)
    variables = {"cva_as_of": "2024-06-01", "cva_margin": 0.5, "cva_response_days": 7}
    select = ["+campaign_results", "+cva_rejects"]
    run_dbt(shop, "run", select=select, variables=variables)
    return duckdb.connect(str(shop.db), read_only=True)


def asked(con: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return con.execute(query).fetchall()


def test_each_variant_tells_whom_it_reached_and_what_it_cost(
    con: duckdb.DuckDBPyConnection,
) -> None:
    may = (datetime(2024, 5, 1), 100)
    assert asked(
        con,
        "select campaign_id, variant, campaign_name, starts_at, budget::double, first_touch_date,"
        " last_touch_date, customers_count, touches_count, cost::double"
        " from campaign_results order by 1 desc, 2",
    ) == [
        ("may", "x", "Spring", *may, date(2024, 5, 1), date(2024, 5, 28), 3, 4, 4),
        ("may", "z", "Spring", *may, date(2024, 5, 2), date(2024, 5, 3), 1, 1, 4),
        ("june", None, None, None, None, date(2024, 5, 1), date(2024, 5, 1), 1, 1, None),
    ]


def test_what_it_changed_is_told_beside_those_left_alone(con: duckdb.DuckDBPyConnection) -> None:
    told = asked(
        con,
        "select judged_customers_count, response_rate, spend_per_customer, judged_controls_count,"
        " control_response_rate, control_spend_per_customer, lift_per_customer, incremental_spend,"
        " incremental_profit from campaign_results where variant = 'x'",
    )
    # b ordered an hour before the touch; a's order of the ninth day counts no more.
    assert told == [(2, 0.5, 20, 2, 0.5, 4, 16, 32, 12)]
    ((p10, p90),) = asked(
        con,
        "select lift_per_customer_p10, lift_per_customer_p90 from campaign_results"
        " where variant = 'x'",
    )
    error = math.sqrt(800 / 2 + 32 / 2)
    assert p10 == pytest.approx(16 - 1.281552 * error)
    assert p90 == pytest.approx(16 + 1.281552 * error)


def test_one_customer_has_no_spread_and_no_controls_no_lift(con: duckdb.DuckDBPyConnection) -> None:
    assert asked(
        con,
        "select campaign_id, response_rate, lift_per_customer, lift_per_customer_p10,"
        " incremental_profit from campaign_results where variant is distinct from 'x' order by 1",
    ) == [("june", 1, None, None, None), ("may", 0, -4, None, -6)]


def test_the_query_of_the_examples_finds_what_it_asks_for(con: duckdb.DuckDBPyConnection) -> None:
    queries = (Path(__file__).parents[2] / "examples" / "queries.sql").read_text(encoding="utf-8")
    (query,) = re.findall(r"^(select [^;]*from campaign_results[^;]*);$", queries, re.MULTILINE)
    assert [row[:2] for row in asked(con, query)] == [("may", "x"), ("may", "z"), ("june", None)]


def test_campaigns_that_cannot_be_used_are_counted(con: duckdb.DuckDBPyConnection) -> None:
    assert asked(
        con,
        "select reason, row_count from main_cva.cva_rejects where table_name = 'campaigns'"
        " and reason is not null order by 1",
    ) == [("campaign_id_missing", 1), ("duplicate_campaign_id", 1)]


def test_touches_without_campaigns_have_no_rows(tmp_path: Path) -> None:
    raw = """
        create schema raw;
        create table raw.orders as select 'o' as order_id, 'a' as customer_id,
            date '2024-05-02' as ordered_at, 30.0 as amount;
        create table raw.marketing_touches as select 'a' as customer_id,
            date '2024-05-01' as touched_at;
    """
    with build(tmp_path, raw) as con:
        assert asked(con, "select count(*) from campaign_results") == [(0,)]
