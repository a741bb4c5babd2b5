"""What recommendations are made from: whose orders, which views, which products."""

from __future__ import annotations

from pathlib import Path

import pytest

from cva_sql.cli.recommend import learning
from cva_sql.udfs.errors import UsageError

from .built import built, sold_of

LINES = [("in", "1", "a"), ("in", "1", "b"), ("out", "2", "a"), ("out", "2", "secret")]


def test_nothing_is_learned_from_who_objects_to_a_profile(tmp_path: Path) -> None:
    shop = built(
        tmp_path / "shop.duckdb",
        LINES,
        "insert into main_cva.stg_cva__customers values ('out', true, null, null),"
        " ('in', true, timestamp '2019-01-01', null), ('in', false, timestamp '2019-06-01', null)",
    )
    found = sold_of(shop)
    assert found.baskets.customer_ids.tolist() == ["in"]
    assert found.baskets.product_ids.tolist() == ["a", "b"]
    assert found.barred == {"out"}
    assert "out" not in found.cold


def excluded(tmp_path: Path, predicate: str, products: str = "") -> set[str]:
    variables = f'{{cva_recommended_products: "{predicate}"}}'
    found = sold_of(built(tmp_path / "shop.duckdb", LINES, products, variables))
    return set(found.baskets.product_ids[found.excluded])


A = "insert into main_cva.stg_cva__products values ('a', 'A', 'cards', null, null, null)"


@pytest.mark.parametrize(
    ("predicate", "left_out"),
    [
        ("true", set()),
        ("category = 'cards'", {"b", "secret"}),
        ("category <> 'cards'", {"a", "b", "secret"}),
        ("coalesce(category, '') <> 'cards'", {"a"}),
        ("products.product_id <> 'b'", {"b"}),
    ],
)
def test_a_product_without_a_row_is_asked_for_too(
    tmp_path: Path, predicate: str, left_out: set[str]
) -> None:
    assert excluded(tmp_path, predicate, A) == left_out


def test_without_products_the_id_alone_can_be_asked_for(tmp_path: Path) -> None:
    assert excluded(tmp_path, "product_id <> 'secret'") == {"secret"}


def test_without_products_what_they_would_say_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"category.* no products, load them with: cva load"):
        excluded(tmp_path, "category <> 'cards'")


def test_views_are_the_persons_and_of_products_looked_at(tmp_path: Path) -> None:
    shop = built(
        tmp_path / "shop.duckdb",
        LINES,
        "insert into customer_value values ('person', 'scored'), ('plain', 'scored');"
        "insert into main_cva.int_cva__customer_ids values ('old', 'person'), ('new', 'person');"
        "insert into main_cva.stg_cva__events select who, product, seen, seen::date, kind, null"
        " from (values ('old', 'a', timestamp '2020-02-20', 'view'),"
        " ('new', 'b', timestamp '2020-02-21', 'view'),"
        " ('plain', 'a', timestamp '2020-02-20', 'view'),"
        " ('plain', 'b', timestamp '2020-02-21', 'refund'),"
        " ('plain', 'b', timestamp '2020-02-21', null)) as t (who, product, seen, kind)",
    )
    found = sold_of(shop)
    names = {
        who: [str(found.baskets.product_ids[one]) for one in seen]
        for who, seen in found.viewed.items()
    }
    assert names == {"person": ["b", "a"], "plain": ["a"]}
    assert found.cold.tolist() == ["person", "plain"]


def test_who_has_orders_without_lines_counts_as_without_an_order(tmp_path: Path) -> None:
    more = (
        "insert into customer_value values ('quiet', 'scored');"
        "insert into main_cva.int_cva__orders_valid values"
        " ('9', null, 'quiet', date '2020-02-01', 1, 1, null)"
    )
    assert sold_of(built(tmp_path / "shop.duckdb", LINES, more)).cold.tolist() == ["quiet"]


def test_another_date_than_the_tables_have_is_refused(tmp_path: Path) -> None:
    db = tmp_path / "shop.duckdb"
    with pytest.raises(UsageError, match=r"as of 2020-03-01.*cva run --as-of 2020-02-15"):
        learning._read(built(db, LINES, variables="{cva_as_of: 2020-02-15}"))
    db.unlink()
    assert learning._read(built(db, LINES, variables="{cva_as_of: 2020-03-01}")).day == 18322
