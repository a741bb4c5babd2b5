"""Bootstrap intervals: around their value, narrower with more customers, joint over dates."""

from __future__ import annotations

import math
from contextlib import suppress
from threading import Barrier, BrokenBarrierError

import numpy as np
import pytest
from numpy.typing import ArrayLike

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.judging import bootstrap
from cva_sql.models_onnx.value.judging import metrics as metrics
from cva_sql.models_onnx.value.judging.bootstrap import (
    Metric,
    Sample,
    evaluate,
    evaluate_dates,
    paired_difference,
)
from cva_sql.models_onnx.value.judging.columns import Values

ROUNDING = 1e-12  # relative: weighted sums add the same terms in another order


def shop(customers: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Outcomes with many zeros and predictions in (0, 1) with many ties, which half know them."""
    rng = np.random.default_rng(seed)
    chance = rng.integers(1, 20, customers) / 20
    spend = np.where(rng.random(customers) < chance, rng.integers(1, 50, customers), 0)
    return spend.astype(np.float64), chance


def evaluated(customers: int, seed: int = 0) -> dict[str, Metric]:
    spend, chance = shop(customers)
    quantiles = {0.1: np.zeros(customers), 0.5: 20 * chance, 0.9: 50 * chance}
    return evaluate(
        Sample(spend, 25 * chance, probability=chance, quantiles=quantiles),
        replicates=100,
        seed=seed,
    )


def test_evaluate_returns_the_public_metrics_with_intervals_around_them() -> None:
    spend, chance = shop(800)
    result = evaluated(800)
    for name, metric in metrics.RANKING_METRICS.items():
        assert result[name].value == metric(spend, 25 * chance, None)
    for name, metric in metrics.PROBABILITY_METRICS.items():
        assert result[name].value == metric(spend, chance, None)
    assert result["pinball_p90"].value == metrics.pinball(spend, 50 * chance, level=0.9)
    added = {"auc", "coverage_p10", "coverage_p50", "coverage_p90", "coverage_p10_p90"}
    assert added | {"pinball_p10", "pinball_p50", "pinball_p90"} <= {*result}
    for name, estimate in result.items():
        assert estimate.name == name
        assert estimate.lower < estimate.value < estimate.upper, estimate


def test_interval_shrinks_with_more_customers() -> None:
    small, large = evaluated(300), evaluated(7500)
    for name, metric in small.items():
        width = large[name].upper - large[name].lower
        assert width < 0.5 * (metric.upper - metric.lower), name  # a fifth, were there no noise


def test_interval_of_mae_agrees_with_the_normal_one() -> None:
    spend, chance = shop(2000)
    errors = np.abs(spend - 25 * chance)
    metric = evaluate(Sample(spend, 25 * chance), replicates=500)["mae"]
    half = 1.96 * errors.std() / math.sqrt(2000)
    assert metric.upper - metric.lower == pytest.approx(2 * half, rel=0.15)  # 500 draws: about 5 %


def test_same_seed_gives_same_intervals() -> None:
    assert evaluated(200, seed=3) == evaluated(200, seed=3)
    assert evaluated(200, seed=3) != evaluated(200, seed=4)


def test_figures_are_the_same_on_any_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for number in (1, 2, 5):
        monkeypatch.setattr(bootstrap, "cores", lambda number=number: number)
        found.append(evaluated(300))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("number", [2, 5])
def test_as_many_replicates_are_measured_at_once_as_there_are_cores(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for the others: one after the other, the first would wait in vain."""
    all_here = Barrier(number, timeout=10)

    def metric(actual: Values, predicted: Values, weights: ArrayLike | None) -> float:
        if weights is not None:
            with suppress(BrokenBarrierError):
                all_here.wait()
        return metrics.mae(actual, predicted, weights)

    monkeypatch.setattr(bootstrap, "cores", lambda: number)
    spend, chance = shop(50)
    paired_difference(metric, spend, chance, chance, replicates=number)
    assert not all_here.broken


def test_evaluate_without_customers_or_outcomes_is_nan() -> None:
    assert all(math.isnan(metric.upper) for metric in evaluate(Sample([], [])).values())
    result = evaluate(Sample(np.zeros(20), np.arange(20.0)), replicates=5)
    assert math.isnan(result["ngini"].value)
    assert math.isnan(result["ngini"].lower)
    assert result["mae"].value == pytest.approx(9.5)


def test_interval_leaves_out_undefined_replicates() -> None:
    actual = np.zeros(20)
    actual[3] = 5  # a third of the resamples have no buyer
    metric = evaluate(Sample(actual, np.arange(20.0)), replicates=50)["auc"]
    assert 0 <= metric.lower <= metric.value <= metric.upper < 0.5


def test_paired_difference_is_narrower_than_its_parts() -> None:
    spend, chance = shop(1000)
    noise = np.random.default_rng(7).normal(0, 0.05, 1000)
    worse = chance + noise
    difference = paired_difference(metrics.ngini, spend, chance, worse, replicates=100)
    alone = evaluate(Sample(spend, chance), replicates=100)["ngini"]
    expected = metrics.ngini(spend, chance) - metrics.ngini(spend, worse)
    assert difference.name == "ngini_difference"
    assert difference.value == pytest.approx(expected)
    assert difference.lower < difference.value < difference.upper
    assert difference.upper - difference.lower < 0.5 * (alone.upper - alone.lower)


def test_paired_difference_of_a_prediction_from_itself_is_zero() -> None:
    spend, chance = shop(100)
    metric = paired_difference(metrics.mae, spend, chance, chance, replicates=20)
    assert (metric.value, metric.lower, metric.upper) == (0, 0, 0)


def test_means_over_dates_are_means_and_have_absolute_bias() -> None:
    spend, chance = shop(300)
    samples = [Sample(spend, 20 * chance), Sample(spend, 40 * chance)]
    by_date, means = evaluate_dates(samples, replicates=50)
    for name in ("mae", "ngini", "bias"):
        assert means[name].value == pytest.approx(np.mean([date[name].value for date in by_date]))
    expected = np.mean([abs(date["bias"].value) for date in by_date])
    assert means["abs_bias"].value == pytest.approx(expected)


def test_customers_are_resampled_with_all_their_dates() -> None:
    spend, chance = shop(400)
    names = np.arange(400).astype(str).astype(object)
    same = [Sample(spend, 25 * chance, customer_id=names)] * 2
    apart = [same[0], Sample(spend, 25 * chance, customer_id=names + "x")]
    widths = []
    for samples in (same, apart):
        mae = evaluate_dates(samples, replicates=300)[1]["mae"]
        widths.append(mae.upper - mae.lower)
    # Two copies of one customer tell no more than one; two strangers narrow it by the root of two.
    assert widths[1] < 0.85 * widths[0]
