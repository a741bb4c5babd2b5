"""Browse events: visits by day, whose they are on which date, what is no person, and late rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.shop import ResolvedShop

ORDERS = """
create schema raw;
create table raw.orders as from (values
    ('o1', 'ann', timestamp '2024-03-10 12:00', 20.0), ('o2', 'bob', timestamp '2024-01-05', 10.0)
) as t(order_id, customer_id, ordered_at, amount);
create table raw.products as from (values ('tea', 'drinks'), ('cup', 'ware'))
    as t(product_id, category);
create table raw.order_items as from (values ('o1', 'tea'), ('o2', 'cup'))
    as t(order_id, product_id);
create table raw.events (
    event_id varchar, customer_id varchar, visitor_id varchar, session_id varchar,
    occurred_at varchar, event_type varchar, product_id varchar, user_agent varchar
);
"""
# event_id, customer_id, visitor_id, session_id, occurred_at, event_type, product_id, user_agent
EVENTS: list[tuple[str | None, ...]] = [
    # Ann's browser is nobody's until she signs in at checkout on the 10th.
    ("a1", None, "va", "s1", "2024-03-01 10:00:00", "page_view", None, None),
    ("a2", None, "va", "s1", "2024-03-01 10:05:00", "view_item", "tea", None),
    ("a3", None, "va", "s1", "2024-03-01 10:06:00", "Product Added", "tea", None),
    ("a4", None, "va", "s2", "2024-03-10 11:50:00", "view_item", "tea", None),
    ("a5", None, "va", "s2", "2024-03-10 11:52:00", "add_to_cart", "tea", None),
    ("a6", "ann", "va", "s2", "2024-03-10 11:55:00", "begin_checkout", None, None),
    ("a7", "ann", "va", "s2", "2024-03-10 12:00:00", "purchase", None, None),
    ("a8", None, "va", "s3", "2024-03-15 09:00:00", "add_to_cart", "cup", None),
    # A browser in a family: Bob's from the 5th, Cleo's from the 20th; she only ever looks.
    ("f1", None, "vf", None, "2024-03-04 20:00:00", "pageview", None, None),
    ("f2", "bob", "vf", None, "2024-03-05 20:00:00", "pageview", None, None),
    ("f3", None, "vf", None, "2024-03-06 20:00:00", "pageview", None, None),
    ("f4", "cleo", "vf", None, "2024-03-20 20:00:00", "never heard of", None, None),
    ("f5", "bob", "vf", None, "2024-03-20 19:00:00", "pageview", None, None),
    # Two visits of Dan's half an hour apart, the second past midnight; no browser is known.
    ("d1", "dan", None, None, "2024-03-07 23:00:00", "pageview", None, None),
    ("d2", "dan", None, None, "2024-03-07 23:40:00", "pageview", None, None),
    ("d3", "dan", None, None, "2024-03-07 23:50:00", "view_item", "tea", None),
    ("d4", "dan", None, None, "2024-03-08 00:10:00", "view_item", "cup", None),
    ("d5", "dan", None, None, "2024-03-08 00:20:00", "add_to_cart", "cup", None),
    # What is not used.
    ("a1", None, "va", "s1", "2024-03-01 10:00:00", "page_view", None, None),
    ("x1", None, None, "s9", "2024-03-01 10:00:00", "page_view", None, None),
    ("x2", "ann", "va", "s9", "yesterday", "page_view", None, None),
    ("x3", "ann", "va", "s9", None, "page_view", None, None),
    ("x4", "ann", "va", "s9", "2125-01-01", "page_view", None, None),
    ("x5", None, "vg", "s9", "2024-03-01", "page_view", None, "Mozilla/5.0 Googlebot/2.1"),
]
ROBOTS = """
insert into raw.events
select null, null, 'robot', 'r', timestamp '2024-03-02' + to_milliseconds(i * 100), 'page_view',
    'p' || i % 50, null
from range(100000) as t(i);
insert into raw.events
select null, 'ann', 'quick', 'q', timestamp '2024-03-03' + to_milliseconds(i * 900), 'page_view',
    null, null
