"""The value model: which dates it learns from, when it is chosen, and what always holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cva_sql.models_onnx.value.data.cutoffs import MIN_LABEL_DAYS, Plan, plan_cutoffs
from cva_sql.models_onnx.value.data.dataset import RULE_COLUMNS, Dataset
from cva_sql.models_onnx.value.data.preprocessing import fit_preprocessing
from cva_sql.models_onnx.value.data.shop_past import Outlier, ShopPast, steady_sales
from cva_sql.models_onnx.value.judging import metrics as metrics
from cva_sql.models_onnx.value.judging.rules import RULES, rule_predictions
from cva_sql.models_onnx.value.members.registry import ENSEMBLE, candidates, kinds
from cva_sql.models_onnx.value.members.rules import RULE_FITS
from cva_sql.models_onnx.value.model.fitted import FittedModel
from cva_sql.models_onnx.value.model.graph import build_model
from cva_sql.models_onnx.value.model.parity import check_parity
from cva_sql.models_onnx.value.total.forecast import TotalForecast
from cva_sql.models_onnx.value.training.choice import Choice, best_kind
from cva_sql.models_onnx.value.training.fit import fit_model
from cva_sql.models_onnx.value.training.manifest import build_manifest
from cva_sql.models_onnx.value.training.validation import Fold
from cva_sql.udfs.sessions import open_session

AS_OF = date(2025, 1, 1)
CUSTOMERS = 500
DAYS = st.integers(min_value=0, max_value=1500)
HORIZONS = st.integers(min_value=7, max_value=400)


@given(history=DAYS, horizon=HORIZONS)
@settings(max_examples=200, deadline=None)
def test_labels_end_by_the_date_of_scoring_and_start_after_some_history(
    history: int, horizon: int
) -> None:
    plan = plan_cutoffs(AS_OF - timedelta(days=history), AS_OF, horizon)
    if plan is None:
        assert history < 3 * max(MIN_LABEL_DAYS, min(horizon, 60)) or horizon < MIN_LABEL_DAYS
        return
    assert list(plan.cutoffs) == sorted(set(plan.cutoffs), reverse=True)
    for cutoff in plan.cutoffs:
        assert cutoff + timedelta(days=plan.label_days) <= AS_OF
        assert cutoff > AS_OF - timedelta(days=history)
    assert plan.label_days <= horizon
    assert plan.extrapolation >= 1
    assert plan.trained_before(plan.cutoffs[0])  # so it can be judged


@given(history=DAYS, horizon=HORIZONS)
@settings(max_examples=200, deadline=None)
def test_a_fold_learns_only_from_labels_that_were_complete(history: int, horizon: int) -> None:
    plan = plan_cutoffs(AS_OF - timedelta(days=history), AS_OF, horizon)
    for cutoff in plan.cutoffs if plan else ():
        for other in plan.trained_before(cutoff) if plan else ():
            assert other + timedelta(days=plan.label_days if plan else 0) <= cutoff


@pytest.mark.parametrize("first_order", [None, AS_OF, AS_OF - timedelta(days=20)])
def test_too_short_a_history_gives_no_plan(first_order: date | None) -> None:
    assert plan_cutoffs(first_order, AS_OF, 90) is None


def test_preprocessing_drops_constants_and_keeps_frequent_categories() -> None:
    rows = 400
    varying = np.arange(rows, dtype=np.float32)
    half_known = np.where(varying > 200, np.float32(1), np.float32(np.nan))
    numbers = {
        "varying": varying,
        "constant": np.ones(rows, dtype=np.float32),
        "unknown": np.full(rows, np.nan, dtype=np.float32),
        "half_known": half_known,
    }
    countries = np.array(["DE"] * 300 + ["FR"] * 90 + [""] * 8 + ["XX"] * 2, dtype=object)
    categories = {"country": countries, "one_value": np.array(["a"] * rows, dtype=object)}
    found = fit_preprocessing(numbers, categories)
    assert found.numbers == ("varying", "half_known")
    assert found.categories == (("country", ("DE", "FR")),)
    matrix = found.matrix(numbers, categories)
    assert matrix.shape == (rows, 4)
    assert matrix.dtype == np.float32
    assert matrix[:, 2].sum() == 300
    assert not matrix[398:, 2:].any()


def make_examples(plan: Plan) -> Dataset:
    """Customers with a taste of their own, which the rules do not know and feature `taste` does.

    Every tenth has no order yet.
    """
    random = np.random.default_rng(7)
    taste = random.normal(size=CUSTOMERS)
    is_cold = np.arange(CUSTOMERS) % 10 == 0
    parts = []
    for day in (*plan.cutoffs, plan.as_of):
        decayed = np.where(is_cold, 0.0, random.gamma(1.0, 40.0, CUSTOMERS))
        rate = np.exp(0.9 * taste) * (0.3 + decayed / 100)
        orders = random.poisson(rate * 0.5)
        value = orders * random.gamma(4.0, 8.0, CUSTOMERS)
        days = np.where(is_cold, 0, 1 + random.poisson(rate * 2))
        t_days = random.integers(100, 600, CUSTOMERS).astype(float)
        recency = np.where(days > 1, np.floor(t_days * random.random(CUSTOMERS)), 0.0)
        order_mean = random.gamma(4.0, 8.0, CUSTOMERS)
        rules = {name: decayed for name in RULE_COLUMNS} | {
            "days_since_last_order": np.where(is_cold, np.nan, t_days - recency),
            "order_days_count": days.astype(float),
            "shop_spend_level": np.ones(CUSTOMERS),
            "shop_retention_rate": np.full(CUSTOMERS, 0.8),
            "shop_history_days": np.full(CUSTOMERS, 700.0),
        }
        numbers = {
            "taste": taste,
            "decayed_spend": decayed,
            "spend_horizon_1": np.where(days > 1, decayed, 0.0),
            "noise": random.normal(size=CUSTOMERS),
            "frequency": np.maximum(days - 1.0, 0.0),
            "days_since_last_order": np.where(is_cold, np.nan, t_days - recency),
            "t_days": np.where(is_cold, np.nan, t_days),
            "order_days_count": days.astype(float),
            "orders_count": days.astype(float),
            "historic_value": days * order_mean,
            "monetary_value": np.where(days > 1, order_mean, np.nan),
            "first_order_day_amount": np.where(is_cold, np.nan, order_mean),
            "order_max_amount": np.where(is_cold, np.nan, 1.5 * order_mean),
        }
        parts.append((day, value, orders, rules, numbers))
    columns = {name: np.concatenate([p[4][name] for p in parts]) for name in parts[0][4]}
    rows = len(parts) * CUSTOMERS
    return Dataset(
        customer_id=np.array([f"c{i % CUSTOMERS}" for i in range(rows)], dtype=object),
        as_of_date=np.repeat([np.datetime64(p[0], "D") for p in parts], CUSTOMERS),
        label_days=np.full(rows, plan.label_days),
        numbers={name: column.astype(np.float32) for name, column in columns.items()},
        categories={"country": np.array(["DE", "FR"] * (rows // 2), dtype=object)},
        label_value=np.concatenate([p[1] for p in parts]).astype(np.float64),
        label_orders=np.concatenate([p[2] for p in parts]).astype(np.float64),
        rules={name: np.concatenate([p[3][name] for p in parts]) for name in RULE_COLUMNS},
    )


PLAN = Plan(AS_OF, 90, 90, tuple(AS_OF - timedelta(days=90 + 30 * k) for k in range(6)))


@lru_cache(maxsize=1)
def fitted() -> tuple[Dataset, FittedModel, Choice]:
    data = make_examples(PLAN)
    fitting = fit_model(data, PLAN, lambda _: None)
    model, choice = fitting.model, fitting.choice
    assert model is not None
    return data, model, choice


def test_a_model_that_knows_more_than_the_rules_is_chosen() -> None:
    _, _, choice = fitted()
    assert choice.has_won, choice.reason
    assert choice.scores[choice.kind]["ngini"] > choice.scores["baseline"]["ngini"]
    assert len(choice.dates) >= 2


def fold(noise: dict[str, float], seed: int) -> Fold:
    """A date on which each kind's prediction is off by as much noise in logs as given, else 1."""
    random = np.random.default_rng(seed)
    line = random.normal(size=CUSTOMERS)
    actual = np.exp(line) * (random.random(CUSTOMERS) < 0.4)
    misses = random.normal(size=CUSTOMERS)
    predictions = {kind: np.exp(line + noise.get(kind, 1.0) * misses) for kind in kinds()}
    forecast = TotalForecast(AS_OF, 90, 1.0, 0.2, 1.0, 1.0, 1.0, None, 0.0)
    return Fold(AS_OF - timedelta(days=30 * seed), actual, predictions, {}, forecast)


