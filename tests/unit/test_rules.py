"""Reference rules on hand-computed ledgers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cva_sql.models_onnx.value.judging.rules import (
    COLUMNS,
    RULES,
    quintile_scores,
    rule_predictions,
)

NAN = float("nan")


def ledger() -> dict[str, NDArray[np.float64]]:
    """Three customers, the last one without an order."""
    return {
        "historic_value": np.array([360.0, 90.0, 0.0]),
        "spend_horizon_1": np.array([100.0, 0.0, 0.0]),
        "decayed_spend": np.array([200.0, 30.0, 0.0]),
        "days_since_last_order": np.array([10.0, 200.0, NAN]),
        "order_days_count": np.array([6.0, 1.0, 0.0]),
    }


def many(customers: int = 500) -> dict[str, NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    count = rng.integers(1, 5, customers).astype(np.float64)
    recency = rng.integers(1, 300, customers).astype(np.float64)
    recency[rng.random(customers) < 0.1] = NAN
    spend = count * rng.integers(10, 20, customers).astype(np.float64)
    return {
        "historic_value": spend,
        "spend_horizon_1": spend / 2,
        "decayed_spend": spend / 3,
        "days_since_last_order": recency,
        "order_days_count": count,
    }


def test_every_rule_is_registered_with_one_line_of_description() -> None:
    assert list(RULES) == ["past_spend", "last_window", "decayed_spend", "rfm_quintiles"]
    assert all(rule.description and "\n" not in rule.description for rule in RULES.values())
    assert list(rule_predictions(ledger(), horizon_days=90, history_days=360)) == list(RULES)


def test_rules_of_small_ledger() -> None:
    result = rule_predictions(ledger(), horizon_days=90, history_days=360)
    assert result["past_spend"] == pytest.approx([90, 22.5, 0])
    assert result["last_window"] == pytest.approx([100, 0, 0])
    assert result["decayed_spend"] == pytest.approx([100, 15, 0])
    assert result["rfm_quintiles"] == pytest.approx([90, 22.5, 0])


@pytest.mark.parametrize("filler", [NAN, 7.0])
def test_customer_without_order_gets_zero_whatever_the_other_columns_hold(filler: float) -> None:
    features = ledger()
    for name in COLUMNS:
        if name != "days_since_last_order":
            features[name][2] = filler
    result = rule_predictions(features, horizon_days=90, history_days=360)
    assert [prediction[2] for prediction in result.values()] == [0, 0, 0, 0]
    assert result["rfm_quintiles"] == pytest.approx([90, 22.5, 0])


def test_masked_null_is_a_customer_without_order() -> None:
    features = ledger()
    masked = np.ma.masked_array([10, 200, 999_999], mask=[False, False, True])
    features["days_since_last_order"] = masked
    result = rule_predictions(features, horizon_days=90, history_days=360)
    assert result["past_spend"] == pytest.approx([90, 22.5, 0])


def test_shop_without_orders_predicts_zero() -> None:
    nobody = {name: np.full(2, NAN) for name in COLUMNS}
    empty = {name: np.empty(0) for name in COLUMNS}
    for rule in rule_predictions(nobody, horizon_days=90, history_days=10).values():
        assert rule.tolist() == [0, 0]
    for rule in rule_predictions(empty, horizon_days=90, history_days=10).values():
        assert rule.tolist() == []


def test_quintile_scores_are_fifths_and_share_ties() -> None:
    assert quintile_scores(np.arange(10.0)).tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert quintile_scores(np.array([1.0] * 8 + [2.0, 3.0])).tolist() == [3] * 8 + [5, 5]
    assert quintile_scores(np.array([4.0])).tolist() == [3]


def test_rfm_recent_buyers_score_higher() -> None:
    features = {name: np.full(10, 100.0) for name in COLUMNS}
    features["days_since_last_order"] = np.arange(10.0)
    features["historic_value"] = np.array([50.0] * 5 + [20.0] * 5)
    result = rule_predictions(features, horizon_days=90, history_days=90)["rfm_quintiles"]
    # quintiles of recency 5 5 4 4 3 | 3 2 2 1 1 plus spend 4 | 2: no score has both spends
    assert result == pytest.approx(features["historic_value"])


def test_rfm_keeps_the_total_of_past_spend_and_one_value_a_score() -> None:
    result = rule_predictions(many(), horizon_days=90, history_days=300)
    assert result["rfm_quintiles"].sum() == pytest.approx(result["past_spend"].sum())
    assert len(np.unique(result["rfm_quintiles"].round(9))) <= 14  # 13 sums of scores, and 0


@pytest.mark.parametrize("name", RULES)
def test_row_order_changes_nothing(name: str) -> None:
    features = many()
    order = np.random.default_rng(1).permutation(500)
    shuffled = {column: values[order] for column, values in features.items()}
    plain = rule_predictions(features, horizon_days=90, history_days=300)[name]
    moved = rule_predictions(shuffled, horizon_days=90, history_days=300)[name]
    assert moved == pytest.approx(plain[order], rel=1e-12)  # sums in another order


def test_missing_column_is_named() -> None:
    features = ledger()
    del features["decayed_spend"]
    with pytest.raises(ValueError, match="decayed_spend"):
        rule_predictions(features, horizon_days=90, history_days=360)


def test_null_of_a_customer_with_orders_is_named() -> None:
    features = ledger()
    features["historic_value"][0] = NAN
    with pytest.raises(ValueError, match="historic_value"):
        rule_predictions(features, horizon_days=90, history_days=360)


@pytest.mark.parametrize(("horizon_days", "history_days"), [(0, 360.0), (90, 0.0)])
def test_span_that_is_not_positive_is_value_error(horizon_days: int, history_days: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        rule_predictions(ledger(), horizon_days=horizon_days, history_days=history_days)
