"""Taste by vectors of products: nothing later, in any row order, and nothing without vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.shop import ResolvedShop

SHOP = """create schema raw;
create table raw.orders as from (values
    ('o1', 'c1', timestamp '2024-01-05 10:00', 10), ('o2', 'c1', timestamp '2024-11-01 10:00', 10),
    ('o3', 'c2', timestamp '2024-11-02 10:00', 10), ('o4', 'c3', timestamp '2024-11-30 10:00', 10)
) as t(order_id, customer_id, ordered_at, amount);
create table raw.order_items as from (values
    ('o1', 'a'), ('o2', 'a'), ('o2', 'b'), ('o3', 'none'), ('o4', 'a'), ('o1', 'gone')
) as t(order_id, product_id);
create table raw.products as from (values
    ('a', [3.0, 4.0]::double[]), ('b', [-4.0, 3.0]), ('none', null), ('wide', [1.0, 2.0, 3.0])
) as t(product_id, text_vector);
create table raw.events as from (values
    ('v1', 'c1', timestamp '2024-10-01 09:00', 'view_item', 'b'),
    ('v2', 'looks', timestamp '2024-10-02 09:00', 'view_item', 'a')
) as t(visitor_id, customer_id, occurred_at, event_type, product_id)
"""
FEATURES = "text_taste_breadth, text_taste_drift, text_browsed_similarity, image_taste_breadth"


def features(folder: Path, sql: str, **variables: Any) -> dict[str, tuple[Any, ...]]:
    """Customer -> FEATURES of a shop that this SQL makes."""
    folder.mkdir(exist_ok=True)
    db = folder / "shop.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute(sql)
    shop = ResolvedShop(
        db, folder / "cva_models", {"cva_currency": None, "cva_every_family": True, **variables}
    )
    run_dbt(shop, "run", select=["+customer_features"])
    with duckdb.connect(str(db), read_only=True) as con:
        found = con.execute(f"select customer_id, {FEATURES} from customer_features").fetchall()
    return {customer: values for customer, *rest in found if (values := tuple(rest))}


@pytest.fixture(scope="module")
def taste(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, ...]]:
    return features(tmp_path_factory.mktemp("taste"), SHOP)


def test_breadth_drift_and_similarity_are_those_by_hand(taste: dict[str, Any]) -> None:
    # c1: a on one day before, a and b on one since. 2a + b is as long as sqrt(5), of three days;
    # a and a + b are at 45 degrees; b is at acos(1 / sqrt(5)) to 2a + b.
    assert taste["c1"] == (
        round(1 - 5**0.5 / 3, 5),
        round(1 - 0.5**0.5, 5),
        round(5**-0.5, 5),
        None,
    )
    assert taste["c3"] == (0, None, None, None)


def test_who_bought_nothing_with_a_vector_has_no_taste(taste: dict[str, Any]) -> None:
    assert taste["c2"] == taste["looks"] == (None,) * 4


def test_what_comes_on_the_date_and_later_changes_nothing(
    tmp_path: Path, taste: dict[str, Any]
) -> None:
    later = """;insert into raw.orders values ('o5', 'c1', timestamp '2024-12-01 00:00', 10);
        insert into raw.order_items values ('o5', 'b');
        insert into raw.events values ('v1', 'c1', timestamp '2024-12-02', 'view_item', 'a')"""
    assert features(tmp_path, SHOP + later, cva_as_of="2024-12-01") == taste


def test_the_order_of_rows_and_the_length_of_vectors_do_not_matter(
    tmp_path: Path, taste: dict[str, Any]
) -> None:
    turned = "".join(
        f";create or replace table raw.{table} as from raw.{table} order by all desc"
        for table in ("orders", "order_items", "products")
    )
    longer = ";update raw.products set text_vector = [x * 7 for x in text_vector]"
    assert features(tmp_path, SHOP + turned + longer) == taste


@pytest.mark.parametrize(
    ("change", "variables"),
    [
        ("alter table raw.products drop column text_vector", {}),
        ("update raw.products set text_vector = null", {}),
        ("drop table raw.products", {}),
        ("drop table raw.order_items", {}),
        ("select 1", {"cva_families_off": ["taste"]}),
    ],
)
def test_without_vectors_nothing_is_looked_at(
    tmp_path: Path, change: str, variables: dict[str, Any]
) -> None:
    db = tmp_path / "shop.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute(f"{SHOP};{change}")
    shop = ResolvedShop(
        db, tmp_path / "cva_models", {"cva_currency": None, "cva_every_family": True, **variables}
    )
    run_dbt(shop, "compile", select=["customer_features"])
    (sql,) = (tmp_path / ".cva").rglob("compiled/**/customer_features.sql")
    assert "inner_product" not in sql.read_text(encoding="utf-8")


def test_a_buyer_of_much_has_a_taste_of_what_came_last(tmp_path: Path) -> None:
    many = """;insert into raw.products select 'x' || i, [1.0, 0.0] from range(30) as t(i);
        insert into raw.orders select 'm' || i, 'much', timestamp '2024-11-20' - interval (i) day, 5
        from range(12) as t(i);
        insert into raw.order_items select 'm' || i, 'x' || i from range(10) as t(i);
        insert into raw.order_items values ('m10', 'b'), ('m11', 'b')"""
    assert features(tmp_path, SHOP + many)["much"][0] == 0


NAMED = """create or replace table raw.products as from (values
    ('a', 'Red cotton shirt', 'clothes', null::double[]),
    ('b', 'Blue cotton shirt', 'clothes', null),
    ('none', 'Cordless drill, 18 V', 'tools', null)
) as t(product_id, name, category, text_vector);
insert into raw.orders values ('o6', 'c2', timestamp '2024-11-03 10:00', 10);
insert into raw.order_items values ('o6', 'a')
"""


def test_without_vectors_of_ones_own_names_and_categories_are_read(tmp_path: Path) -> None:
    found = features(tmp_path / "ours", f"{SHOP};{NAMED}")
    shirts, shirt_and_drill, one = (found[name][0] for name in ("c1", "c2", "c3"))
    assert one == 0 < shirts < shirt_and_drill < 0.5
    own = ";update raw.products set text_vector = [0, 1] where product_id = 'a'"
    assert features(tmp_path / "own", f"{SHOP};{NAMED}{own}")["c2"][0] == 0
    off = features(tmp_path / "off", f"{SHOP};{NAMED}", cva_families_off=["words"])
    assert off["c2"] == (None,) * 4
