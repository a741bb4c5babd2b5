"""What is deployed is what was judged, and reasons say what is so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cva_sql.cli.recommend.command import describe
from cva_sql.cli.recommend.learning import Recommended
from cva_sql.cli.shop.model_store import store_model
from cva_sql.models_onnx.recommend.choice import Choice
from cva_sql.models_onnx.recommend.export import (
    _by_session,
    build_manifest,
    export,
    names_of,
    read_ranker,
)
from cva_sql.models_onnx.recommend.judging import LENGTH
from cva_sql.models_onnx.recommend.lists import ordered, top
from cva_sql.models_onnx.recommend.offers import _reason, neighbours, personal
from cva_sql.models_onnx.recommend.ranker import (
    POOL,
    Known,
    Ranker,
    column_names,
    fit_ranker,
    known,
    pooled,
)
from cva_sql.models_onnx.recommend.reasons import words_of
from cva_sql.models_onnx.recommend.registry import all_candidates
from cva_sql.models_onnx.recommend.worth import Worth
from cva_sql.udfs.sessions import open_session

from .shops import START, shop_of_habits

DAY = START + 300


@pytest.fixture(scope="module")
def state() -> Known:
    """A shop of 121 products in which the 80 of the most sales may not be offered."""
    shop = shop_of_habits(150, 300)
    sales = np.bincount(shop.product, minlength=shop.products)
    excluded = np.zeros(shop.products, dtype=bool)
    excluded[np.argsort(-sales)[:80]] = True
    return known(shop, DAY, 28, all_candidates(), excluded)


def deployed(choice: Choice) -> Ranker:
    names = names_of(choice)
    predict = _by_session(open_session(export(choice)), column_names(names))
    return Ranker(predict, names)


@pytest.mark.parametrize("name", ["popularity", "own_most_bought", "bought_together", "tifuknn"])
def test_the_lists_of_a_single_candidate_are_those_it_was_judged_by(
    state: Known, name: str
) -> None:
    customers = state.baskets.active()
    keys = ordered(state.scores(customers)[name], state.popularity)
    place, usable = top(keys, LENGTH, state.allowed(customers))
    ranker = deployed(Choice(name, "as judged"))
    offers = list(
        personal(
            state,
            ranker,
            neighbours(state.baskets),
            LENGTH,
            state.baskets.product_ids,
            Worth(None, np.full(state.baskets.products, np.nan)),
            words_of("en"),
        )
    )
    assert usable.all()
    assert np.concatenate([one.product for one in offers]).tolist() == place.ravel().tolist()


def test_a_list_longer_than_the_pool_is_the_candidates_to_its_end(tmp_path: Path) -> None:
    shop = shop_of_habits(150, 300)
    everything = known(shop, DAY, 28, all_candidates())
    length, customers = 2 * POOL, shop.active()[:20]
    choice = Choice("upcf", "as judged")
    onnx = export(choice)
    manifest = build_manifest(
        choice, onnx, as_of="2020-01-01", horizon=28, database="shop", first_order="2019-01-01"
    )
    ranker, _ = read_ranker(store_model(tmp_path, onnx, manifest), length)
    scores, allowed = everything.scores(customers), everything.allowed(customers)
    judged = ordered(scores["upcf"], everything.popularity)
    lists = ordered(ranker.score(everything, customers, scores), everything.popularity)
    for expected, found in zip(
        top(judged, length, allowed), top(lists, length, allowed), strict=True
    ):
        assert found.tolist() == expected.tolist()


def test_what_may_not_be_offered_takes_no_place_of_the_ranker(state: Known) -> None:
    customers = state.baskets.active()
    pool = pooled(state, customers, state.scores(customers))
    assert state.allowed(customers)[pool.row, pool.product].all()
    assert np.bincount(pool.row, minlength=len(customers)).min() >= POOL
    earlier = known(state.baskets, DAY - 28, 28, all_candidates(), ~state.rules.offered)
    ranker = fit_ranker(state.baskets, [earlier])
    assert ranker is not None
    values = ranker.score(state, customers, state.scores(customers))
    assert ((values > 0).sum(axis=1) >= LENGTH).all()


@pytest.mark.parametrize(
    ("orders", "gap", "since", "said"),
    [
        (1, 3650, 3, "you bought this before"),
        (2, 1, 1000, "you bought this before"),  # an order that was split, years ago
        (2, 0, 5, "you bought this before"),
        (5, 1, 5, "you buy this often"),
        (5, 1, 1000, "you bought this before"),
        (4, 14, 20, "you buy this every 14 days"),
        (4, 14, 1000, "you bought this before"),
        (3, 365, 500, "you buy this every 365 days"),
    ],
)
def test_a_reason_says_a_habit_only_of_one_that_lasts(
    orders: float, gap: float, since: float, said: str
) -> None:
    told = {"bought": orders, "gap": gap, "days_since_bought": since}
    assert _reason(told, -1, "", np.array([], dtype=object), words_of("en")) == said


def test_a_figure_that_there_is_none_of_is_a_dash() -> None:
    figures = dict.fromkeys(("recall", "ndcg", "map", "recall_new", "coverage"), 0.5)
    figures["recall_rebuys"] = float("nan")
    found = Recommended("v", True, "because", "v", 3, "2020-01-01", {"ease": figures}, ("als",))
    text = describe(found, "cva run")
    assert "nan" not in text
    assert text.splitlines()[2].split() == ["ease", "0.500", "0.500", "0.500", "-", *["0.500"] * 2]
    assert "  als  " in text
    assert "not compared, needs: pip install 'cva-sql[recommend]'" in text
