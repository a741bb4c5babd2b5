"""Buy till you die: published numbers, closed forms, parameters recovered, graph equals numpy.

The published fits on CDNOW need its file, which is not ours to ship: benchmarks/btyd_oracle.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pytest
from scipy.special import betaln, gammaln, hyp2f1

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.estimators import btyd as btyd
from cva_sql.models_onnx.value.estimators import gamma_gamma as gamma_gamma
from cva_sql.models_onnx.value.estimators import search as search
from cva_sql.models_onnx.value.estimators.btyd import DropoutModel, Kind, fit_dropout
from cva_sql.models_onnx.value.estimators.btyd_graph import add_dropout, add_expected_mean
from cva_sql.models_onnx.value.estimators.forecasts import (
    dropout_quadrature,
    expected_orders,
    p_alive,
    purchase_probability,
)
from cva_sql.models_onnx.value.estimators.gamma_gamma import SpendModel, expected_mean, fit_spend
from cva_sql.models_onnx.value.estimators.prior import shop_priors
from cva_sql.models_onnx.value.estimators.quadrature import beta_quadrature
from cva_sql.models_onnx.value.graph.builder import Graph
from cva_sql.udfs.sessions import open_session

KINDS: tuple[Kind, ...] = ("bgnbd", "mbgnbd")
# Fader, Hardie, Lee (2005), table 2: CDNOW sample, weeks.
PUBLISHED = (0.243, 4.414, 0.793, 2.426)
TRUTH = (0.6, 40.0, 0.9, 2.0)  # days; between CDNOW's two fits
SPEND_TRUTH = (5.0, 3.5, 60.0)
HORIZON = 90.0


def dropout_model(kind: Kind, r: float, alpha: float, a: float, b: float) -> DropoutModel:
    return DropoutModel(kind, r, alpha, a, b, 0.0, True, "")


def spend_model(p: float, q: float, v: float) -> SpendModel:
    return SpendModel(p, q, v, 0.0, True, "")


@lru_cache(maxsize=4)
def simulate(kind: Kind, customers: int = 6000) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """(x, t_x, T, orders in the HORIZON after T, alive at T) of customers drawn from TRUTH."""
    random = np.random.default_rng(11)
    r, alpha, a, b = TRUTH
    T = np.floor(random.uniform(100, 600, customers))
    rate = np.maximum(random.gamma(r, 1 / alpha, customers), 1e-12)
    p = random.beta(a, b, customers)
    is_alive = np.ones(customers, dtype=bool)
    if kind == "mbgnbd":
        is_alive = random.random(customers) >= p
    time, x, t_x, later = (np.zeros(customers) for _ in range(4))
    alive_at_T = np.zeros(customers)
    is_running = is_alive.copy()
    while is_running.any():
        time = time + random.exponential(1.0, customers) / rate
        alive_at_T[is_running & (time > T)] = 1.0
        is_running &= time <= T + HORIZON
        is_before = is_running & (time <= T)
        x += is_before
        t_x = np.where(is_before, time, t_x)
        later += is_running & (time > T)
        is_running &= random.random(customers) >= p
    return x, t_x, T, later, alive_at_T


@lru_cache(maxsize=1)
def simulate_spend(customers: int = 4000) -> tuple[Floats, Floats]:
    """(n, mean) of customers drawn from SPEND_TRUTH."""
    random = np.random.default_rng(12)
    p, q, v = SPEND_TRUTH
    n = random.geometric(0.4, customers).astype(np.float64)
    scale = random.gamma(q, 1 / v, customers)
    return n, random.gamma(p * n) / (scale * n)


def dropout_log_likelihood(kind: Kind, x: Floats, t_x: Floats, T: Floats, theta: Floats) -> float:
    """Fader, Hardie, Lee (2005), section 7, term by term; MBG/NBD has one chance more."""
    r, alpha, a, b = np.exp(theta)
    k = x + (kind == "mbgnbd")
    rates = gammaln(r + x) - gammaln(r) + r * np.log(alpha) - betaln(a, b)
    alive = betaln(a, b + k) - (r + x) * np.log(alpha + T)
    last = np.maximum(b + k - 1, 1e-9)
    dropped = betaln(a + 1, last) - (r + x) * np.log(alpha + t_x)
    dropped = np.where(k > 0, dropped, -np.inf)
    return float(np.sum(rates + np.logaddexp(alive, dropped)))


def spend_log_likelihood(n: Floats, mean: Floats, theta: Floats) -> float:
    """The density of a mean: p·n gammas over a gamma, Fader, Hardie (2013), equation 1a."""
    p, q, v = np.exp(theta)
    density = -betaln(p * n, q) + q * np.log(v) + (p * n - 1) * np.log(mean)
    return float(np.sum(density + p * n * np.log(n) - (p * n + q) * np.log(v + n * mean)))


def slope_and_errors(function: Callable[[Floats], float], at: Floats) -> tuple[Floats, Floats]:
    """Gradient and standard errors by central differences, steps of .001."""
    steps = 1e-3 * np.eye(len(at))
    slope = np.array([(function(at + d) - function(at - d)) / 2e-3 for d in steps])
    hessian = np.array(
        [
            [
                function(at + d + e)
                - function(at + d - e)
                - function(at - d + e)
                + function(at - d - e)
                for e in steps
            ]
            for d in steps
        ]
    )
    return slope, np.sqrt(np.diag(np.linalg.inv(-hessian / 4e-6)))


def orders_by_logit_sum(model: DropoutModel, x: float, z: Floats) -> Floats:
    """E[orders | alive] by up to 28,000 points, even in log odds of p: error below 1e-12."""
    a, b, s = model.a, model.b + x + model.early_chances, model.r + x
    odds = np.arange(max(-45 / a - 8, -700), min(45 / b + 8, 700), 0.05)
    log_p, log_rest = -np.logaddexp(0, -odds), -np.logaddexp(0, odds)
    weight = np.exp(a * log_p + b * log_rest - betaln(a, b))
    p = np.exp(log_p)
    gain = -np.expm1(-s * np.log1p(np.outer(z, p))) / p
    return np.asarray(gain @ weight / weight.sum())


def closed_form(model: DropoutModel, x: Floats, t_x: Floats, T: Floats, t: float) -> Floats:
    """E[orders in t], Fader, Hardie, Lee (2005), equation 10; MBG/NBD: Wagner, Hoppe (2008)."""
    r, alpha, a, b = model.r, model.alpha, model.a, model.b
    k = x + model.early_chances
    shrink = ((alpha + T) / (alpha + T + t)) ** (r + x)
    series = hyp2f1(r + x, b + k, a + b + k - 1, t / (alpha + T + t))
    with np.errstate(divide="ignore"):
        dropped = np.where(k > 0, a / (b + k - 1), 0.0)
    odds = dropped * ((alpha + T) / (alpha + t_x)) ** (r + x)
    return np.asarray((a + b + k - 1) / (a - 1) * (1 - shrink * series) / (1 + odds))


def test_bgnbd_gives_the_published_forecasts() -> None:
    # Fader, Hardie, Lee (2005), "Implementing the BG/NBD model in Excel": the sheet's customer, and
    # repeat purchases of a new one by week. The parameters have three digits, so have the results.
    model = dropout_model("bgnbd", *PUBLISHED)
    got = expected_orders(model, np.array([2.0]), np.array([30.43]), np.array([38.86]), 39)
    assert got[0] == pytest.approx(1.226, abs=5e-4)
    new = np.zeros(1)
    weeks = (0.1429, 1.0, 3.0, 31.8571, 32.0, 78.0)
    sheet = (0.0078, 0.0532, 0.1506, 1.0405, 1.0437, 1.8576)
    for week, expected in zip(weeks, sheet, strict=True):
        assert expected_orders(model, new, new, new, week)[0] == pytest.approx(expected, rel=4e-3)


def test_gamma_gamma_gives_the_published_means() -> None:
    # lifetimes' documentation, CDNOW: customers with (2, 22.35), (1, 11.77), (7, 73.74), none. Its
    # parameters have more digits than the published ones, which moves the means by .04 %.
    model = spend_model(6.25, 3.74, 15.44)
    n, mean = np.array([2.0, 1.0, 7.0, 0.0]), np.array([22.35, 11.77, 73.74, 0.0])
    expected = [24.658619, 18.911489, 71.462843, 35.170981]
    np.testing.assert_allclose(expected_mean(model, n, mean), expected, rtol=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_fit_dropout_finds_the_maximum_and_the_truth(kind: Kind) -> None:
    x, t_x, T, _, _ = simulate(kind)
    model = fit_dropout(x, t_x, T, kind, penalty=0.0)
    assert model.converged, model.report
    theta = np.log([model.r, model.alpha, model.a, model.b])
    likelihood = partial(dropout_log_likelihood, kind, x, t_x, T)
    slope, errors = slope_and_errors(likelihood, theta)
    # A slope of .01 per standard error is a parameter off by a hundredth of its error.
    assert np.all(np.abs(slope * errors) < 0.01)
    assert model.loglik == pytest.approx(likelihood(theta) / len(x), rel=1e-9)
    assert np.all(errors < 0.5)
    assert np.all(np.abs(theta - np.log(TRUTH)) < 3 * errors)


def test_fit_spend_finds_the_maximum_and_the_truth() -> None:
    n, mean = simulate_spend()
    model = fit_spend(n, mean, penalty=0.0)
    assert model.converged, model.report
    theta = np.log([model.p, model.q, model.v])
    likelihood = partial(spend_log_likelihood, n, mean)
    slope, errors = slope_and_errors(likelihood, theta)
    assert np.all(np.abs(slope * errors) < 0.01)
    assert model.loglik == pytest.approx(likelihood(theta) / len(n), rel=1e-9)
    assert np.all(errors < 0.5)
    assert np.all(np.abs(theta - np.log(SPEND_TRUTH)) < 3 * errors)


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_hold_among_simulated_customers(kind: Kind) -> None:
    x, t_x, T, later, alive = simulate(kind)
    model = dropout_model(kind, *TRUTH)
    for outcome, predicted in (
        (later, expected_orders(model, x, t_x, T, HORIZON)),
        (alive, p_alive(model, x, t_x, T)),
        ((later > 0).astype(np.float64), purchase_probability(model, x, t_x, T, HORIZON)),
    ):
        residual = outcome - predicted
        for group in (x == 0, x > 0, x > 3):
            error = residual[group].std() / np.sqrt(group.sum())
            assert abs(residual[group].mean()) <= 4 * error


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("a", [0.3, 0.793, 2.2, 7.0])
def test_expected_orders_are_the_closed_form(kind: Kind, a: float) -> None:
    x, T = (m.ravel() for m in np.meshgrid([0.0, 1, 2, 7, 30, 60], [5.0, 80, 400]))
    t_x = np.where(x > 0, 0.7 * T, 0.0)
    for r, b, horizon in ((0.243, 2.426, 30.0), (1.5, 0.6, 90.0), (0.5, 20.0, 365.0)):
        model = dropout_model(kind, r, 31.0, a, b)
        expected = closed_form(model, x, t_x, T, horizon)
        got = expected_orders(model, x, t_x, T, horizon)
        # The quadrature is within 1e-6; the closed form itself loses digits as 1 − (1 − small).
        np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_expected_orders_stay_within_the_stated_error(kind: Kind) -> None:
    few, many = np.array([0.0, 1, 3, 11, 40, 200]), np.array([500.0, 1000])
    z = np.array([0.01, 0.3, 2.0, 10.0])
    for a in (0.05, 0.5, 2.5, 50):
        for b in (0.05, 1, 82, 500):
            for r in (0.05, 5):
                model = dropout_model(kind, r, 1.0, a, b)
                for xs, bound in ((few, 1e-6), (many, 2e-5)):
                    alive = p_alive(model, xs, 0 * xs, 0 * xs)
                    got = np.array([expected_orders(model, xs, 0 * xs, 0 * xs, h) for h in z])
                    expected = np.array([orders_by_logit_sum(model, x, z) for x in xs]).T
                    np.testing.assert_allclose(got / alive, expected, rtol=bound)


def test_as_many_nodes_as_the_parameters_need() -> None:
    def nodes(*parameters: float) -> int:
        return len(dropout_quadrature(dropout_model("mbgnbd", *parameters), 90.0).nodes)

    assert nodes(0.7, 68.0, 0.23, 3.6) == 8  # a shop like Online Retail II
    assert nodes(0.65, 62.0, 0.59, 1.05) == 12  # like CDNOW
    assert nodes(0.3, 0.073, 0.5, 2.0) == 48  # rates so high that 24 are 5 % off


def test_beta_quadrature_is_exact_for_polynomials() -> None:
    for a, b in ((0.05, 0.05), (1.0, 1.0), (0.8, 2.4), (50.0, 2000.0)):
        rule = beta_quadrature(a, b, 24)
        for power in (0, 1, 5, 47):
            moment = np.exp(betaln(a + power, b) - betaln(a, b))
            assert rule.weights @ rule.nodes**power == pytest.approx(moment, rel=1e-10)


def test_only_mbgnbd_doubts_one_time_buyers() -> None:
    once, T = np.zeros(4), np.array([0.0, 10.0, 300.0, 5000.0])
    assert np.all(p_alive(dropout_model("bgnbd", *TRUTH), once, once, T) == 1)
    doubted = p_alive(dropout_model("mbgnbd", *TRUTH), once, once, T)
    assert np.all(doubted < 1)
    assert np.all(np.diff(doubted) < 0)


ODD = {
    "nobody": (np.zeros(0), np.zeros(0), np.zeros(0)),
    "one customer": (np.array([3.0]), np.array([20.0]), np.array([40.0])),
    "nobody came back": (np.zeros(400), np.zeros(400), np.arange(400.0)),
    "first orders today": (np.zeros(400), np.zeros(400), np.zeros(400)),
    "repeats without time": (np.ones(400), np.zeros(400), np.zeros(400)),
    "one T": (np.arange(400.0) % 4, 30.0 * (np.arange(400) % 4), np.full(400, 120.0)),
    "all alike": (np.full(400, 5.0), np.full(400, 50.0), np.full(400, 60.0)),
    "all bought today": (np.arange(1.0, 401), np.full(400, 500.0), np.full(400, 500.0)),
    "nobody known": (np.full(400, np.nan), np.full(400, np.nan), np.full(400, np.nan)),
    "impossible": (np.full(400, 2.0), np.full(400, 9.0), np.full(400, 3.0)),
    "some T = 0": (np.arange(400.0) % 2, 9.0 * (np.arange(400) % 2), 9.0 * (np.arange(400) % 2)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", list(ODD))
def test_odd_data_give_a_model_that_predicts(case: str, kind: Kind) -> None:
    model = fit_dropout(*ODD[case], kind)
    assert model.report
    assert "\n" not in model.report
    assert np.isfinite(model.loglik) == model.converged
    x, t_x, T = np.array([0.0, 0, 1, 9, 1000]), np.array([0.0, 0, 5, 70, 3000]), np.zeros(5)
    T = np.maximum(t_x, [0.0, 900, 5, 800, 3001])
    orders = expected_orders(model, x, t_x, T, HORIZON)
    alive = p_alive(model, x, t_x, T)
    chance = purchase_probability(model, x, t_x, T, HORIZON)
    assert np.all((alive > 0) & (alive <= 1))
    assert np.all((chance > 0) & (chance <= alive))
    assert np.all(orders >= chance * (1 - 1e-9))
    assert np.isfinite(orders).all()


def test_too_few_repeat_buyers_get_defaults_at_the_shops_rate() -> None:
    x = np.concatenate([np.zeros(400), np.full(19, 4.0)])
    T = np.full(419, 100.0)
    model = fit_dropout(x, 20 * x, T)
    assert not model.converged
    assert model.report == (
        "19 customers with a repeat purchase, expected 20 or more: "
        "default parameters at the shop's mean rate"
    )
    assert model.r / model.alpha == pytest.approx(x.sum() / T.sum(), rel=0.02)
    few = fit_spend(np.ones(19), np.full(19, 50.0))
    assert not few.converged
    assert expected_mean(few, np.ones(2), np.array([50.0, 150.0])) == pytest.approx([50, 100])


def test_a_prior_tells_a_shop_of_few_what_shops_are_like_and_a_large_one_nothing() -> None:
    priors = shop_priors()
    x, t_x, T, _, _ = simulate("mbgnbd")
    told, alone = fit_dropout(x, t_x, T, prior=priors.dropout), fit_dropout(x, t_x, T)
    for name in ("r", "alpha", "a", "b"):
        assert getattr(told, name) == pytest.approx(getattr(alone, name), rel=0.05)
    nobody = fit_dropout(np.zeros(8), np.zeros(8), np.full(8, 30.0), prior=priors.dropout)
    assert nobody.converged
    rate, usual = 365 * nobody.r / nobody.alpha, np.exp(priors.dropout.mean[1])
    assert usual / 5 < rate < usual  # eight silent months in all say that this shop is slower
    one = fit_spend(np.ones(1), np.array([80.0]), prior=priors.spend)
    assert expected_mean(one, np.zeros(1), np.zeros(1)) == pytest.approx(80, rel=0.25)


@pytest.mark.parametrize("half", ["dropout", "spend"])
def test_the_gradient_of_a_prior_is_its_slope(half: str) -> None:
    prior, step = getattr(shop_priors(), half), 1e-6
    surprise: Callable[[Floats], tuple[float, Floats]]
    if half == "dropout":
        surprise = partial(btyd._surprise, prior=prior, unit=200.0)
        theta = np.array([0.3, -1.0, 0.2, 1.0])
    else:
        surprise = partial(gamma_gamma._surprise, prior=prior)
        theta = np.array([0.9, 1.2, 0.1])
    for k in range(len(theta)):
        by = np.eye(len(theta))[k] * step
        slope = (surprise(theta + by)[0] - surprise(theta - by)[0]) / (2 * step)
        assert surprise(theta)[1][k] == pytest.approx(slope, rel=1e-5)


def test_without_convergence_defaults_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MAX_STEPS", 1)
    x, t_x, T, _, _ = simulate("mbgnbd")
    model = fit_dropout(x, t_x, T)
    assert not model.converged
    assert model.report.startswith("none of 3 starts converged: default parameters")
    spend = fit_spend(*simulate_spend())
    assert not spend.converged
    assert spend.report.startswith("none of 3 starts converged: default shapes")


def test_fit_spend_keeps_q_above_its_bound_and_says_so() -> None:
    random = np.random.default_rng(3)
    mean = random.gamma(2.0, size=2000) / random.gamma(0.8, size=2000)  # no finite mean
    model = fit_spend(np.ones(2000), mean)
    assert model.q == pytest.approx(1.5)
    assert model.report.endswith("on a bound: q")
    assert np.all(expected_mean(model, np.ones(2000), mean) > 0)


@pytest.mark.parametrize("mean", [np.zeros(0), np.full(50, np.nan), np.zeros(50), np.full(50, 9.9)])
def test_odd_spend_gives_a_model_that_predicts(mean: Floats) -> None:
    model = fit_spend(np.ones(len(mean)), mean)
    assert np.isfinite(model.loglik) == model.converged
    got = expected_mean(model, np.array([0.0, 1.0, 1000.0]), np.array([0.0, 20.0, 20.0]))
    assert np.all(got > 0)


def test_row_order_and_unit_of_time_do_not_matter() -> None:
    x, t_x, T, _, _ = simulate("mbgnbd")
    n, mean = simulate_spend()
    model, spend = fit_dropout(x, t_x, T), fit_spend(n, mean)
    order = np.random.default_rng(0).permutation(len(x))
    assert fit_dropout(x[order], t_x[order], T[order]) == model
    order = np.random.default_rng(0).permutation(len(n))
    assert fit_spend(n[order], mean[order]) == spend
    weeks = fit_dropout(x, t_x / 7, T / 7)
    # The search stops where a step gains 1e-13, which leaves about 1e-6 of a parameter.
    same = pytest.approx([model.r, model.alpha, model.a, model.b], rel=1e-4)
    assert [weeks.r, 7 * weeks.alpha, weeks.a, weeks.b] == same
    dear = fit_spend(n, 1000 * mean)
    assert [dear.p, dear.q, dear.v / 1000] == pytest.approx([spend.p, spend.q, spend.v], rel=1e-4)


def test_a_sample_of_the_triples_gives_nearly_the_same_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    x, t_x, T, _, _ = simulate("mbgnbd")
    whole = fit_dropout(x, t_x, T)
    monkeypatch.setattr(btyd, "MAX_TRIPLES", 2000)
    sampled = fit_dropout(x, t_x, T)
    assert sampled != whole
    assert sampled == fit_dropout(x[::-1], t_x[::-1], T[::-1])
    total = expected_orders(whole, x, t_x, T, HORIZON).sum()
    # Every second of 3,452 triples; twelve random halves of the customers moved the total by .016
    # (one standard deviation).
    assert expected_orders(sampled, x, t_x, T, HORIZON).sum() == pytest.approx(total, rel=0.05)


def test_a_customer_without_an_order_has_no_prediction() -> None:
    nothing = np.array([np.nan, 0.0])
    for kind in KINDS:
        model = dropout_model(kind, *TRUTH)
        for got in (
            p_alive(model, nothing, nothing, nothing),
            expected_orders(model, nothing, nothing, nothing, HORIZON),
            purchase_probability(model, nothing, nothing, nothing, HORIZON),
        ):
            assert np.isnan(got).tolist() == [True, False]
    assert np.isnan(expected_mean(spend_model(*SPEND_TRUTH), nothing, nothing)[0])


def customers_for_the_graph() -> list[Floats]:
    random = np.random.default_rng(2)
    x = np.floor(np.exp(random.uniform(0, 7, 2060))) - 1
    T = np.floor(random.uniform(0, 3000, 2060))
    t_x = np.where(x > 0, np.floor(T * random.uniform(0, 1, 2060)), 0.0)
    return [x, t_x, T, np.round(random.gamma(2.0, 30.0, 2060) + 0.5)]


def build(model: DropoutModel, spend: SpendModel) -> Callable[[list[Floats]], list[Floats]]:
    """The four outputs of a graph, by its session."""
    graph = Graph()
    names = ["x", "t_x", "T", "mean"]
    matrix = graph.whole_blocks([graph.number_input(name) for name in names])
    x, t_x, T, mean = (graph.lines(matrix, i, i + 1) for i in range(4))
    outputs = ["orders", "alive", "chance", "spend"]
    values = [
        *add_dropout(graph, x, t_x, T, model, HORIZON),
        add_expected_mean(graph, x, mean, spend),
    ]
    for name, value in zip(outputs, values, strict=True):
        graph.output(name, value)
    session = open_session(graph.to_bytes("test"))

    def run(columns: list[Floats]) -> list[Floats]:
        inputs: dict[str, Any] = {
            name: column.astype(np.float32).reshape(-1, 1)
            for name, column in zip(names, columns, strict=True)
        }
        return [output[:, 0] for output in session.run(outputs, inputs)]

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_predicts_what_numpy_does(kind: Kind) -> None:
    columns = customers_for_the_graph()
    x, t_x, T, mean = columns
    spend = spend_model(*SPEND_TRUTH)
    base = dropout_model(kind, *TRUTH)
    bounds = [replace(base, r=r, alpha=alpha) for r, alpha in ((1e-3, 0.05), (100.0, 0.02))]
    bounds += [replace(base, a=a, b=b) for a, b in ((1e-3, 1e3), (100.0, 1e-3), (1e-3, 1e-3))]
    for model in (base, *bounds, dropout_model(kind, *PUBLISHED)):
        expected = [
            expected_orders(model, x, t_x, T, HORIZON),
            p_alive(model, x, t_x, T),
            purchase_probability(model, x, t_x, T, HORIZON),
            expected_mean(spend, x, mean),
        ]
        for got, want in zip(build(model, spend)(columns), expected, strict=True):
            assert np.isfinite(got).all()
            # Same operations in double; exp of up to 700 multiplies a last digit by as much.
            np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_the_graph_does_not_depend_on_its_batch(kind: Kind) -> None:
    columns = customers_for_the_graph()
    run = build(dropout_model(kind, *TRUTH), spend_model(*SPEND_TRUTH))
    whole = run(columns)
    for first, count in ((0, 1), (1, 7), (5, 100), (3, 2048), (17, 333)):
        part = run([column[first : first + count] for column in columns])
        for got, want in zip(part, whole, strict=True):
            assert np.array_equal(got, want[first : first + count])


@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_has_no_prediction_without_an_order(kind: Kind) -> None:
    run = build(dropout_model(kind, *TRUTH), spend_model(*SPEND_TRUTH))
    for output in run([np.array([np.nan, 1.0])] * 4):
        assert np.isnan(output).tolist() == [True, False]
