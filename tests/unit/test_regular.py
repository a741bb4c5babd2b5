"""Regular buyers: MBG/CNBD-k against brute force, quadrature and simulated customers."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import betaln, gammaln
from scipy.stats import nbinom

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.estimators import btyd as btyd
from cva_sql.models_onnx.value.estimators.btyd import DropoutModel, Kind, fit_dropout
from cva_sql.models_onnx.value.estimators.forecasts import (
    expected_orders,
    p_alive,
    purchase_probability,
)
from cva_sql.models_onnx.value.estimators.lifetimes import fit_lifetimes
from cva_sql.models_onnx.value.estimators.prior import shop_priors
from cva_sql.models_onnx.value.estimators.regularity import MIN_REGULAR, STAGES, choose_stages
from tests.unit.test_btyd import (
    HORIZON,
    KINDS,
    SPEND_TRUTH,
    TRUTH,
    build,
    customers_for_the_graph,
    dropout_model,
    slope_and_errors,
    spend_model,
)

REGULAR = (4.0, 30.0, 0.6, 5.0)  # r, alpha of three stages, a, b: a purchase every 30 days or so


def regular_model(stages: int, r: float, alpha: float, a: float, b: float) -> DropoutModel:
    return replace(dropout_model("mbgnbd", r, alpha, a, b), stages=stages)


@lru_cache(maxsize=4)
def simulate(stages: int, customers: int = 6000) -> tuple[Floats, ...]:
    """(x, t_x, T, orders in the HORIZON after T, alive at T, gap mean, gap deviation)."""
    random = np.random.default_rng(21)
    r, alpha, a, b = REGULAR
    rows = []
    for _ in range(customers):
        T, rate, p = random.uniform(50, 500), random.gamma(r, 1 / alpha), random.beta(a, b)
        times, time, alive = [0.0], 0.0, True
        while True:
            if random.random() < p:
                alive = False
                break
            time += random.gamma(stages, 1 / rate)
            if time > T + HORIZON:
                break
            times.append(time)
        past = np.array([t for t in times if t <= T])
        gaps = np.diff(past)
        later = len(times) - len(past)
        rows.append(
            (
                len(gaps),
                past[-1],
                T,
                later,
                float(alive or later > 0),
                gaps.mean() if len(gaps) else np.nan,
                gaps.std() if len(gaps) > 1 else np.nan,
            )
        )
    return tuple(np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))


def enumerated(
    model: DropoutModel, x: float, t_x: float, T: float, h: float
) -> tuple[float, float]:
    """(E[orders], P(an order)) if alive, order by order: no approximation."""
    shape, w, z = model.r + model.stages * x, (T - t_x) / (model.alpha + T), h / (model.alpha + T)
    j = np.arange(model.stages)
    passed = np.exp(gammaln(shape + j) - gammaln(shape) - gammaln(j + 1)) * w**j
    passed = passed / passed.sum()
    b = model.b + x + 1
    orders = probability = 0.0
    for m in range(1, 2000):
        reached = nbinom.sf(model.stages * m - j - 1, shape + j, 1 / (1 + z))
        term = float(passed @ reached) * np.exp(betaln(model.a, b + m - 1) - betaln(model.a, b))
        probability = probability or float(passed @ reached)
        orders += term
        if term < 1e-10 * orders:
            break
    return orders, probability


@pytest.mark.parametrize("stages", STAGES[1:])
def test_forecasts_are_those_of_brute_force(stages: int) -> None:
    random = np.random.default_rng(stages)
    for _ in range(12):
        gap, r = np.exp(random.uniform(np.log(5), np.log(200))), np.exp(random.uniform(-0.7, 3.9))
        a, b = np.exp(random.uniform(-3, 1.6)), np.exp(random.uniform(0, 4))
        model, horizon = regular_model(stages, r, r * gap / stages, a, b), random.choice([30, 90])
        x = random.integers(0, 30, 6).astype(np.float64)
        since = random.uniform(0, 1.3, 6) * gap
        T = x * gap * random.uniform(0.6, 1.5, 6) + since
        t_x = np.where(x > 0, T - since, 0.0)
        alive = p_alive(model, x, t_x, T)
        orders = expected_orders(model, x, t_x, T, horizon) / alive
        chance = purchase_probability(model, x, t_x, T, horizon) / alive
        for k, row in enumerate(zip(x, t_x, T, strict=True)):
            expected, probability = enumerated(model, *row, horizon)
            assert chance[k] == pytest.approx(probability, rel=1e-9, abs=1e-12)
            # What `expected_orders` states.
            assert orders[k] == pytest.approx(expected, rel=0.02, abs=0.01)
        assert np.all(orders >= chance)


def weight_of_rate(
    rate: float, model: DropoutModel, x: float, t_x: float, T: float, *, alive: bool
) -> float:
    """The prior density of a rate times that of the purchases, and of none of k stages since."""
    log = model.r * np.log(model.alpha) - gammaln(model.r)
    log += (model.r + model.stages * x - 1) * np.log(rate) - model.alpha * rate
    if not alive:
        return float(np.exp(log - rate * t_x))
    j = np.arange(model.stages)
    none = np.exp(j * np.log(rate * (T - t_x)) - gammaln(j + 1)).sum()
    return float(np.exp(log - rate * T) * none)


@pytest.mark.parametrize("stages", [2, 5])
def test_p_alive_is_that_of_an_integral_over_rates(stages: int) -> None:
    model = regular_model(stages, *REGULAR)
    for x, t_x, T in ((0.0, 0.0, 40.0), (3.0, 80.0, 95.0), (6.0, 200.0, 330.0)):
        is_alive, gone = (
            quad(
                partial(weight_of_rate, model=model, x=x, t_x=t_x, T=T, alive=alive),
                0,
                3,
                epsabs=0,
                limit=400,
            )[0]
            for alive in (True, False)
        )
        is_alive *= np.exp(betaln(model.a, model.b + x + 1))
        gone *= np.exp(betaln(model.a + 1, model.b + x))
        got = p_alive(model, np.array([x]), np.array([t_x]), np.array([T]))[0]
        assert got == pytest.approx(is_alive / (is_alive + gone), rel=1e-6)


def test_a_fit_finds_the_truth_and_predicts_simulated_customers() -> None:
    x, t_x, T, later, alive, *gaps = simulate(3)
    assert choose_stages(x, *gaps) == 3
    model = fit_dropout(x, t_x, T, penalty=0.0, stages=3)
    triples = btyd._count_triples(x, t_x, T)
    theta = np.log([model.r, model.alpha / triples.unit, model.a, model.b])
    likelihood = lambda at: len(x) * btyd._log_likelihood(at, triples, "mbgnbd", 3)[0]  # noqa: E731
    slope, errors = slope_and_errors(likelihood, theta)
    assert np.all(np.abs(slope * errors) < 0.01)
    truth = np.log(REGULAR) - [0, np.log(triples.unit), 0, 0]
    assert np.all(np.abs(theta - truth) < 3 * errors)
    for outcome, predicted in (
        (later, expected_orders(model, x, t_x, T, HORIZON)),
        (alive, p_alive(model, x, t_x, T)),
        ((later > 0).astype(np.float64), purchase_probability(model, x, t_x, T, HORIZON)),
    ):
        residual = outcome - predicted
        for group in (x == 0, x > 0, x > 3, x > 8):
            assert abs(residual[group].mean()) <= 4 * residual[group].std() / np.sqrt(group.sum())


@pytest.mark.parametrize("stages", [2, 6])
def test_the_gradient_with_stages_is_the_slope(stages: int) -> None:
    x, t_x, T, *_ = simulate(3)
    triples = btyd._count_triples(x[:300], t_x[:300], T[:300])
    theta = np.array([0.4, -2.0, -0.3, 1.2])
    _, gradient = btyd._log_likelihood(theta, triples, "mbgnbd", stages)
    for k, step in enumerate(1e-6 * np.eye(4)):
        up, down = (
            btyd._log_likelihood(theta + s, triples, "mbgnbd", stages) for s in (step, -step)
        )
        assert gradient[k] == pytest.approx((up[0] - down[0]) / 2e-6, rel=1e-5)


def test_a_prior_means_purchases_and_not_stages() -> None:
    usual = np.exp(shop_priors().dropout.mean[1])
    few = np.zeros(2), np.zeros(2), np.full(2, 3.0)
    for stages in (1, 12):
        model = fit_dropout(*few, prior=shop_priors().dropout, stages=stages)
        assert 365 * model.r / (stages * model.alpha) == pytest.approx(usual, rel=0.2)


def test_one_stage_where_nothing_speaks_for_more() -> None:
    random = np.random.default_rng(4)
    n = random.integers(2, 20, 400)
    for shape, expected in ((1, 1), (1.6, 1), (2.2, 2), (3.2, 3), (200, STAGES[-1])):
        gaps = [random.gamma(shape, 1.0, size) for size in n]
        mean, deviation = (np.array([f(g) for g in gaps]) for f in (np.mean, np.std))
        counts = n.astype(np.float64)
        assert choose_stages(counts, mean, deviation) == expected
        few = slice(0, MIN_REGULAR - 1)
        assert choose_stages(counts[few], mean[few], deviation[few]) == 1
    nothing = np.full(50, np.nan)
    assert choose_stages(np.full(50, 3.0), nothing, nothing) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stages", STAGES[1:])
def test_the_graph_with_stages_predicts_what_numpy_does(kind: Kind, stages: int) -> None:
    columns = customers_for_the_graph()
    x, t_x, T, _ = columns
    base = replace(dropout_model(kind, *TRUTH), stages=stages)
    for model in (base, replace(base, r=100.0, alpha=0.02), replace(base, a=0.05, b=50.0)):
        expected = [
            expected_orders(model, x, t_x, T, HORIZON),
            p_alive(model, x, t_x, T),
            purchase_probability(model, x, t_x, T, HORIZON),
        ]
        run = build(model, spend_model(*SPEND_TRUTH))
        for got, want in zip(run(columns), expected, strict=False):
            # 1 − q^M loses seven digits at the smallest p: see SMALLEST_P.
            np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-9)
        part = run([column[5:105] for column in columns])
        assert all(np.array_equal(a, b[5:105]) for a, b in zip(part, run(columns), strict=True))


def test_customers_without_an_order_have_no_prediction() -> None:
    model, nothing = regular_model(4, *REGULAR), np.array([np.nan, 0.0])
    for got in (
        p_alive(model, nothing, nothing, nothing),
        expected_orders(model, nothing, nothing, nothing, HORIZON),
        purchase_probability(model, nothing, nothing, nothing, HORIZON),
    ):
        assert np.isnan(got).tolist() == [True, False]


def test_a_rhythm_that_was_given_up_is_noticed_within_two_gaps() -> None:
    model = regular_model(24, 50.0, 50.0 * 30 / 24, 1.0, 15.0)
    x, last = np.full(3, 9.0), np.full(3, 270.0)
    alive = p_alive(model, x, last, last + np.array([15.0, 33.0, 60.0]))
    assert alive[0] > 0.9
    assert alive[1] > 0.5  # three days late
    assert alive[2] < 0.01


def test_a_promise_that_value_falls_with_time_since_the_last_order_keeps_one_stage() -> None:
    x, t_x, T, _, _, mean, deviation = simulate(3)
    numbers = {
        "frequency": x,
        "days_since_last_order": T - t_x,
        "t_days": T,
        "monetary_value": np.where(x > 0, 50.0, np.nan),
        "first_order_day_amount": np.full(len(x), 50.0),
        "order_max_amount": np.full(len(x), 50.0),
        "orders_count": x + 1,
        "gap_mean_days": mean,
        "gap_std_days": deviation,
    }
    columns = {name: column.astype(np.float32) for name, column in numbers.items()}
    assert fit_lifetimes(columns, ["monetary_value"]).dropout.stages == 3
    assert fit_lifetimes(columns, ["days_since_last_order"]).dropout.stages == 1
