"""Metrics against hand-computed ledgers, scipy and scikit-learn, and their own weights."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    brier_score_loss,
    d2_tweedie_score,
    mean_absolute_error,
    mean_pinball_loss,
    r2_score,
    roc_auc_score,
)

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.judging import metrics as metrics
from cva_sql.models_onnx.value.judging.columns import column

ROUNDING = 1e-12  # relative: weighted sums add the same terms in another order
MONEY: dict[str, Callable[..., float]] = {
    **metrics.RANKING_METRICS,
    **metrics.MONEY_METRICS,
    "auc": metrics.auc,
    "quantile_coverage": metrics.quantile_coverage,
    "pinball": partial(metrics.pinball, level=0.9),
}
ALL: dict[str, Callable[..., float]] = {**MONEY, **metrics.PROBABILITY_METRICS}


def shop(customers: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Outcomes with many zeros and predictions in (0, 1) with many ties, which half know them."""
    rng = np.random.default_rng(seed)
    chance = rng.integers(1, 20, customers) / 20
    spend = np.where(rng.random(customers) < chance, rng.integers(1, 50, customers), 0)
    return spend.astype(np.float64), chance


def columns_for(name: str, customers: int, seed: int = 0) -> tuple[Floats, Floats]:
    spend, chance = shop(customers, seed)
    return (spend, chance) if name in metrics.PROBABILITY_METRICS else (spend, 25 * chance)


def test_public_metrics_are_all_covered_here() -> None:
    takes_actual = {
        name
        for name, function in inspect.getmembers(metrics, inspect.isfunction)
        if next(iter(inspect.signature(function).parameters), "") == "actual" and name[0] != "_"
    }
    assert takes_actual == {*ALL, "interval_coverage"}


# Hand-computed ledgers


def test_spearman_of_tied_ledger_is_pearson_of_midranks() -> None:
    # midranks less 2.5: actual −1 −1 .5 1.5, predicted −1.5 0 0 1.5; squares add up to 4.5 each
    assert metrics.spearman([0, 0, 5, 9], [1, 2, 2, 3]) == pytest.approx(3.75 / 4.5)


def test_ngini_of_reversed_and_perfect_order_is_minus_and_plus_one() -> None:
    assert metrics.ngini([0, 1, 2, 7], [1, 2, 3, 4]) == pytest.approx(1)
    assert metrics.ngini([0, 1, 2, 7], [4, 3, 2, 1]) == pytest.approx(-1)


def test_ngini_shares_outcome_within_ties() -> None:
    # Best first, {10, 0} tied, then {2, 0} tied: the gain curve is 0 5 10 11 12 at the quarters,
    # its area by trapezia 32/48, 1/6 over the diagonal; the perfect 0 10 12 12 12: 40/48, 1/3
    assert metrics.ngini([10, 0, 2, 0], [5, 5, 1, 1]) == pytest.approx((1 / 6) / (1 / 3))


def test_ngini_of_constant_prediction_is_zero() -> None:
    assert metrics.ngini([3, 0, 1], [2, 2, 2]) == pytest.approx(0, abs=ROUNDING)


def test_mae_r2_and_bias_of_small_ledger() -> None:
    actual, predicted = [0, 0, 10, 30], [5, 0, 10, 15]
    assert metrics.mae(actual, predicted) == pytest.approx(5)
    assert metrics.r2(actual, predicted) == pytest.approx(1 - 250 / 600)
    assert metrics.bias(actual, predicted) == pytest.approx(30 / 40 - 1)


def test_decile_mape_of_ten_customers_is_their_mean_relative_error() -> None:
    predicted = np.arange(1.0, 11.0)
    actual = predicted * 2
    actual[9] = 10  # one in ten is exact, nine are half
    assert metrics.decile_mape(actual, predicted) == pytest.approx(0.45)


def test_decile_mape_leaves_out_deciles_without_spend() -> None:
    predicted = np.arange(1.0, 11.0)
    actual = np.where(predicted <= 8, 0, predicted * 2)
    assert metrics.decile_mape(actual, predicted) == pytest.approx(0.5)


def test_decile_mape_splits_tie_group_evenly_over_deciles() -> None:
    # 15 tied at 2 with mean 4, then 5 at 6 with mean 6: deciles 1–7 are off by half, decile 8
    # holds one of each (8 for 10: a fifth), deciles 9 and 10 are exact
    predicted = np.r_[np.full(15, 2.0), np.full(5, 6.0)]
    actual = np.r_[np.zeros(10), np.full(5, 12.0), np.full(5, 6.0)]
    assert metrics.decile_mape(actual, predicted) == pytest.approx((7 * 0.5 + 0.2) / 10)


def test_top_capture_shares_ties_at_the_limit() -> None:
    predicted = np.r_[np.full(4, 9.0), np.arange(16.0) / 16]  # the top tenth is half of the four
    actual = np.r_[10, 0, 10, 20, np.full(16, 2.5)]
    assert metrics.top_capture(actual, predicted) == pytest.approx(20 / 80)
    assert metrics.top_capture(actual, np.zeros(20)) == pytest.approx(0.1)


