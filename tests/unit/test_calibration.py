"""What past dates say of a fitted model."""

from __future__ import annotations

import numpy as np
import pytest

from cva_sql.models_onnx.value.arrays import logit, sigmoid
from cva_sql.models_onnx.value.estimators.lifetimes import INPUTS, fit_lifetimes, read_history
from cva_sql.models_onnx.value.total.calibration import (
    Outcome,
    fit_logit_slope,
    fit_orders_factor,
    fit_slope,
    logit_shift,
    mean_probability,
    orders_scale,
    scale_logits,
)
from cva_sql.models_onnx.value.total.forecast import TotalForecast
from cva_sql.models_onnx.value.total.intervals import (
    FIXED_QUANTILES,
    RESIDUAL_LEVELS,
    fit_residuals,
    spend_quantile,
)


def outcome(rows: int = 4000, slope: float = 1.0, spread: float = 0.7, seed: int = 1) -> Outcome:
    """Customers whose log spend rises by `slope` a unit of the linear predictor, when they buy."""
    random = np.random.default_rng(seed)
    predictor = random.normal(3.0, 1.0, rows)
    chance = sigmoid(random.normal(-0.5, 1.0, rows))
    buys = random.random(rows) < chance
    noise = np.exp(random.normal(-(spread**2) / 2, spread, rows))
    actual = np.where(buys, np.exp(slope * predictor) / chance * noise, 0.0)
    orders = np.where(buys, 2.0, 0.0)
    return Outcome(actual, orders, predictor, logit(chance), -np.log(1 - chance), chance)


@pytest.mark.parametrize("slope", [0.8, 1.0, 1.2])
def test_slope_is_found_again(slope: float) -> None:
    many = [outcome(20_000, slope, seed=seed) for seed in (1, 2)]
    assert fit_slope(many) == pytest.approx(slope, abs=0.06)  # shrunk towards 1, and by chance


@pytest.mark.parametrize(("sure", "slope"), [(1.6, 0.69), (1.25, 0.89), (1.0, 1.0), (0.8, 1.0)])
def test_probabilities_that_were_too_sure_are_drawn_in_and_timid_ones_stay(
    sure: float, slope: float
) -> None:
    many = scale_logits([outcome(20_000, seed=seed) for seed in (1, 2)], sure)
    assert fit_logit_slope(many) == pytest.approx(slope, abs=0.03)


def test_a_few_customers_say_little_of_the_slope_of_the_probability() -> None:
    few = scale_logits([outcome(60, seed=seed) for seed in (1, 2)], 1.6)
    assert 0.75 < fit_logit_slope(few) <= 1.0


def test_without_a_past_nothing_is_changed() -> None:
    assert fit_slope([]) == 1.0
    assert fit_logit_slope([]) == 1.0
    assert fit_orders_factor([]) == 1.0
    residuals = fit_residuals([], 1.0, 0.0)
    assert residuals.at(np.array([0.1, 0.9])) == pytest.approx(np.tile(FIXED_QUANTILES, (2, 1)))


def test_logit_shift_gives_the_mean_that_was_asked_for() -> None:
    logits = np.random.default_rng(2).normal(size=500)
    assert sigmoid(logits + logit_shift(logits, 0.2)).mean() == pytest.approx(0.2, abs=1e-9)
    assert logit_shift(np.empty(0), 0.2) == 0.0


def test_twice_the_total_is_twice_the_rate_of_purchases() -> None:
    forecast = TotalForecast(
        np.datetime64("2024-01-01").astype(object), 90, 200.0, 0.1, 100.0, 1, 1, None, 0
    )
    assert mean_probability(np.array([0.5, 0.1]), forecast) == pytest.approx((0.75 + 0.19) / 2)


def test_orders_are_counted_by_the_chance() -> None:
    factor = fit_orders_factor([outcome(20_000)])
    one = outcome(20_000)
    assert factor == pytest.approx(one.orders.sum() / one.own_orders.sum(), rel=0.05)


def test_quantiles_hold_what_they_promise_on_rows_they_were_not_fitted_on() -> None:
    residuals = fit_residuals([outcome(seed=1), outcome(seed=2)], 1.0, 0.0)
    later = outcome(seed=3)
    chance = sigmoid(later.logit)
    for level in (0.5, 0.9):
        limit = spend_quantile(level, np.exp(later.linear_predictor), chance, residuals.at(chance))
        above_zero = limit > 0
        share = (later.actual <= limit)[above_zero].mean()
        assert share == pytest.approx(level, abs=0.03)


def test_a_wider_level_widens_the_outer_quantiles_alone() -> None:
    narrow, wide = (fit_residuals([outcome()], 1.0, spread) for spread in (0.0, 0.5))
    middle = len(RESIDUAL_LEVELS) // 2
    assert wide.low[middle] == narrow.low[middle]
    assert wide.low[0] < narrow.low[0]
    assert wide.high[-1] > narrow.high[-1]


def test_quantiles_rise_at_any_chance() -> None:
    residuals = fit_residuals([outcome(500)], 1.0, 0.1)
    levels = residuals.at(np.linspace(1e-6, 1 - 1e-6, 50))
    assert (np.diff(levels, axis=1) >= 0).all()


def test_the_largest_thousandth_of_orders_is_cut_down() -> None:
    random = np.random.default_rng(3)
    rows = 5000
    days = 1 + random.poisson(1.0, rows)
    amount = random.gamma(4.0, 10.0, rows)
    amount[0] = 1e6
    numbers = {
        "frequency": days - 1.0,
        "days_since_last_order": np.where(days > 1, 150.0, 200.0),
        "t_days": np.full(rows, 200.0),
        "orders_count": days.astype(float),
        "monetary_value": np.where(days > 1, amount, np.nan),
        "first_order_day_amount": amount,
        "order_max_amount": amount,
    }
    columns = {name: column.astype(np.float32) for name, column in numbers.items()}
    assert fit_lifetimes(columns).largest_order < 200
    mean = read_history(columns).winsorised_mean(200.0)
    assert mean[1] == pytest.approx(amount[1])
    assert mean[0] == pytest.approx((days[0] * 1e6 - 1e6 + 200) / days[0])


def test_customers_without_an_order_are_not_fitted() -> None:
    nothing = {name: np.full(30, np.nan, dtype=np.float32) for name in (*INPUTS, "orders_count")}
    zeros = {name: np.zeros(30, dtype=np.float32) for name in ("frequency", "orders_count")}
    found = fit_lifetimes(nothing | zeros)
    assert not found.dropout.converged
    assert not found.spend.converged


def test_orders_of_regular_buyers_are_in_proportion_to_the_probability() -> None:
    own, told = np.array([0.99, 0.99]), np.array([0.97, 0.5])
    assert orders_scale(told, 3) / orders_scale(own, 3) == pytest.approx(told / own)
    assert orders_scale(told, 1)[0] / orders_scale(own, 1)[0] == pytest.approx(0.76, abs=0.01)
