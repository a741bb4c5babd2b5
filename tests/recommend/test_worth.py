"""Probabilities, what lists are expected to bring, customers alike, and words of reasons."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cva_sql.models_onnx.recommend.calibration import Calibration, _rising, calibrate
from cva_sql.models_onnx.recommend.choice import POPULARITY
from cva_sql.models_onnx.recommend.cold import Cold, cold
from cva_sql.models_onnx.recommend.cold_choice import choose_cold
from cva_sql.models_onnx.recommend.offers import POPULAR, SIMILAR, neighbours
from cva_sql.models_onnx.recommend.ranker import alone, known
from cva_sql.models_onnx.recommend.reasons import TEMPLATES, WORDS, words_of
from cva_sql.models_onnx.recommend.registry import all_candidates
from cva_sql.models_onnx.recommend.worth import Worth

from .shops import START, of_rows, shop_of_habits

HALF = Calibration((0.1, 0.9), (0.1, 0.9), 100)


def test_probabilities_rise_with_scores_and_come_out_right_on_average() -> None:
    shop = shop_of_habits(150, 300)
    day = START + 270
    candidates = [one for one in all_candidates() if one.name in ("own_most_bought", POPULARITY)]
    state = known(shop, day, 28, candidates)
    ranker = alone([one.name for one in candidates], "own_most_bought")
    found = calibrate(shop, state, ranker)
    assert found is not None
    assert list(found.scores) == sorted(set(found.scores))
    assert list(found.probabilities) == sorted(set(found.probabilities))
    customers = state.baskets.active()
    values = ranker.score(state, customers, state.scores(customers))
    likely = found.of(values)
    assert np.isnan(likely[values == 0]).all()
    bought = shop.within(day, 28).matrix()[customers].toarray() > 0
    assert np.nansum(likely) == pytest.approx(bought[values > 0].sum(), rel=0.1)


def test_bins_that_would_fall_are_one() -> None:
    score, share = np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.4, 0.2])
    found = _rising(score, share, np.array([10.0, 10.0, 10.0]), 5)
    assert found.scores == (1.0, 2.5)
    assert found.probabilities == pytest.approx((0.1, 0.3))


def test_too_few_purchases_give_no_probability() -> None:
    shop = of_rows([("a", "1", "x", 10, 1.0), ("a", "2", "x", 40, 1.0)])
    state = known(shop, 30, 28, all_candidates())
    assert calibrate(shop, state, alone([POPULARITY], POPULARITY)) is None


def test_by_margin_what_brings_most_is_first_and_what_brings_nothing_last() -> None:
    values = np.array([[0.8, 0.4, 0.6, 0.9, 0.0]], dtype=np.float32)
    margin = np.array([1.0, 3.0, np.nan, -5.0, 100.0])
    worth = Worth(HALF, margin, by_margin=True)
    # 0.8 * 1, 0.4 * 3, 0.6 * the median of the known, below cost, and nothing put forward
    median = np.median([1.0, 3.0, -5.0, 100.0])
    expected = np.array([[0.8, 1.2, 0.6 * median, 0.0, 0.0]])
    assert worth.order(values) == pytest.approx(expected / expected.max())
    assert Worth(HALF, margin).order(values) is values


def test_customers_like_them_come_before_what_is_popular() -> None:
    rows = [(f"de{n}", f"de{n}", "beer", 90, 1.0) for n in range(200)]
    rows += [(f"fr{n}", f"fr{n}", "wine", 90, 1.0) for n in range(500)]
    shop = of_rows(rows)
    groups = {str(who): (f"country={str(who)[:2]}",) for who in shop.customer_ids}
    groups |= {"new de": ("country=de",), "new it": ("country=it",)}
    names = np.array(["new de", "new it", "who"], dtype=object)
    state = known(shop, 100, 28, all_candidates())
    margin = np.full(shop.products, np.nan)
    found = cold(
        state, neighbours(shop), Cold(names, {}, groups), 1, shop.product_ids, margin,
        words_of("en"),
    )  # fmt: skip
    told = zip(found.customer, shop.product_ids[found.product], found.status, strict=True)
    assert list(told) == [
        ("new de", "beer", SIMILAR),
        ("new it", "wine", POPULAR),
        ("who", "wine", POPULAR),
    ]
    assert found.reason[0] == "customers like you buy this now"


@pytest.mark.parametrize(
    ("tastes", "chosen"), [(("beer", "wine"), SIMILAR), (("tea", "tea"), POPULAR)]
)
def test_what_similar_customers_buy_is_offered_where_it_beat_popularity(
    tastes: tuple[str, str], chosen: str
) -> None:
    rows, groups = [], {}
    for n in range(400):
        who, country = f"c{n}", n % 2
        groups[who] = (f"country={country}",)
        drinks = [tastes[country], "cake"] if n % 3 else ["cake"]
        rows += [(who, who, drink, n // 4, 1.0) for drink in drinks]
    found = choose_cold(of_rows(rows), groups, 100, 28)
    assert found.name == chosen
    assert "ndcg@10" in found.verdict
    assert choose_cold(of_rows(rows), {}, 100, 28).name == POPULAR
    assert "too few" in choose_cold(of_rows(rows[:30]), groups, 100, 28).verdict


def test_each_reason_is_told_from_the_others_in_every_language() -> None:
    patterns = [re.compile(re.sub(r"\\{.*?\\}", ".+", re.escape(text))) for text in TEMPLATES]
    for place, text in enumerate(TEMPLATES):
        said = text.format_map({"days": "7", "product": "Tea"})
        first = next(at for at, pattern in enumerate(patterns) if pattern.fullmatch(said))
        assert first == place
    assert all(words.pairs.keys() == WORDS["en"].pairs.keys() for words in WORDS.values())
    assert words_of("fr") is WORDS["en"]
