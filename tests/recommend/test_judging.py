"""Figures by hand, rules, and the gate: what wins on a later period recommends."""

from __future__ import annotations

import numpy as np
import pytest

from cva_sql.models_onnx.recommend.choice import POPULARITY, UNJUDGED, choose
from cva_sql.models_onnx.recommend.judging import RANKER, judge_date
from cva_sql.models_onnx.recommend.lists import ordered, top
from cva_sql.models_onnx.recommend.metrics import coverage, interval, list_metrics, novelty
from cva_sql.models_onnx.recommend.ranker import known
from cva_sql.models_onnx.recommend.registry import all_candidates
from cva_sql.models_onnx.recommend.rules import rules

from .shops import START, of_rows, shop_of_habits

H = 28


def test_metrics_are_those_of_the_textbook() -> None:
    lists = np.array([[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]])
    relevant = np.zeros((1, 20), dtype=bool)
    relevant[0, [0, 2, 15, 16]] = True
    found = list_metrics(lists, np.ones_like(lists, dtype=bool), relevant)
    assert found["recall"][0] == pytest.approx(2 / 4)
    gain, best = 1 + 1 / np.log2(4), sum(1 / np.log2(place + 1) for place in (1, 2, 3, 4))
    assert found["ndcg"][0] == pytest.approx(gain / best)
    assert found["map"][0] == pytest.approx((1 + 2 / 3) / 4)


def test_a_customer_with_nothing_relevant_counts_in_no_mean() -> None:
    lists = np.array([[0, 1]])
    found = list_metrics(lists, np.ones_like(lists, dtype=bool), np.zeros((1, 3), dtype=bool))
    assert all(np.isnan(values[0]) for values in found.values())


def test_coverage_and_novelty() -> None:
    lists, usable = np.array([[0, 1], [0, 2]]), np.array([[True, True], [True, False]])
    assert coverage(lists, usable, 4) == 0.5
    assert novelty(lists, usable, np.array([4.0, 1.0, 1.0, 0.0]), 4) == pytest.approx(2 / 3)


def test_an_interval_redraws_customers_and_is_the_same_every_time() -> None:
    values = np.r_[np.zeros(50), np.ones(50), np.nan]
    found = interval(values, np.arange(101))
    assert found.value == 0.5
    assert 0.35 < found.lower < 0.45 < 0.55 < found.upper < 0.65
    assert found == interval(values, np.arange(101))
    doubled = interval(np.r_[values, values], np.r_[np.arange(101), np.arange(101)])
    assert doubled.upper - doubled.lower == pytest.approx(found.upper - found.lower)


def test_equal_scores_are_in_the_order_of_popularity() -> None:
    keys = ordered(np.array([[0, 5, 0, 5]], dtype=np.float32), np.array([9.0, 1, 8, 2]))
    place, _ = top(keys, 4)
    assert place.tolist() == [[3, 1, 0, 2]]


def test_a_withdrawn_product_and_one_given_away_are_not_offered() -> None:
    rows = [("a", "1", "old", 10, 1.0), ("a", "2", "free", 390, 0.0), ("a", "3", "new", 390, 1.0)]
    shop = of_rows(rows)
    found = rules(shop, 400)
    assert dict(zip(shop.product_ids, found.offered, strict=True)) == {
        "free": False,
        "new": True,
        "old": False,
    }


def test_what_a_category_is_bought_again_is_learned() -> None:
    rows = []
    for who in range(60):
        rows += [(f"c{who}", f"{who}-{day}", "soap", day, 1.0) for day in (10, 40)]
        rows += [(f"c{who}", f"{who}-sofa", "sofa", 10, 1.0)]
    shop = of_rows(rows, products=["soap", "sofa"], category=["care", "furniture"])
    found = rules(shop, 100)
    assert dict(zip(shop.product_ids, found.again, strict=True)) == {"soap": True, "sofa": False}
    owned = np.ones((1, 2), dtype=bool)
    assert found.allowed(owned).tolist() == [[True, False]]


def test_customers_who_never_came_back_do_not_say_that_a_product_is_bought_once() -> None:
    rows = [(f"once{who}", f"once{who}", "tea", 10, 1.0) for who in range(500)]
    rows += [(f"c{who}", f"{who}-{day}", "tea", day, 1.0) for who in range(9) for day in (10, 40)]
    assert rules(of_rows(rows), 100).again.tolist() == [True]


def test_the_winner_of_a_later_period_recommends_and_says_so() -> None:
    shop = shop_of_habits()
    choice = choose(shop, START + 400, H, all_candidates())
    figures = choice.figures()
    best = max(figures, key=lambda name: figures[name]["ndcg"])
    assert choice.name == best != POPULARITY
    assert choice.verdict.startswith(f"{best} recommends: ndcg@10")
    assert figures[best]["recall"] > figures[POPULARITY]["recall"]
    assert {"recall_rebuys", "recall_new", "map", "coverage", "novelty"} <= set(figures[best])


def test_the_ranker_is_not_below_the_candidates_it_orders() -> None:
    shop = shop_of_habits()
    day = START + 372
    choice = choose(shop, day, H, all_candidates())
    judged = judge_date(shop, known(shop, day, H, all_candidates()), choice.ranker)
    if choice.ranker is not None:
        best = max(np.nanmean(judged.rows[n]["all", "ndcg"]) for n in judged.rows if n != RANKER)
        assert np.nanmean(judged.rows[RANKER]["all", "ndcg"]) > 0.97 * best


def test_what_is_bought_at_random_is_left_to_popularity() -> None:
    random = np.random.default_rng(5)
    share = 1.0 / np.arange(1, 61)
    rows = []
    for who in range(200):
        for order in range(12):
            day = START + int(random.integers(0, 200))
            for product in random.choice(60, 3, replace=False, p=share / share.sum()):
                rows.append((f"c{who}", f"{who}-{order}", f"p{product:02}", day, 1.0))
    choice = choose(of_rows(rows), START + 200, H, all_candidates())
    assert choice.name == POPULARITY
    assert choice.ranker is None


def test_a_short_past_is_left_to_a_rule_unjudged() -> None:
    choice = choose(of_rows([("a", "1", "x", 10, 1.0)]), 20, H, all_candidates())
    assert (choice.name, choice.judged) == (UNJUDGED, None)
    assert "too few customers" in choice.verdict


def test_the_choice_is_the_same_every_time_and_blind_to_what_comes() -> None:
    shop = shop_of_habits(120)
    day = START + 330
    one = choose(shop, day, H, all_candidates())
    other = choose(shop.before(day), day, H, all_candidates())
    assert one.verdict == other.verdict
    assert one.figures() == other.figures()