def test_a_member_scores_alone_where_it_is_far_ahead_on_every_date() -> None:
    ahead, behind = {"lightgbm": 0.3, "glm": 0.6}, {"lightgbm": 1.5, "glm": 0.6}
    assert best_kind([fold(ahead, seed) for seed in range(3)]) == "lightgbm"
    assert best_kind([fold(ahead, 0), fold(behind, 1), fold(ahead, 2)]) == "glm"
    assert best_kind([fold({"lightgbm": 1.5}, 0), fold(ahead, 1)]) == ENSEMBLE
    assert best_kind([fold({"lightgbm": 0.99}, seed) for seed in range(3)]) == ENSEMBLE
    assert best_kind([fold(ahead, 0)]) == ENSEMBLE  # one date may be luck
    assert best_kind([]) == ENSEMBLE


def test_no_buyer_is_expected_to_spend_more_than_anybody_did() -> None:
    data, model, _ = fitted()
    sure_of_nobody = replace(model, purchase_shift=-20.0)
    rows = data.seen_from(AS_OF)
    found = sure_of_nobody.predict(rows)
    if_purchase = found["predicted_value"] / found["purchase_probability"]
    at_most = np.maximum(model.largest_spend, 1.001 * found["predicted_value"])
    assert np.all(if_purchase <= at_most * (1 + 1e-9))
    preparation = model.members.preparation.preprocessing
    inputs = {name: rows.numbers[name].reshape(-1, 1) for name in preparation.numbers}
    inputs |= {name: rows.categories[name].reshape(-1, 1) for name, _ in preparation.categories}
    session = open_session(build_model(sure_of_nobody))
    (chance,) = session.run(["purchase_probability"], inputs)
    np.testing.assert_allclose(chance[:, 0], found["purchase_probability"], rtol=1e-6)


