"""The family `words`: what was bought, searched and asked, as decayed means of what its texts say.

Vectors are made by hand, and each component of the projection is one number of a vector.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from cva_sql.cli.embed.reading import embed_shop
from cva_sql.cli.embed.texts import shop_encoder
from cva_sql.cli.forget.erasing import forget_people
from cva_sql.cli.person.reading import read_person
from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.lock import exclusive
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.projection import DIMENSION, TextProjection
from cva_sql.udfs.text import WORDS_VARIABLE

ALWAYS = {"cva_every_family": True}  # whatever the deployed model reads
ORDERS = """
create schema raw;
create table raw.orders as from (values
    ('o1', 'ann', timestamp '2024-03-10 12:00', 25.0, null, null),
    ('o2', 'ann', timestamp '2024-01-10 12:00', 5.0, null, null),
    ('o3', 'ann', timestamp '2024-02-01 12:00', 90.0, 'cancelled', timestamp '2024-04-15'),
    ('o4', 'bob', timestamp '2024-04-20 12:00', 10.0, null, null),
    ('o5', 'eve', timestamp '2024-01-01 12:00', 10.0, null, null)
) as t(order_id, customer_id, ordered_at, amount, status, status_changed_at);
create table raw.order_items as from (values
    ('o1', 'tea', 2, 10.0), ('o1', 'gift', 1, 0.0), ('o1', 'unlisted', 1, 5.0),
    ('o2', 'cup', 1, 5.0), ('o3', 'pot', 1, 90.0), ('o4', 'tea', 1, 10.0), ('o5', 'gift', 1, 0.0)
) as t(order_id, product_id, quantity, unit_price);
"""
PRODUCTS = """
create table raw.products as from (values
    ('tea', 'Green tea', 'drinks', 'From the hills'), ('cup', 'Cup', null, null),
    ('pot', 'Pot', 'ware', null), ('gift', 'Gift', null, null), ('mute', null, null, null),
    ('never bought', 'Anvil', 'iron', null)
) as t(product_id, name, category, description);
"""
TEXTS = {"tea": "Green tea. drinks. From the hills", "cup": "Cup", "pot": "Pot. ware"}
EVENTS = """
create table raw.events as from (values
    ('e1', null, 'va', timestamp '2024-03-01 10:00', 'search', ' Green TEA'),
    ('e2', null, 'va', timestamp '2024-03-01 10:01', 'search', 'green tea'),
    ('e3', null, 'va', timestamp '2024-03-01 10:02', 'search', 'green tea'),
    ('e4', null, 'vb', timestamp '2024-03-05 10:00', 'search', 'GREEN TEA'),
    ('e5', null, 'va', timestamp '2024-03-06 10:00', 'search', 'mail ann@example.org'),
    ('e6', 'ann', 'va', timestamp '2024-03-10 11:55', 'checkout', null),
    ('e7', null, 'va', timestamp '2024-03-31 10:00', 'search', 'cups'),
    ('e8', 'bob', null, timestamp '2024-04-02 10:00', 'search', 'cups'),
    ('e9', 'bob', null, timestamp '2024-04-03 10:00', 'search', 'only bob types this'),
    ('f1', 'bob', 'phone', timestamp '2024-04-04 10:00', 'search', 'only bob types this')
) as t(event_id, customer_id, visitor_id, occurred_at, event_type, search_query);
insert into raw.events
select 'r' || i, null, 'robot', timestamp '2024-02-01' + to_milliseconds(i * 100), 'search',
    if(i % 2 = 0, 'spam', 'mail ann@example.org')
from range(1000) as t(i);
insert into raw.events values
    ('g1', null, 'vc', timestamp '2024-02-01 10:00', 'search', 'spam');
