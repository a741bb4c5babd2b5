"""`cva recommend` and what runs make of it: lists, reasons, and who and what is left out."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql import Shop
from cva_sql.cli.app import app
from cva_sql.cli.recommend.learning import Recommended, recommend_shop, withdraw_shop
from cva_sql.cli.run.baskets import read_sold
from cva_sql.cli.run.build import run_shop
from cva_sql.cli.run.recommendations import TABLES, fill_recommendations
from cva_sql.cli.shop.model_store import deployed_version
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.models_onnx.recommend.export import KIND
from cva_sql.udfs.errors import CvaError, UsageError

from .shops import START, shop_of_habits

LISTS = "from recommendations order by customer_id, rank"


def rows(db: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(db), read_only=True) as con:
        return con.execute(query).fetchall()


def write_raw(db: Path) -> None:
    """The shop of habits as raw tables, with a customer who only looks and one who does not."""
    shop = shop_of_habits(200, 300)
    lines = [
        (str(shop.customer_ids[c]), f"{c}-{o}", str(shop.product_ids[p]), int(d))
        for c, o, p, d in zip(shop.customer, shop.basket, shop.product, shop.day, strict=True)
    ]
    with duckdb.connect(str(db)) as con:
        con.execute("create schema raw")
        con.execute("create table lines (customer_id text, order_id text, product_id text, d int)")
        con.executemany("insert into lines values (?, ?, ?, ?)", lines)
        con.execute(
            "create table raw.orders as select order_id, customer_id,"
            " timestamp '1970-01-01' + to_days(d) as ordered_at, 10.0 as amount"
            " from (select distinct order_id, customer_id, d from lines);"
            "create table raw.order_items as select order_id, product_id, 1 as quantity,"
            " 2.0 as unit_price from lines;"
            "create table raw.products as select product_id, 'The ' || product_id as name,"
            " case left(product_id, 1) when 'p' then 'staples' when 'q' then 'partners'"
            " else 'rest' end as category"
            " from (select distinct product_id from lines) order by 1;"
            f"create table raw.events as select 'e1' as event_id, 'looker' as customer_id,"
            f" 'v1' as visitor_id, timestamp '1970-01-01' + to_days({START + 298}) as occurred_at,"
            " 'product_view' as event_type, 'p07' as product_id;"
            "create table raw.customers as select unnest(['looker', 'nobody']) as customer_id,"
            f" timestamp '1970-01-01' + to_days({START}) as signed_up_at;"
            "create table raw.stock as select product_id, timestamp '2020-01-01' as as_of,"
            " 9 as on_hand from raw.products;"
            "drop table lines"
        )


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recommended]:
    """A shop that was run, and recommends."""
    db = tmp_path_factory.mktemp("habits") / "shop.duckdb"
    write_raw(db)
    run_shop(open_shop(db))
    return db, recommend_shop(open_shop(db))


@pytest.fixture
def shop(learned: tuple[Path, Recommended], tmp_path: Path) -> Path:
    """A copy of it."""
    folder = tmp_path / "copy"
    shutil.copytree(learned[0].parent, folder, symlinks=True)
    return folder / "shop.duckdb"


def test_the_winner_is_deployed_with_its_figures(learned: tuple[Path, Recommended]) -> None:
    db, found = learned
    assert found.is_deployed
    assert found.reason.split()[1] == "recommends:"
    assert found.scoring == found.version == deployed_version(db.parent / "cva_models", KIND)
    manifest = json.loads(
        (db.parent / "cva_models" / KIND / found.version / "manifest.json").read_text()
    )
    assert manifest["evaluation"]["verdict"] == found.reason
    assert {"popularity", "own_most_bought", "ease"} <= set(manifest["evaluation"]["scores"])


def test_everybody_has_a_list_and_no_product_twice(learned: tuple[Path, Recommended]) -> None:
    db, found = learned
    assert rows(db, "select count(*) from recommendations") == [(found.rows,)] == [(202 * 10,)]
    assert (
        rows(
            db,
            "select customer_id, product_id from recommendations group by all having count(*) > 1",
        )
        == []
    )
    assert rows(db, "select distinct model_version from recommendations") == [(found.version,)]
    assert rows(db, "select min(rank), max(rank) from recommendations") == [(1, 10)]
    assert rows(db, "select count(*) from recommendations where score not between 0 and 1") == [
        (0,)
    ]


def test_the_staple_is_first_and_says_its_rhythm(learned: tuple[Path, Recommended]) -> None:
    found = rows(
        learned[0],
        "select count(*) filter (rank <= 3), any_value(reason) from recommendations"
        " where product_id = 'p07' and customer_id in ('c007', 'c047', 'c087', 'c127', 'c167')",
    )
    assert found[0][0] == 5
    assert found[0][1] in ("you buy this every 14 days", "you buy this every 13 days")


def test_reasons_name_products_as_people_do(learned: tuple[Path, Recommended]) -> None:
    found = rows(
        learned[0], "select distinct reason from recommendations where reason like '%with The %'"
    )
    assert found


def test_who_looked_gets_that_first_and_who_did_nothing_what_is_popular(
    learned: tuple[Path, Recommended],
) -> None:
    query = "select product_id, reason, recommend_status from recommendations where customer_id = "
    looker = rows(learned[0], f"{query} 'looker' order by rank")
    assert looker[0] == ("p07", "you looked at this", "browsed")
    assert looker[1] == ("q07", "often bought with The p07, which you looked at", "browsed")
    nobody = rows(learned[0], f"{query} 'nobody' order by rank")
    assert nobody[0] == ("s00", "many customers buy this now", "popular")
    assert len(looker) == len(nobody) == 10


def test_similar_products_and_the_macro_know_the_partner(
    learned: tuple[Path, Recommended],
) -> None:
    assert rows(
        learned[0],
        "select similar_product_id, similar_by from similar_products"
        " where product_id = 'p11' and rank = 1",
    ) == [("q11", "bought_together")]
    basket = rows(learned[0], "select product_id from cva_recommend(['p11', 'p12'])")
    assert {basket[0][0], basket[1][0]} == {"q11", "q12"}
    assert ("p11",) not in basket
    assert rows(learned[0], "from cva_recommend(['no such product'])") == []


@pytest.mark.parametrize("name", TABLES)
def test_the_queries_of_the_examples_find_something(
    learned: tuple[Path, Recommended], name: str
) -> None:
    queries = (Path(__file__).parents[2] / "examples" / "queries.sql").read_text(encoding="utf-8")
    (query,) = re.findall(rf"^(select [^;]*from {name}\n[^;]*);$", queries, re.MULTILINE)
    assert rows(learned[0], query)


def test_category_affinity_adds_up(learned: tuple[Path, Recommended]) -> None:
    found = rows(
        learned[0],
        "select sum(affinity), count(*), max(rank) from customer_category_affinity"
        " group by customer_id having abs(sum(affinity) - 1) > 1e-5",
    )
    assert found == []


def test_a_run_makes_the_same_rows_again_and_publishes_them(shop: Path) -> None:
    before = {name: rows(shop, f"from {name} order by all") for name in TABLES}
    run_shop(open_shop(shop))
    published = shop.parent / "published" / "current" / "cva.duckdb"
    for name, found in before.items():
        assert rows(shop, f"from {name} order by all") == found
        assert rows(published, f"from {name} order by all") == found
    assert rows(published, "from cva_recommend(['p11']) limit 1")[0][0] == "q11"
    comment = "select comment from duckdb_columns() where table_name = 'recommendations'"
    assert all(text for (text,) in rows(published, comment))
    first = Shop(shop).recommend()
    assert first.version == rows(shop, "select any_value(model_version) from recommendations")[0][0]
    assert {name: rows(shop, f"from {name} order by all") for name in TABLES} == before


def test_a_product_that_a_var_takes_out_is_in_no_list(shop: Path) -> None:
    fill_recommendations(
        open_shop(
            shop,
            variables="{cva_recommended_products: \"category <> 'staples'\","
            " cva_recommendations_per_customer: 3}",
        )
    )
    found = rows(
        shop, "select count(*), max(rank), bool_or(product_id like 'p%') from recommendations"
    )
    assert found == [(202 * 3, 3, False)]
    assert rows(
        shop, "select count(*) from similar_products where similar_product_id like 'p%'"
    ) == [(0,)]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("cva_recommendations_per_customer: 0", "expected a whole number from 1 to 1,000"),
        ("cva_recommendation_days: soon", "expected a whole number from 1 to 365"),
        ("cva_recommended_products: no_such_column > 1", "cva_recommended_products: "),
        ('cva_recommended_products: "(select 1)"', "not one expression"),
    ],
)
def test_a_wrong_var_is_said_and_nothing_changes(shop: Path, setting: str, said: str) -> None:
    before = rows(shop, LISTS)
    with pytest.raises(UsageError, match=said):
        recommend_shop(open_shop(shop, variables=f"{{{setting}}}"))
    assert rows(shop, LISTS) == before


def test_a_table_of_the_users_own_is_not_overwritten(shop: Path) -> None:
    with duckdb.connect(str(shop)) as con:
        con.execute(
            "drop table similar_products; create table similar_products as select 1 as mine"
        )
    with pytest.raises(CvaError, match="similar_products is not cva's"):
        recommend_shop(open_shop(shop))
    assert rows(shop, "from similar_products") == [(1,)]
    withdraw_shop(open_shop(shop))
    assert rows(shop, "from similar_products") == [(1,)]


def test_withdrawing_drops_the_tables_and_runs_make_none(shop: Path) -> None:
    app(["recommend", "--withdraw", "--db", str(shop)], standalone_mode=False)
    names = rows(shop, "select table_name from information_schema.tables")
    assert not {name for (name,) in names} & set(TABLES)
    assert fill_recommendations(open_shop(shop)) is None


def test_without_items_it_says_what_to_load_and_a_run_says_nothing(tmp_path: Path) -> None:
    db = tmp_path / "shop.duckdb"
    write_raw(db)
    with duckdb.connect(str(db)) as con:
        con.execute("drop table raw.order_items")
    with pytest.raises(CvaError, match="build it with: cva run"):
        recommend_shop(open_shop(db))
    run_shop(open_shop(db))
    with pytest.raises(CvaError, match="cva load order_items FILE"):
        recommend_shop(open_shop(db))
    assert deployed_version(tmp_path / "cva_models", KIND) is None


def test_tables_change_together_or_not_at_all(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cva_sql.cli.run import recommendations

    before = {name: rows(shop, f"from {name} order by all") for name in TABLES}

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(recommendations, "_write_macro", stop)
    with pytest.raises(KeyboardInterrupt):
        fill_recommendations(open_shop(shop, variables="{cva_recommendations_per_customer: 2}"))
    assert {name: rows(shop, f"from {name} order by all") for name in TABLES} == before


def test_who_is_forgotten_is_in_no_list(shop: Path) -> None:
    with duckdb.connect(str(shop)) as con:
        con.execute("drop table raw.events")
    app(["forget", "c007", "--yes", "--db", str(shop)], standalone_mode=False)
    for name in ("recommendations", "customer_category_affinity"):
        assert rows(shop, f"select count(*) from {name} where customer_id = 'c007'") == [(0,)]


def test_who_objects_is_learned_from_by_nobody_and_views_are_the_persons(shop: Path) -> None:
    change(
        shop,
        "drop table raw.customers;"
        "create table raw.customers as select customer_id, null::timestamp as signed_up_at,"
        " customer_id = 'c007' as profiling_opt_out"
        " from (select unnest(['looker', 'nobody', 'c007']) as customer_id);"
        "create table raw.customer_merges as select 'looker' as from_customer_id,"
        " 'nobody' as to_customer_id",
    )
    run_shop(open_shop(shop))
    with duckdb.connect(str(shop)) as con:
        sold = read_sold(con, open_shop(shop))
    assert sold is not None
    assert len(sold.baskets.customer_ids) == 199
    assert "c007" not in sold.baskets.customer_ids
    assert listed(shop, "c007") == []
    assert listed(shop, "nobody")[:2] == ["p07", "q07"]


def test_a_broken_recommender_leaves_its_lists_and_the_run_publishes(shop: Path) -> None:
    before = rows(shop, LISTS)
    folder = shop.parent / "cva_models" / KIND
    version = deployed_version(folder.parent, KIND)
    assert version is not None
    manifest = folder / version / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"popularity_share"', '"was_renamed"'))
    run = run_shop(open_shop(shop))
    (note,) = [note for note in run.notes if note.startswith("recommendations are those of before")]
    assert f"cva recommend --db {shop}" in note
    assert rows(Path(run.published), "select count(*) from customer_value") == [(202,)]
    assert rows(Path(run.published), LISTS) == rows(shop, LISTS) == before


def change(db: Path, statements: str) -> None:
    """Changes the raw tables; what recommends reads them through views, without another run."""
    with duckdb.connect(str(db)) as con:
        con.execute(statements)


def listed(db: Path, customer: str) -> list[str]:
    return [
        product
        for (product,) in rows(
            db,
            f"select product_id from recommendations where customer_id = '{customer}'"
            " order by rank",
        )
    ]


def test_a_customer_of_5000_products_has_a_list_and_leaves_the_others_theirs(shop: Path) -> None:
    change(
        shop,
        "insert into raw.orders select 'giant' || i, 'giant',"
        f" timestamp '1970-01-01' + to_days({START} + 290 + i::int), 9.0 from range(2) as t(i);"
        "insert into raw.order_items select 'giant' || i // 2500, 'x' || i, 1, 2.0"
        " from range(5000) as t(i);"
        "insert into raw.order_items select 'giant1', 'p' || lpad(i::text, 2, '0'), 1, 2.0"
        " from range(40) as t(i)",
    )
    assert fill_recommendations(open_shop(shop)) == 203 * 10
    assert len(set(listed(shop, "giant"))) == 10
    assert {"p07", "q07", "s00"} == set(listed(shop, "c007")[:3])
    assert not {product for product in listed(shop, "nobody") if product.startswith("x")}
    assert rows(shop, "select count(*) from similar_products where product_id = 'x17'") == [(10,)]


def test_one_product_only_is_what_everybody_is_offered(shop: Path) -> None:
    change(
        shop,
        "create or replace table raw.order_items as select distinct order_id,"
        " 'p00' as product_id, 1 as quantity, 2.0 as unit_price from raw.order_items;"
        "delete from raw.products where product_id <> 'p00'",
    )
    found = recommend_shop(open_shop(shop))
    assert found.reason.startswith("popularity recommends")
    assert rows(
        shop, "select count(*), count(distinct customer_id), min(product_id) from recommendations"
    ) == [(202, 202, "p00")]
    assert rows(shop, "select count(*) from similar_products") == [(0,)]
    assert rows(shop, "from cva_recommend(['p00'])") == []


@pytest.mark.parametrize("way", ["sold to nobody for long", "by the var"])
def test_where_all_products_are_withdrawn_nobody_has_a_list(
    shop: Path, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    variables = "{}"
    if way == "by the var":
        variables = "{cva_recommended_products: 'false'}"
    else:
        change(shop, "update raw.orders set ordered_at = ordered_at - interval 200 days")
    app(["recommend", "--db", str(shop), "--vars", variables], standalone_mode=False)
    assert "recommendations: 0 rows; every product is left out" in capsys.readouterr().out
    for name in ("recommendations", "similar_products"):
        assert rows(shop, f"from {name}") == []
    assert rows(shop, "from cva_recommend(['p11'])") == []


def test_what_is_given_away_is_not_offered_but_a_sample_of_it_does_no_harm(shop: Path) -> None:
    change(
        shop,
        "update raw.order_items set unit_price = 0 where product_id = 'q07';"
        "update raw.order_items set unit_price = 0 where product_id = 'p07' and order_id ="
        " (select max(order_id) from raw.order_items where product_id = 'p07');"
        "update raw.order_items set unit_price = null where product_id = 'p11'",
    )
    fill_recommendations(open_shop(shop))
    assert rows(shop, "select count(*) from recommendations where product_id = 'q07'") == [(0,)]
    assert rows(shop, "select count(*) from similar_products where similar_product_id = 'q07'") == [
        (0,)
    ]
    assert listed(shop, "c007")[0] == "p07"
    assert listed(shop, "c011")[0] == "p11"


def test_what_is_sold_out_is_not_offered_until_it_is_there_again(shop: Path) -> None:
    change(
        shop,
        "insert into raw.stock values ('p07', timestamp '2020-01-20', 0),"
        " ('p07', timestamp '2020-01-20', -1),"  # a second warehouse, which owes one
        " ('q07', timestamp '2019-12-01', 0),"  # was gone, and is there again
        " ('p11', timestamp '2020-01-20', 0), ('p11', timestamp '2020-01-20', 2),"
        " ('p12', timestamp '2999-01-01', 0), ('p13', null, 0)",
    )
    fill_recommendations(open_shop(shop))
    offered = {product for (product,) in rows(shop, "select product_id from recommendations")}
    assert "p07" not in offered
    assert {"q07", "p11", "p12", "p13"} <= offered
    assert rows(shop, "select count(*) from similar_products where similar_product_id = 'p07'") == [
        (0,)
    ]
    assert listed(shop, "looker")[0] != "p07"
    change(shop, "insert into raw.stock values ('p07', timestamp '2020-02-01', 5)")
    fill_recommendations(open_shop(shop))
    assert listed(shop, "c007")[0] == "p07"


MARGINS = (
    "create or replace view main_cva.int_cva__product_margins as"
    " select * from (values ('p07', 0.5), ('q07', 9.0), ('s00', -1.0))"
    " as t(product_id, unit_margin)"
)


def test_by_margin_the_list_begins_with_what_brings_most(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(shop, MARGINS)
    by_margin = "{cva_recommendation_order: margin}"
    app(["recommend", "--db", str(shop), "--vars", by_margin], standalone_mode=False)
    assert "118 products without a known margin: ordered as if" in capsys.readouterr().out
    assert listed(shop, "c007")[0] == "q07"
    assert "s00" not in listed(shop, "c007")[:3]
    found = rows(
        shop,
        "select probability, expected_margin, score from recommendations"
        " where customer_id = 'c007' and product_id = 'q07'",
    )
    assert found[0][1] == pytest.approx(9.0 * found[0][0], abs=1e-5)
    assert 0.1 < found[0][0] < 1 == found[0][2]
    assert rows(
        shop, "select count(probability) from recommendations where recommend_status <> 'personal'"
    ) == [(0,)]


def test_what_leaves_too_little_is_in_no_list_and_an_unknown_margin_is_none_too_little(
    shop: Path,
) -> None:
    change(shop, MARGINS)
    fill_recommendations(open_shop(shop, variables="{cva_recommendation_least_margin: 0.6}"))
    offered = {product for (product,) in rows(shop, "select product_id from recommendations")}
    assert {"q07", "p08"} <= offered
    assert not {"p07", "s00"} & offered


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("cva_recommendation_order: price", "expected likely or margin"),
        ("cva_recommendation_least_margin: much", "expected a number, or null"),
    ],
)
def test_a_wrong_var_about_margins_is_said(shop: Path, setting: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        recommend_shop(open_shop(shop, variables=f"{{{setting}}}"))


def test_an_order_by_margin_without_any_is_said_and_the_lists_stay(shop: Path) -> None:
    before = rows(shop, LISTS)
    with pytest.raises(CvaError, match="of no product both price and cost are known; load"):
        fill_recommendations(open_shop(shop, variables="{cva_recommendation_order: margin}"))
    assert rows(shop, LISTS) == before


def test_reasons_and_the_status_follow_the_language_and_the_country(shop: Path) -> None:
    change(
        shop,
        "update customer_features set country = 'Y' where customer_id = 'nobody' or"
        " customer_id < 'c040'",
    )
    (file,) = (shop.parent / "cva_models" / KIND).glob("*/manifest.json")
    text = file.read_text()
    assert '"new_customers": "popular"' in text  # nobody was new in the days that judged
    file.write_text(text.replace('"new_customers": "popular"', '"new_customers": "similar"'))
    fill_recommendations(open_shop(shop, variables="{cva_language: zh}"))
    said = {text for (text,) in rows(shop, "select reason from recommendations")}
    assert all(re.search(r"[\u4e00-\u9fff]", text) for text in said)
    assert "常与您浏览过的“The p07”一起购买" in said
    assert rows(
        shop,
        "select recommend_status, reason from recommendations where customer_id = 'nobody'"
        " and rank = 1",
    ) == [("similar", "与您相似的顾客近期在购买")]


def test_a_database_error_in_writing_leaves_the_lists_and_the_run_goes_on(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cva_sql.cli.run import build, recommendations

    before = {name: rows(shop, f"from {name} order by all") for name in TABLES}

    def fail(*_: object) -> None:
        raise duckdb.IOException("IO Error: no space left\nand more")

    monkeypatch.setattr(recommendations, "_write_macro", fail)
    few = open_shop(shop, variables="{cva_recommendations_per_customer: 2}")
    (note,) = build._recommend(few)
    assert note.startswith("recommendations are those of before: recommendations could not be wri")
    assert "\n" not in note
    assert {name: rows(shop, f"from {name} order by all") for name in TABLES} == before