def test_the_file_of_a_shop_of_regular_buyers_says_the_same_and_how_regular_they_are() -> None:
    data, model, choice = fitted()
    preparation, now = model.members.preparation, data.seen_from(AS_OF)
    lifetimes = preparation.lifetimes
    regular = replace(lifetimes, dropout=replace(lifetimes.dropout, stages=6))
    members = replace(model.members, preparation=replace(preparation, lifetimes=regular))
    model = replace(model, members=members)
    manifest = build_manifest(model, build_model(model), PLAN, choice, date(2023, 1, 1))
    assert manifest.order_stages == 6
    assert check_parity(model, build_model(model), manifest, now).worst < 1e-6
    found = model.predict(now)
    assert np.all(found["predicted_orders"] >= found["purchase_probability"])


def test_shuffled_labels_leave_a_rule() -> None:
    data, _, _ = fitted()
    order = np.random.default_rng(1).permutation(len(data))
    shuffled = replace(
        data, label_value=data.label_value[order], label_orders=data.label_orders[order]
    )
    fitting = fit_model(shuffled, PLAN, lambda _: None)
    choice, model = fitting.choice, fitting.model
    assert choice.has_won
    assert choice.kind in RULE_FITS
    assert choice.kind in choice.reason
    assert model is not None
    assert model.kind == choice.kind


@pytest.mark.parametrize("kind", RULE_FITS)
def test_a_rule_scores_as_it_does_where_it_is_judged_and_its_file_says_the_same(kind: str) -> None:
    data, _, best = fitted()
    fitting = fit_model(data, PLAN, lambda _: None, kind)
    model, choice = fitting.model, fitting.choice
    assert model is not None
    assert choice.reason == f"{kind}, as asked; {best.reason}"
    now = data.seen_from(AS_OF)
    told = model.predict(now)["predicted_value"]
    rule = rule_predictions(now.numbers, horizon_days=90, history_days=700.0)[kind]
    warm = rule > np.quantile(rule[rule > 0], 0.2)  # below, the floor has its say
    assert metrics.spearman(told[warm], rule[warm]) > 0.98
    assert told.sum() == pytest.approx(model.forecast.total, rel=0.02)
    manifest = build_manifest(model, build_model(model), PLAN, choice, date(2023, 1, 1))
    assert manifest.training["kind"] == kind
    assert check_parity(model, build_model(model), manifest, now).worst < 1e-6


def test_every_rule_can_score() -> None:
    assert RULE_FITS.keys() == RULES.keys()
    assert set(candidates()) == {*kinds(), *RULES}


def test_too_few_examples_give_no_model() -> None:
    data, _, _ = fitted()
    few = data.select(np.char.startswith(data.customer_id.astype(str), "c499"))
    fitting = fit_model(few, PLAN, lambda _: None)
    model, choice = fitting.model, fitting.choice
    assert model is None
    assert not choice.has_won


def test_too_few_to_judge_get_an_ensemble_that_leans_on_a_rule() -> None:
    data, _, _ = fitted()
    few = data.select(np.char.startswith(data.customer_id.astype(str), "c49"))
    fitting = fit_model(few, PLAN, lambda _: None)
    model, choice = fitting.model, fitting.choice
    assert model is not None
    assert (choice.kind, choice.has_won, choice.dates) == ("ensemble", True, ())
    trust = model.members.shrinkage.trust
    assert 0 < trust < 0.5
    assert f"the ensemble counts {trust:.0%} and decayed_spend the rest" in choice.reason
    assert sum(model.members.shares("ensemble").values()) == pytest.approx(1)
    onnx = build_model(model)
    manifest = build_manifest(model, onnx, PLAN, choice, date(2023, 1, 1))
    assert not manifest.is_judged
    assert manifest.training["shrinkage"] == {"rule": "decayed_spend", "trust": trust}
    now = few.seen_from(AS_OF)
    assert check_parity(model, onnx, manifest, now).worst < 1e-6
    total = model.predict(now)["predicted_value"].sum()
    assert total == pytest.approx(model.forecast.total, rel=0.02)