"""
TICKETS = """
create table raw.tickets as from (values
    ('t1', 'ann', timestamp '2024-03-20 10:00', 'Broken', 'my cup, call 0171 123 4567'),
    ('t2', 'ann', timestamp '2024-04-09 10:00', null, 'Where is it?'),
    ('t3', 'ann', timestamp '2024-05-01 10:00', 'Thanks', 'all fine')
) as t(ticket_id, customer_id, opened_at, subject, body);
"""
# Vectors by text; what is not here was not read.
VECTORS = {
    TEXTS["tea"]: (1.0, 0.0),
    TEXTS["cup"]: (0.0, 1.0),
    TEXTS["pot"]: (9.0, 9.0),
    "Gift": (7.0, 7.0),
    "green tea": (0.5, 0.25),
    "cups": (-0.5, 0.0),
    "Broken\nmy cup, call [number]": (-1.0, 0.5),
    "Where is it?": (0.25, 0.0),
    "Thanks\nall fine": (3.0, 3.0),
}
PARTS = [f"{kind}_{k}" for kind in ("bought", "searched", "asked") for k in (1, 2)]


def make_shop(folder: Path, *tables: str) -> ResolvedShop:
    shop = ResolvedShop(folder / "shop.duckdb", folder / "models", ALWAYS)
    with duckdb.connect(str(shop.db)) as con:
        for one in (ORDERS, *tables):
            con.execute(one)
        con.execute(
            f"create table raw.vectors (text_hash varchar, embedding float[{DIMENSION}],"
            " sentiment double, status varchar, token_count integer)"
        )
        for text, start in VECTORS.items():
            vector = [*start, *([0.0] * (DIMENSION - len(start)))]
            con.execute("insert into raw.vectors values (sha256(?), ?, 0, '', 1)", [text, vector])
    return shop


def ask(shop: ResolvedShop, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(shop.db)) as con:
        return con.execute(query).fetchall()


def build(shop: ResolvedShop, as_of: str, **settings: Any) -> None:
    """customer_features as of a date, with the vectors above and two components."""
    basis = TextProjection(np.eye(2, DIMENSION), np.zeros(DIMENSION), shop_encoder(shop).key)
    file = shop.db.parent / "words.json"
    file.write_text(basis.to_json(), encoding="utf-8")
    run_dbt(
        shop,
        "run",
        select=["+customer_features"],
        variables={"cva_as_of": as_of, "cva_text_vectors": "raw.vectors", **settings},
        environment={WORDS_VARIABLE: str(file)},
    )


def words(shop: ResolvedShop, customer: str, *columns: str) -> tuple[Any, ...]:
    names = ", ".join(columns or PARTS)
    (row,) = ask(shop, f"select {names} from customer_features where customer_id = '{customer}'")
    return row


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> ResolvedShop:
    """All tables, as of 2024-05-01."""
    shop = make_shop(tmp_path_factory.mktemp("words"), PRODUCTS, EVENTS, TICKETS)
    build(shop, "2024-05-01")
    return shop


@pytest.fixture(scope="module")
def early(tmp_path_factory: pytest.TempPathFactory) -> ResolvedShop:
    """The same as of 2024-04-01."""
    shop = make_shop(tmp_path_factory.mktemp("early"), PRODUCTS, EVENTS, TICKETS)
    build(shop, "2024-04-01")
    return shop


def test_what_was_bought_is_weighted_by_spend_and_decays(full: ResolvedShop) -> None:
    tea, cup = 20.0, 5.0 * math.exp(-60 / 180)  # the pot was cancelled, the gift was free
    assert words(full, "ann", "bought_1", "bought_2", "bought_3") == (
        pytest.approx(tea / (tea + cup), abs=1e-6),
        pytest.approx(cup / (tea + cup), abs=1e-6),
        None,
    )
    assert words(full, "bob", "bought_1", "bought_2") == (1.0, 0.0)
    assert words(full, "eve") == (None,) * 6  # spent nothing, so no text has a weight


def test_an_order_counts_until_it_is_cancelled(early: ResolvedShop) -> None:
    tea, pot, cup = 20.0, 90 * math.exp(-38 / 180), 5.0 * math.exp(-60 / 180)
    assert words(early, "ann", "bought_1") == (
        pytest.approx((tea + 9 * pot) / (tea + pot + cup), abs=1e-6),
    )


def test_a_search_counts_once_a_day_and_two_people_typed_it(
    full: ResolvedShop, early: ResolvedShop
) -> None:
    query = "select query, known_date::varchar from main_cva.int_cva__queries order by 1"
    assert ask(full, query) == [
        ("cups", "2024-04-02"), ("green tea", "2024-03-05"),
    ]  # fmt: skip
    newer, older = 1.0, math.exp(-30 / 180)
    assert words(full, "ann", "searched_1", "searched_2", "searches_count") == (
        pytest.approx((-0.5 * newer + 0.5 * older) / (newer + older), abs=1e-6),
        pytest.approx(0.25 * older / (newer + older), abs=1e-6),
        3,  # with what she alone typed
    )
    assert words(full, "bob", "searched_1", "searched_2", "searches_count") == (-0.5, 0.0, 3)
    # Nobody else had typed `cups` by then.
    assert words(early, "ann", "searched_1", "searches_count") == (pytest.approx(0.5, abs=1e-6), 3)


def test_searches_are_nobodys_until_the_visitor_is_named(tmp_path: Path) -> None:
    shop = make_shop(tmp_path, EVENTS)
    build(shop, "2024-03-10")
    assert words(shop, "ann", "searched_1", "searches_count") == (None, 0)
    build(shop, "2024-03-11")
    assert words(shop, "ann", "searched_1", "searches_count") == (0.5, 2)


def test_tickets_are_read_whole_and_masked_until_the_date(full: ResolvedShop) -> None:
    newer, older = 1.0, math.exp(-20 / 180)
    assert words(full, "ann", "asked_1", "asked_2", "tickets_count") == (
        pytest.approx((0.25 * newer - older) / (newer + older), abs=1e-6),
        pytest.approx(0.5 * older / (newer + older), abs=1e-6),
        2,
    )
    assert words(full, "bob", "asked_1", "tickets_count") == (None, 0)


def test_only_what_was_bought_is_to_be_read_and_with_its_first_day(full: ResolvedShop) -> None:
    run_dbt(full, "run", select=["+int_cva__review_texts"], variables={"cva_as_of": "2024-05-01"})
    found = ask(
        full,
        "select body, words_date::varchar from main_cva.int_cva__review_texts"
        " where words_date is not null order by 2, 1",
    )
    assert found == [
        ("Gift", "2024-01-01"),
        ("Cup", "2024-01-10"),
        ("Pot. ware", "2024-02-01"),
        ("green tea", "2024-03-05"),
        ("Green tea. drinks. From the hills", "2024-03-10"),
        ("Broken\nmy cup, call [number]", "2024-03-20"),
        ("cups", "2024-04-02"),
        ("Where is it?", "2024-04-09"),
        ("Thanks\nall fine", "2024-05-01"),
    ]


def test_training_dates_see_what_scoring_saw(full: ResolvedShop, early: ResolvedShop) -> None:
    build(
        full,
        "2024-05-01",
        cva_spine="training",
        cva_training_dates=[["2024-04-01", 5], ["2024-05-01", 5]],
    )
    names = ", ".join([*PARTS, "searches_count", "tickets_count"])
    query = f"select customer_id, {names} from customer_features"
    past = ask(full, f"{query} where as_of_date = '2024-04-01' order by 1")
    now = ask(full, f"{query} where as_of_date = '2024-05-01' order by 1")
    assert past == ask(early, f"{query} order by 1")
    build(full, "2024-05-01")
    assert now == ask(full, f"{query} order by 1")


def test_the_order_of_rows_changes_no_bit(full: ResolvedShop, tmp_path: Path) -> None:
    query = "from customer_features order by customer_id"
    expected = ask(full, query)
    shuffled = ResolvedShop(tmp_path / "shop.duckdb", tmp_path / "models", ALWAYS)
    shutil.copy(full.db, shuffled.db)
    for table in ("orders", "order_items", "products", "events", "tickets"):
        ask(
            shuffled,
            f"create or replace table raw.{table} as select {table}.* from raw.{table}"
            f" order by md5(cast({table} as varchar))",
        )
    build(shuffled, "2024-05-01")
    assert ask(shuffled, query) == expected


@pytest.mark.parametrize(
    ("tables", "settings"),
    [
        ((), {}),
        (("create table raw.products as select 'tea' as product_id, 1.0 as unit_cost",), {}),
        ((PRODUCTS, EVENTS, TICKETS), {"cva_families_off": ["words"], "cva_reads_service": False}),
    ],
)
def test_without_words_nothing_is_read_and_no_encoder_looked_for(
    tables: tuple[str, ...], settings: dict[str, Any], tmp_path: Path
) -> None:
    shop = make_shop(tmp_path, *tables)
    (shop.models_dir / "encoder").mkdir(parents=True)  # would be an error
    run_dbt(shop, "run", select=["+customer_features"], variables=settings)
    assert ask(shop, "select count(*) from main_cva.int_cva__text_vectors") == [(0,)]
    if not settings:
        assert ask(shop, "select count(*) from main_cva.int_cva__queries") == [(0,)]
        assert words(shop, "ann", *PARTS, "searches_count") == (*(None,) * 6, 0)


def test_a_run_builds_the_family_only_for_a_model_that_reads_it(tmp_path: Path) -> None:
    shop = replace(make_shop(tmp_path, PRODUCTS, EVENTS), vars={})
    (shop.models_dir / "encoder").mkdir(parents=True)  # would be an error
    columns = (
        "select count(*) from duckdb_columns() where table_name = 'customer_features'"
        " and (column_name like '%taste%' or column_name in ('bought_1', 'searches_count'))"
    )
    run_dbt(shop, "run", select=["+customer_features"])
    assert ask(shop, "select count(*) from main_cva.int_cva__text_vectors") == [(0,)]
    assert ask(shop, columns) == [(0,)]
    (shop.models_dir / "encoder").rmdir()
    for name in ("words", "taste"):
        off = {"cva_families_off": [name], **ALWAYS}
        run_dbt(shop, "run", select=["+customer_features"], variables=off)
        assert ask(shop, columns) == [(2 if name == "taste" else 4,)]


def test_texts_are_read_once_and_by_cva_embed_too(tmp_path: Path) -> None:
    shop = make_shop(tmp_path, PRODUCTS, EVENTS, TICKETS)
    select = ["+customer_features"]
    run_dbt(shop, "run", select=select)
    stored = "main_cva.int_cva__text_vectors"
    count = ask(shop, f"select count(*) from {stored}")[0][0]
    other = tmp_path / "embedded"
    other.mkdir()
    shutil.copy(shop.db, other / "shop.duckdb")
    ask(shop, f"update {stored} set sentiment = 0.125")
    with duckdb.connect(str(shop.db)) as con:
        con.execute("insert into raw.order_items values ('o5', 'never bought', 1, 1)")
    run_dbt(shop, "run", select=select)
    assert ask(shop, f"select count(*), sum((sentiment = 0.125)::int) from {stored}") == [
        (count + 1, count)
    ]
    embedded = ResolvedShop(other / "shop.duckdb", other / "models", ALWAYS)
    before = ask(embedded, f"select text_hash, embedding from {stored} order by 1")
    ask(embedded, f"delete from {stored} where text_hash > '8'")
    found = embed_shop(embedded)
    assert 0 < found.encoded < found.texts == count
    assert ask(embedded, f"select text_hash, embedding from {stored} order by 1") == before
    run_dbt(embedded, "run", select=select, variables={"cva_udfs": False})
    ask(embedded, "alter table main_cva.int_cva__text_components drop column rating_1")
    with pytest.raises(Exception, match=r"has no column rating_1.*run: cva embed"):
        run_dbt(embedded, "run", select=select, variables={"cva_udfs": False})


def test_what_people_typed_is_shown_and_forgotten_and_texts_of_products_stay(
    tmp_path: Path,
) -> None:
    make_shop(tmp_path, PRODUCTS, EVENTS, TICKETS)
    shop = open_shop(tmp_path / "shop.duckdb", variables=ALWAYS)
    run_dbt(shop, "run", select=["+customer_features"])
    body = "(select text_hash, body from main_cva.int_cva__review_texts) as texts"
    read = f"select body from {body} inner join main_cva.int_cva__text_vectors using (text_hash)"
    run_dbt(shop, "run", select=["+int_cva__review_texts"])
    bodies = dict(ask(shop, f"select text_hash, body from {body}"))
    held = {kept.table: kept.rows for kept in read_person(shop, "ann").tables}
    theirs = {bodies[row["text_hash"]] for row in held["main_cva.int_cva__text_vectors"]}
    tickets = {one for one in VECTORS if one.startswith(("Broken", "Where", "Thanks"))}
    assert theirs >= tickets | {"cups", "green tea"}
    assert not theirs & {*TEXTS.values(), "Gift"}
    assert {row["query"] for row in held["main_cva.int_cva__queries"]} == {"cups", "green tea"}

    before = {text for (text,) in ask(shop, read)}
    with exclusive(shop):
        forget_people(shop, ["ann"])
    left = {
        bodies[one] for (one,) in ask(shop, "select text_hash from main_cva.int_cva__text_vectors")
    }
    assert before - left >= tickets
    assert left >= {*TEXTS.values(), "Gift", "cups", "green tea"}  # others typed those two

    with exclusive(shop):
        forget_people(shop, ["bob"])
    assert ask(shop, "select query from main_cva.int_cva__queries") == [("green tea",)]