def test_auc_counts_tie_as_one_half() -> None:
    # pairs (buyer, other): 2>1, 2=2, 3>1, 3>2
    assert metrics.auc([0, 4, 0, 9], [1, 2, 2, 3]) == pytest.approx(3.5 / 4)


def test_brier_quantile_coverage_interval_coverage_and_pinball_of_small_ledgers() -> None:
    assert metrics.brier([0, 5], [0.2, 0.6]) == pytest.approx((0.04 + 0.16) / 2)
    assert metrics.quantile_coverage([0, 5, 7], [0, 4, 8]) == pytest.approx(2 / 3)
    assert metrics.interval_coverage([0, 5, 7], [0, 4, 8], [0, 6, 9]) == pytest.approx(2 / 3)
    assert metrics.pinball([0, 10], [5, 5], level=0.9) == pytest.approx((0.5 + 4.5) / 2)


def test_calibration_slope_of_two_groups_is_ratio_of_logit_distances() -> None:
    # Two values of p fit exactly: shares 1/4 and 3/4 are 2·log 3 apart, p .1 and .9 2·log 9
    actual = [1, 0, 0, 0, 1, 1, 1, 0]
    probability = [0.1] * 4 + [0.9] * 4
    assert metrics.calibration_slope(actual, probability) == pytest.approx(0.5)


# Agreement with the libraries


@pytest.mark.parametrize("seed", range(3))
def test_metrics_agree_with_scipy_and_sklearn(seed: int) -> None:
    spend, chance = shop(300, seed)
    bought = spend > 0
    assert metrics.spearman(spend, chance) == pytest.approx(spearmanr(spend, chance).statistic)
    assert metrics.auc(spend, chance) == pytest.approx(roc_auc_score(bought, chance))
    assert metrics.r2(spend, 25 * chance) == pytest.approx(r2_score(spend, 25 * chance))
    assert metrics.mae(spend, 25 * chance) == pytest.approx(mean_absolute_error(spend, 25 * chance))
    assert metrics.brier(spend, chance) == pytest.approx(brier_score_loss(bought, chance))
    expected = mean_pinball_loss(spend, 25 * chance, alpha=0.1)
    assert metrics.pinball(spend, 25 * chance, level=0.1) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_weighted_metrics_agree_with_sklearn(seed: int) -> None:
    """With the counts of a bootstrap draw, and so with customers who are not drawn at all."""
    spend, probability = shop(800, seed)
    predicted = 25 * probability
    counts = np.bincount(np.random.default_rng(seed).integers(0, 800, 800), minlength=800) * 1.0
    bought, floor = spend > 0, 0.01 * np.average(spend, weights=counts)
    for ours, theirs in (
        (
            metrics.mae(spend, predicted, counts),
            mean_absolute_error(spend, predicted, sample_weight=counts),
        ),
        (metrics.r2(spend, predicted, counts), r2_score(spend, predicted, sample_weight=counts)),
        (
            metrics.auc(spend, probability, counts),
            roc_auc_score(bought, probability, sample_weight=counts),
        ),
        (
            metrics.brier(spend, probability, counts),
            brier_score_loss(bought, probability, sample_weight=counts),
        ),
        (
            metrics.pinball(spend, predicted, counts, level=0.9),
            mean_pinball_loss(spend, predicted, sample_weight=counts, alpha=0.9),
        ),
        (
            metrics.d2_tweedie(spend, predicted, counts),
            d2_tweedie_score(spend, np.maximum(predicted, floor), sample_weight=counts, power=1.5),
        ),
    ):
        assert ours == pytest.approx(theirs, rel=ROUNDING, abs=ROUNDING)


def test_calibration_slope_agrees_with_sklearn() -> None:
    spend, chance = shop(2000)
    logit = np.log(chance / (1 - chance))[:, None]
    fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit, spend > 0)
    slope = metrics.calibration_slope(spend, chance)
    assert slope == pytest.approx(fit.coef_[0, 0], rel=1e-5)  # lbfgs stops earlier than Newton


@pytest.mark.parametrize("stretch", [0.5, 1.0, 3.0])
def test_calibration_slope_recovers_overconfidence(stretch: float) -> None:
    rng = np.random.default_rng(5)
    logit = rng.normal(-1, 1.5, 50_000)
    bought = (rng.random(50_000) < 1 / (1 + np.exp(-logit))).astype(np.float64)
    claimed = 1 / (1 + np.exp(-stretch * logit))
    slope = metrics.calibration_slope(bought, claimed)
    assert slope == pytest.approx(1 / stretch, rel=0.05)  # 50,000 rows: standard error about .01


def test_calibration_slope_of_nearly_constant_probability_still_fits() -> None:
    spend, chance = shop(500)
    narrow = 0.5 + 1e-7 * (chance - 0.5)
    wide = metrics.calibration_slope(spend, 0.5 + 1e-3 * (chance - 0.5))
    assert metrics.calibration_slope(spend, narrow) == pytest.approx(1e4 * wide, rel=1e-4)


# Weights, ties and row order