def test_labels_that_are_all_zero_give_no_model() -> None:
    data, _, _ = fitted()
    nothing = np.zeros(len(data))
    fitting = fit_model(
        replace(data, label_value=nothing, label_orders=nothing), PLAN, lambda _: None
    )
    model, choice = fitting.model, fitting.choice
    assert model is None
    assert not choice.has_won


def test_outputs_keep_what_the_contract_promises() -> None:
    data, model, _ = fitted()
    outputs = model.predict(data)
    assert all(np.isfinite(values).all() for values in outputs.values())
    assert (outputs["predicted_value"] >= 0).all()
    assert (outputs["predicted_value_p10"] >= 0).all()
    assert (outputs["predicted_value_p10"] <= outputs["predicted_value_p50"]).all()
    assert (outputs["predicted_value_p50"] <= outputs["predicted_value_p90"]).all()
    probability = outputs["purchase_probability"]
    assert ((probability > 0) & (probability < 1)).all()
    assert (outputs["predicted_orders"] >= probability).all()


def test_score_runs_from_0_to_100_and_never_falls_as_the_value_rises() -> None:
    data, model, _ = fitted()
    outputs = model.predict(data)
    order = np.argsort(outputs["predicted_value"])
    score = outputs["score"][order]
    assert (np.diff(score) >= 0).all()
    assert score.min() >= 0
    assert score.max() <= 100
    now = model.predict(data.seen_from(AS_OF))["score"]
    assert now.min() == pytest.approx(0, abs=0.01)  # values are nudged by 1e-6 of themselves
    assert now.max() == pytest.approx(100)
    assert np.median(now) == pytest.approx(50, abs=1)


def test_labels_of_half_the_horizon_are_extrapolated_by_what_lifetimes_expect() -> None:
    data, _, _ = fitted()
    extrapolated = fit_model(data, replace(PLAN, horizon_days=180), lambda _: None).model
    assert extrapolated is not None
    outputs, plain = extrapolated.predict(data), fitted()[1].predict(data)
    total, shorter = outputs["predicted_value"].sum(), plain["predicted_value"].sum()
    assert 1.3 * shorter < total < 2.5 * shorter
    assert (outputs["purchase_probability"] > plain["purchase_probability"] - 1e-9).all()


def test_the_total_is_the_one_that_was_forecast() -> None:
    data, model, _ = fitted()
    total = model.predict(data.seen_from(AS_OF))["predicted_value"].sum()
    assert total == pytest.approx(model.forecast.total, rel=1e-6)


def test_customers_without_an_order_get_the_mean_of_their_kind() -> None:
    data, model, _ = fitted()
    now = data.seen_from(AS_OF)
    is_cold = np.isnan(now.numbers["t_days"])
    predicted = model.predict(now)["predicted_value"]
    assert np.isfinite(predicted).all()
    assert predicted[is_cold].mean() == pytest.approx(
        model.members.preparation.constants.cold.spend, rel=0.5
    )


def with_outlier(data: Dataset, customer: str, spend: float) -> Dataset:
    """The same rows, one customer's spend, orders and labels blown up."""
    is_one = data.customer_id.astype(str) == customer
    numbers = dict(data.numbers)
    for name in ("historic_value", "monetary_value", "order_max_amount", "decayed_spend"):
        numbers[name] = np.where(is_one, np.float32(spend), numbers[name])
    past = ShopPast(steady_sales(PLAN.cutoffs[-1], AS_OF), (Outlier(customer, spend),))
    return replace(
        data,
        numbers=numbers,
        label_value=np.where(is_one, spend, data.label_value),
        shops={AS_OF: past},
    )


def test_an_outlier_is_scored_and_moves_nobody_else() -> None:
    data, model, _ = fitted()
    spoilt = with_outlier(data, "c11", 1e9)
    robust = fit_model(spoilt, PLAN, lambda _: None).model
    assert robust is not None
    now = spoilt.seen_from(AS_OF)
    others = now.customer_id.astype(str) != "c11"
    clean = model.predict(data.seen_from(AS_OF))["predicted_value"]
    scored = robust.predict(now)["predicted_value"]
    assert np.isfinite(scored).all()
    assert scored[others].sum() == pytest.approx(clean[others].sum(), rel=0.02)
    assert metrics.spearman(clean[others], scored[others]) > 0.99
    assert scored[~others][0] < 1e6