from range(400) as t(i);
"""
DAYS = "main_cva.int_cva__browse_days"
FEATURES = (
    "visits_count, visits_30d_count, visit_days_90d_count, days_since_last_visit,"
    " product_visits_rate, cart_visits_rate, checkout_visits_rate, cart_order_rate,"
    " abandoned_carts_count, is_browsing_what_was_bought"
)


def make_shop(folder: Path) -> ResolvedShop:
    shop = ResolvedShop(folder / "shop.duckdb", folder / "models")
    with duckdb.connect(str(shop.db)) as con:
        con.execute(ORDERS)
        con.executemany("insert into raw.events values (?, ?, ?, ?, ?, ?, ?, ?)", EVENTS)
        con.execute(ROBOTS)
    return shop


def ask(shop: ResolvedShop, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(shop.db)) as con:
        return con.execute(query).fetchall()


def build(shop: ResolvedShop, *select: str, **settings: object) -> ResolvedShop:
    run_dbt(shop, "run", select=list(select) or ["+customer_features"], variables=settings)
    return shop


def features(shop: ResolvedShop, customer: str, as_of: str) -> dict[str, Any] | None:
    """The features of a customer as of a date; None where there is no row."""
    build(shop, cva_as_of=as_of)
    with duckdb.connect(str(shop.db), read_only=True) as con:
        found = con.execute(
            f"select {FEATURES} from customer_features where customer_id = ?", [customer]
        )
        names = [column[0] for column in found.description or ()]
        row = found.fetchone()
    return dict(zip(names, row, strict=True)) if row else None


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> ResolvedShop:
    return build(make_shop(tmp_path_factory.mktemp("browse")), "+customer_features", "+cva_rejects")


def test_every_row_is_used_or_counted_by_reason(shop: ResolvedShop) -> None:
    found = ask(
        shop,
        "select reason, row_count, raw_row_count, valid_row_count from main_cva.cva_rejects"
        " where table_name = 'events' order by 1",
    )
    reasons = {
        "bot_agent": 1,
        "bot_too_fast": 400,
        "bot_too_many": 100_000,
        "duplicate_event_id": 1,
        "in_the_future": 1,
        "occurred_at_missing": 1,
        "occurred_at_unreadable": 1,
        "visitor_unknown": 1,
    }
    assert found == [(reason, n, 100_424, 18) for reason, n in sorted(reasons.items())]
    unknown = f"select sum(unknown_types_count) from {DAYS} where reject_reason is null"
    assert ask(shop, unknown) == [(1,)]


def test_the_date_follows_the_newest_event(shop: ResolvedShop) -> None:
    assert ask(shop, "select distinct as_of_date from customer_features") == [(date(2024, 3, 21),)]


def test_visits_are_told_apart_by_id_or_by_half_an_hour(shop: ResolvedShop) -> None:
    query = (
        f"select event_date::varchar, sessions_count, product_sessions_count, cart_sessions_count,"
        f" events_count from {DAYS} where customer_id = 'dan' or visitor_id = 'va' order by all"
    )
    assert ask(shop, query) == [
        ("2024-03-01", 1, 1, 1, 3),
        ("2024-03-07", 2, 1, 0, 3),
        ("2024-03-08", 0, 0, 1, 2),  # the visit went on past midnight
        ("2024-03-10", 1, 1, 1, 4),
        ("2024-03-15", 1, 0, 1, 1),
    ]


def test_who_only_looks_has_a_row(shop: ResolvedShop) -> None:
    found = ask(
        shop,
        "select customer_id, first_seen_date::varchar from main_cva.int_cva__spine order by 1",
    )
    assert found == [
        ("ann", "2024-03-10"),
        ("bob", "2024-01-05"),
        ("cleo", "2024-03-20"),
        ("dan", "2024-03-07"),
    ]


def test_a_visit_is_theirs_only_after_they_were_named(tmp_path: Path) -> None:
    shop = make_shop(tmp_path)
    assert features(shop, "ann", "2024-03-10") is None  # nobody knows of her yet
    assert features(shop, "ann", "2024-03-12") == {
        "visits_count": 2,
        "visits_30d_count": 2,
        "visit_days_90d_count": 2,
        "days_since_last_visit": 2,
        "product_visits_rate": 1,
        "cart_visits_rate": 1,
        "checkout_visits_rate": 0.5,
        "cart_order_rate": 0.5,
        "abandoned_carts_count": 0,  # the first was before the order
        "is_browsing_what_was_bought": 1,
    }
    later = features(shop, "ann", "2024-03-20")
    assert later is not None
    assert (later["visits_count"], later["abandoned_carts_count"]) == (3, 1)


def test_a_browser_of_two_is_whose_name_it_had_last(tmp_path: Path) -> None:
    shop = make_shop(tmp_path)
    visits = {}
    for as_of in ("2024-03-05", "2024-03-10", "2024-03-21"):
        build(shop, cva_as_of=as_of)
        rows = "select customer_id, visits_count from customer_features order by 1"
        visits[as_of] = dict(ask(shop, rows))
    assert visits["2024-03-05"]["bob"] == 0
    assert visits["2024-03-10"]["bob"] == 3
    # The 20th is Cleo's, who was there last; the 5th, when Bob was named, stays his.
    assert {name: visits["2024-03-21"][name] for name in ("bob", "cleo")} == {"bob": 1, "cleo": 4}


def test_merged_accounts_have_their_visits_together(tmp_path: Path) -> None:
    shop = make_shop(tmp_path)
    with duckdb.connect(str(shop.db)) as con:
        con.execute(
            "create table raw.customer_merges as select 'cleo' as \"from\", 'bob' as \"to\""
        )
    build(shop)
    rows = "select customer_id, visits_count from customer_features order by 1"
    assert ask(shop, rows) == [("ann", 3), ("bob", 5), ("dan", 2)]


LATE = (
    "insert into raw.events values ('l', null, 'va', 's8', '2024-03-02 10:00', 'page_view', null,"
    " null)"
)
# What happens from one run to the next.
CHANGES = {
    "a new day, late rows, a name, past midnight": [
        LATE,
        "insert into raw.events values ('n', null, 'va', 's7', '2024-03-22 10:00', 'page_view',"
        " null, null), ('b', 'eve', 've', 's8', '2023-03-02 10:00', 'page_view', null, null),"
        " ('m', 'dan', null, null, '2024-03-07 20:00', 'add_to_cart', null, null),"
        " ('m2', 'dan', null, null, '2024-03-07 23:55', 'add_to_cart', null, null)",
        "update raw.events set customer_id = 'fay' where event_id = 'f1'",
    ],
    "rows and days that go": [
        "delete from raw.events where event_id = 'd3'",
        "delete from raw.events where visitor_id = 'va' and event_id > 'a7'",
    ],
    "copies": ["insert into raw.events select * from raw.events where event_id in ('f4', 'd1')"],
    "all that goes": ["delete from raw.events"],
}


def test_what_is_kept_is_what_a_full_refresh_makes(tmp_path: Path) -> None:
    shop = make_shop(tmp_path)
    build(shop, "+int_cva__browse_days")
    rows = f"select * from {DAYS} order by all"
    for name, changes in CHANGES.items():
        with duckdb.connect(str(shop.db)) as con:
            for change in changes:
                con.execute(change)
        build(shop, "int_cva__browse_days")
        kept = ask(shop, rows)
        run_dbt(shop, "run", select=["int_cva__browse_days"], arguments=["--full-refresh"])
        assert kept == ask(shop, rows), name


def test_only_days_that_changed_are_built(tmp_path: Path) -> None:
    shop = make_shop(tmp_path)
    build(shop, "+int_cva__browse_days")
    mark = f"update {DAYS} set duration_seconds = 1 where reject_reason is null"
    marked = (
        f"select distinct event_date::varchar from {DAYS} where duration_seconds = 1 order by 1"
    )
    with duckdb.connect(str(shop.db)) as con:
        con.execute(mark)
        con.execute(LATE)
        first = con.execute(marked).fetchall()
    build(shop, "int_cva__browse_days")
    # The newest day, the changed one and the one after it, which its visits may last into.
    built = {"2024-03-02", "2024-03-03", "2024-03-20"}
    assert ask(shop, marked) == [day for day in first if day[0] not in built]


def test_a_rule_of_the_shops_own_builds_all_days_anew(tmp_path: Path) -> None:
    shop = build(make_shop(tmp_path), "+int_cva__browse_days")
    mapped = replace(shop, vars={"cva_events_columns": {"event_type": "'purchase'"}})
    build(mapped, "+int_cva__browse_days")
    query = (
        f"select sum(purchases_count), sum(events_count) from {DAYS} where reject_reason is null"
    )
    assert ask(shop, query) == [(18, 18)]


def test_without_events_or_with_the_family_off_there_is_nothing(tmp_path: Path) -> None:
    shop = build(make_shop(tmp_path))
    build(shop, cva_families_off=["browse"])
    assert ask(shop, f"select count(*) from {DAYS}") == [(0,)]
    found = ask(shop, "select customer_id, as_of_date::varchar from customer_features order by 1")
    assert found == [("ann", "2024-03-11"), ("bob", "2024-03-11")]
    with duckdb.connect(str(shop.db)) as con:
        con.execute("drop table raw.events")
    build(shop)
    found = ask(shop, f"select {FEATURES} from customer_features where customer_id = 'ann'")
    assert found == [(0, 0, 0, None, None, None, None, None, 0, None)]
