"""Every candidate says what its idea says, on baskets small enough to work out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cva_sql.cli.shop.model_store import store_model
from cva_sql.models_onnx.recommend import registry
from cva_sql.models_onnx.recommend.baskets import Baskets, make_baskets
from cva_sql.models_onnx.recommend.choice import Choice
from cva_sql.models_onnx.recommend.contract import Candidate
from cva_sql.models_onnx.recommend.export import build_manifest, export, read_ranker
from cva_sql.models_onnx.recommend.registry import all_candidates
from cva_sql.udfs.errors import ModelError

from .shops import of_rows, shop_of_habits

DAY = 100


def named(name: str) -> Candidate:
    return {one.name: one for one in all_candidates()}[name]


def scores(baskets: Baskets, name: str, customer: str, day: int = DAY) -> dict[str, float]:
    """What a candidate gives one customer, by product."""
    scorer = named(name).fit(baskets.before(day), day, 28)
    assert scorer is not None
    place = int(np.flatnonzero(baskets.customer_ids == customer)[0])
    found = scorer(np.array([place]))[0]
    return {str(product): float(x) for product, x in zip(baskets.product_ids, found, strict=True)}


@pytest.fixture(scope="module")
def small() -> Baskets:
    return of_rows(
        [
            ("a", "1", "milk", 10, 1.0),
            ("a", "1", "bread", 10, 1.0),
            ("a", "2", "milk", 40, 1.0),
            ("b", "3", "milk", 50, 1.0),
            ("b", "3", "bread", 50, 1.0),
            ("b", "3", "jam", 50, 1.0),
            ("c", "4", "bread", 90, 1.0),
            ("c", "4", "jam", 90, 1.0),
            ("d", "5", "nails", 95, 1.0),
            ("d", "5", "hammer", 95, 1.0),
        ]
    )


def test_every_candidate_has_a_name_of_its_own_and_popularity_is_there() -> None:
    names = [one.name for one in all_candidates()]
    assert len(set(names)) == len(names)
    assert {"popularity", "own_most_bought", "item_knn", "ease"} <= set(names)


@pytest.mark.parametrize("name", [one.name for one in all_candidates() if one.name != "content"])
def test_scores_are_finite_of_every_product_and_never_below_zero(small: Baskets, name: str) -> None:
    found = scores(small, name, "a")
    assert set(found) == set(map(str, small.product_ids))
    assert all(np.isfinite(value) and value >= 0 for value in found.values())


@pytest.mark.parametrize("name", [one.name for one in all_candidates() if one.name != "content"])
def test_what_came_later_changes_nothing(small: Baskets, name: str) -> None:
    later = of_rows(
        [
            *(
                (
                    str(small.customer_ids[small.customer[line]]),
                    str(small.basket[line]),
                    str(small.product_ids[small.product[line]]),
                    int(small.day[line]),
                    1.0,
                )
                for line in range(len(small.day))
            ),
            ("a", "9", "nails", DAY, 1.0),
            ("a", "9", "jam", DAY + 3, 1.0),
        ]
    )
    assert scores(later, name, "a") == pytest.approx(scores(small, name, "a"))


def test_popularity_counts_what_sold_lately_more(small: Baskets) -> None:
    found = scores(small, "popularity", "a")
    assert found["nails"] > found["jam"] > found["milk"]


def test_own_most_bought_is_by_orders_then_the_later(small: Baskets) -> None:
    found = scores(small, "own_most_bought", "a")
    assert found["milk"] > found["bread"] > 0 == found["jam"]


@pytest.mark.parametrize("name", ["bought_together", "item_knn", "ease"])
def test_neighbours_put_forward_what_goes_with_what_was_bought(small: Baskets, name: str) -> None:
    found = scores(small, name, "a")
    assert found["jam"] > found["nails"] == 0


@pytest.mark.parametrize("name", ["als", "bm25"])
def test_what_implicit_fits_puts_forward_what_those_alike_bought(small: Baskets, name: str) -> None:
    found = scores(small, name, "a")
    assert found["milk"] > found["nails"]
    assert found["jam"] > found["nails"]


@pytest.mark.parametrize("name", ["tifuknn", "upcf"])
def test_customers_alike_put_forward_what_they_bought(small: Baskets, name: str) -> None:
    found = scores(small, name, "a")
    assert found["milk"] > found["jam"] > found["nails"]


def test_a_product_is_due_after_its_rhythm_and_not_the_day_after_it_was_bought() -> None:
    rows = [("a", f"a{day}", "beans", day, 1.0) for day in (10, 40, 70, 99)]
    rows += [("b", f"b{day}", "beans", day, 1.0) for day in (10, 40, 70)]
    rows += [("c", "c1", "beans", 10, 1.0)]
    found = of_rows(rows)
    due, just, once = (scores(found, "repeat_timing", who)["beans"] for who in ("b", "a", "c"))
    assert due > just > once > 0


def test_content_finds_a_product_that_nobody_bought_yet() -> None:
    vectors = np.array([[1, 0], [0.9, 0.1], [0, 1]], dtype=np.float32)
    found = make_baskets(
        ["a"], ["1"], ["red dress"], [10],
        products=["red dress", "pink dress", "drill"], vectors=vectors,
    )  # fmt: skip
    said = scores(found, "content", "a")
    assert said["pink dress"] > 0.9 > 0.1 > said["drill"]


def test_content_has_nothing_to_say_without_vectors(small: Baskets) -> None:
    assert named("content").fit(small, DAY, 28) is None


def test_ease_leaves_too_many_products_to_others(
    small: Baskets, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cva_sql.models_onnx.recommend.candidates import ease

    monkeypatch.setattr(ease, "MOST_PRODUCTS", 2)
    assert named("ease").fit(small, DAY, 28) is None


def test_one_product_and_one_customer_are_enough() -> None:
    found = of_rows([("a", "1", "only", 10, 1.0)])
    for candidate in all_candidates():
        scorer = candidate.fit(found, DAY, 28)
        if scorer is not None:
            assert scorer(np.array([0])).shape == (1, 1)


def test_lines_are_the_same_in_any_order_and_a_product_twice_in_an_order_is_one() -> None:
    shop = shop_of_habits(20, 100)
    rows = [
        (str(shop.customer_ids[c]), str(o), str(shop.product_ids[p]), int(d), 1.0)
        for c, o, p, d in zip(shop.customer, shop.basket, shop.product, shop.day, strict=True)
    ]
    one, other = of_rows(rows), of_rows([*reversed(rows), rows[0]])
    assert np.array_equal(one.product, other.product)
    assert np.array_equal(one.customer, other.customer)
    assert len(one.day) == len(other.day)


@pytest.mark.parametrize("name", ["als", "bm25"])
def test_what_implicit_fits_is_the_same_every_time(name: str) -> None:
    shop = shop_of_habits(80, 200)
    one, other = (named(name).fit(shop, 18_300, 28) for _ in range(2))
    customers = shop.active()
    assert one is not None
    assert other is not None
    assert np.array_equal(one(customers), other(customers))


def test_without_its_extra_a_candidate_is_not_compared_and_no_model_reads_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    onnx = export(choice := Choice("bm25", "as judged"))
    manifest = build_manifest(
        choice, onnx, as_of="2020-01-01", horizon=28, database="shop", first_order="2019-01-01"
    )
    folder = store_model(tmp_path, onnx, manifest)
    assert read_ranker(folder)[0].candidates == ("bm25", "popularity")
    monkeypatch.setattr(registry, "PACKAGES", {"recommend": "no_such_package"})
    assert registry.not_installed() == ["als", "bm25"]
    assert not {"als", "bm25"} & {one.name for one in all_candidates()}
    with pytest.raises(ModelError, match=r"reads bm25, which needs the extra: pip install"):
        read_ranker(folder)