@pytest.mark.parametrize("name", ALL)
def test_weights_equal_repeated_rows(name: str) -> None:
    actual, predicted = columns_for(name, 157)
    weights = np.random.default_rng(1).integers(0, 4, 157)
    repeated = ALL[name](np.repeat(actual, weights), np.repeat(predicted, weights))
    assert ALL[name](actual, predicted, weights) == pytest.approx(repeated, rel=ROUNDING)


@pytest.mark.parametrize("name", ALL)
def test_weights_of_one_change_nothing(name: str) -> None:
    actual, predicted = columns_for(name, 90)
    assert ALL[name](actual, predicted, np.ones(90)) == ALL[name](actual, predicted)


@pytest.mark.parametrize("name", ALL)
def test_row_order_changes_nothing(name: str) -> None:
    actual, predicted = columns_for(name, 203)
    order = np.random.default_rng(2).permutation(203)
    shuffled = ALL[name](actual[order], predicted[order])
    assert shuffled == pytest.approx(ALL[name](actual, predicted), rel=ROUNDING)


@pytest.mark.parametrize("name", ALL)
def test_prepared_columns_give_the_same(name: str) -> None:
    actual, predicted = columns_for(name, 80)
    prepared = ALL[name](column(actual), column(predicted))
    assert prepared == ALL[name](actual, predicted)


# Undefined values and bad input


@pytest.mark.parametrize("name", ALL)
def test_no_customers_is_nan(name: str) -> None:
    assert math.isnan(ALL[name]([], []))


@pytest.mark.parametrize("name", ALL)
def test_weights_of_zero_are_no_customers(name: str) -> None:
    assert math.isnan(ALL[name]([0, 3, 1], [0.1, 0.4, 0.6], [0, 0, 0]))


@pytest.mark.parametrize(
    "name",
    ["spearman", "ngini", "top_capture", "r2", "decile_mape", "bias", "auc", "calibration_slope"],
)
def test_outcomes_of_zero_are_nan_where_undefined(name: str) -> None:
    assert math.isnan(ALL[name]([0, 0, 0], [0.1, 0.4, 0.6]))


@pytest.mark.parametrize("name", ["spearman", "calibration_slope"])
def test_constant_prediction_is_nan_where_undefined(name: str) -> None:
    assert math.isnan(ALL[name]([0, 1, 3], [0.3, 0.3, 0.3]))


@pytest.mark.parametrize("name", ["spearman", "ngini", "r2", "auc", "calibration_slope"])
def test_constant_outcome_is_nan_also_by_weights(name: str) -> None:
    assert math.isnan(ALL[name]([0.1, 0.1, 0.7], [0.1, 0.4, 0.6], [3, 1, 0]))


@pytest.mark.parametrize("bought", [[0, 0, 1, 1], [1, 1, 0, 0], [0, 0, 0, 1]])
def test_calibration_slope_of_separated_buyers_is_nan(bought: list[int]) -> None:
    assert math.isnan(metrics.calibration_slope(bought, [0.1, 0.2, 0.2, 0.9]))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "bad",
    [
        np.array([0.1, math.nan, 0.3]),
        np.array([0.1, math.inf, 0.3]),
        np.array([0.1, None, 0.3], dtype=object),
        np.ma.masked_array([0.1, 0.2, 0.3], mask=[False, True, False]),
        np.array([0.1, 0.2]),
        np.array([[0.1], [0.2], [0.3]]),
    ],
    ids=["nan", "inf", "none", "masked", "short", "matrix"],
)
def test_bad_column_is_value_error(name: str, bad: NDArray[np.generic]) -> None:
    with pytest.raises(ValueError, match=r"null|length|shape"):
        ALL[name]([0, 1, 2], bad)
    with pytest.raises(ValueError, match=r"null|length|shape"):
        ALL[name](bad, [0.1, 0.2, 0.3])


@pytest.mark.parametrize("name", ALL)
def test_negative_weight_is_value_error(name: str) -> None:
    with pytest.raises(ValueError, match="weights"):
        ALL[name]([0, 1, 2], [0.1, 0.2, 0.3], [1, -1, 1])


@pytest.mark.parametrize("name", metrics.PROBABILITY_METRICS)
def test_probability_outside_zero_to_one_is_value_error(name: str) -> None:
    with pytest.raises(ValueError, match="probability"):
        ALL[name]([0, 1], [0.5, 1.5])


@pytest.mark.parametrize("level", [0, 1, 90])
def test_pinball_level_outside_zero_to_one_is_value_error(level: float) -> None:
    with pytest.raises(ValueError, match="level"):
        metrics.pinball([0, 1], [0, 1], level=level)


# The bootstrap


def test_d2_tweedie_agrees_with_scikit_learn() -> None:
    spend, chance = shop(500)
    expected = d2_tweedie_score(spend, 25 * chance, power=1.5)
    assert metrics.d2_tweedie(spend, 25 * chance) == pytest.approx(expected, rel=1e-9)


def test_d2_tweedie_of_a_rule_that_says_zero_is_finite() -> None:
    assert math.isfinite(metrics.d2_tweedie([0.0, 1.0, 9.0], [0.0, 0.0, 3.0]))
