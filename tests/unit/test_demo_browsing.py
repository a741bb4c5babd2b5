"""The visits of the sample shop: repeatable, before orders, named when people sign in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.demo.sample_shop import BROWSING, TABLES, Browsing, write_shop

CUSTOMERS = 400


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        for table in (*TABLES, *BROWSING):
            con.execute(f"create view {table} as from read_csv('{folder / table}.csv')")
        return con.execute(query).fetchall()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browsed")
    facts = write_shop(folder, customers=CUSTOMERS, browsing=Browsing())
    assert set(BROWSING) < facts.rows.keys()
    return folder


def test_the_shop_is_the_same_with_and_without_browsing(folder: Path, tmp_path: Path) -> None:
    write_shop(tmp_path, customers=CUSTOMERS)
    with_visits, without = contents(folder), contents(tmp_path)
    assert {name: with_visits[name] for name in without} == without


def test_one_thread_gives_the_same_files(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = duckdb.connect
    monkeypatch.setattr(duckdb, "connect", lambda path: connect(path, config={"threads": 1}))
    write_shop(tmp_path, customers=CUSTOMERS, browsing=Browsing())
    monkeypatch.undo()
    assert contents(tmp_path) == contents(folder)


def test_each_order_online_has_a_visit_that_ends_in_it(folder: Path) -> None:
    query = """
        with online as (
            select distinct customer_id, ordered_at from orders
            where channel <> 'store' and customer_id like 'C%' and year(ordered_at) < 2099
        ),
        bought as (select customer_id, occurred_at from events where event_type = 'purchase')
        select count(*), count(occurred_at) from online
        left join bought
            on online.customer_id = bought.customer_id and ordered_at = occurred_at"""
    ((orders, found),) = rows(folder, query)
    assert orders == found > 300


def test_who_signs_in_late_is_named_at_the_checkout_alone(tmp_path: Path) -> None:
    write_shop(tmp_path, customers=CUSTOMERS, browsing=Browsing(late_sign_in=True))
    query = "select distinct event_type from events where customer_id is not null order by 1"
    assert rows(tmp_path, query) == [("begin_checkout",), ("purchase",)]
    query = "select count(distinct visitor_id), count(distinct customer_id) from events"
    visitors, named = rows(tmp_path, query)[0]
    assert visitors > named > 100


def test_visits_know_as_much_of_spend_as_they_are_linked_by(folder: Path, tmp_path: Path) -> None:
    """By visits that led to no order, which the link alone ties to spend."""
    write_shop(tmp_path, customers=CUSTOMERS, browsing=Browsing(link=0.9))
    query = """
        with visits as (
            select any_value(customer_id) filter (where customer_id is not null) as customer_id,
                bool_or(event_type = 'purchase') as is_order, visitor_id, session_id
            from events group by visitor_id, session_id
        ),
        owners as (
            select visitor_id, min(customer_id) as customer_id from visits
            where customer_id is not null group by 1
        ),
        idle as (
            select owners.customer_id, count(*) filter (where not is_order) as n
            from visits inner join owners using (visitor_id) group by 1
        ),
        spend as (
            select customer_id, ln(1 + sum(amount)) as spend from orders
            where amount > 0 group by 1
        )
        select corr(ln(1 + n), spend) from idle inner join spend using (customer_id)"""
    ((weak,),), ((strong,),) = rows(folder, query), rows(tmp_path, query)
    assert strong > weak + 0.1


def test_the_dirt_is_there(folder: Path) -> None:
    query = """select count(*) filter (where visitor_id = 'bot'),
        count(*) filter (where event_type = 'hover'),
        count(*) filter (where visitor_id is null and customer_id is null),
        count(*) filter (where year(occurred_at) = 2099), count(*) - count(distinct event_id)
        from events"""
    assert rows(folder, query) == [(3000, 7, 3, 1, 2)]


def test_marketing_reaches_who_agreed_and_leaves_a_tenth_alone(folder: Path) -> None:
    query = """select count(*) filter (where not marketing_consent or touched_at < signed_up_at),
        avg(is_control::int), count(distinct campaign_id)
        from marketing_touches inner join customers using (customer_id)"""
    ((unasked, controls, campaigns),) = rows(folder, query)
    assert unasked == 0
    assert 0.08 < controls < 0.12
    assert 55 <= campaigns <= 60
