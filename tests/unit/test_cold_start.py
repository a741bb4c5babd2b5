"""Customers without an order: their mean, by how long ago they signed up."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.data.target import ORDERS
from cva_sql.models_onnx.value.data.terms import Terms
from cva_sql.models_onnx.value.model.graph import build_model
from cva_sql.models_onnx.value.model.parity import check_parity
from cva_sql.models_onnx.value.preparation.cold_start import (
    AGE,
    AGES,
    ColdStart,
    credible_means,
    fit_cold_start,
)
from cva_sql.models_onnx.value.training.examples import fit_constants
from cva_sql.models_onnx.value.training.fit import fit_model
from cva_sql.models_onnx.value.training.manifest import build_manifest
from tests.unit.test_value_model import AS_OF, PLAN, make_examples


def signed_up(rows: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """(spend, days since sign-up) of customers of whom most come in the first days or never."""
    random = np.random.default_rng(3)
    age = np.floor(np.exp(random.uniform(0.0, 6.0, rows)))
    bought = random.random(rows) < 0.7 * np.exp(-age / 15)
    return np.where(bought, random.gamma(2.0, 20.0, rows), 0.0), age


def with_sign_ups(data: Dataset) -> Dataset:
    """The same rows with sign-ups, some unknown; who has no order comes soon or never."""
    random = np.random.default_rng(5)
    age = np.floor(random.uniform(1, 300, len(data)))
    is_cold = np.isnan(data.numbers["t_days"])
    bought = random.random(len(data)) < 0.8 * np.exp(-age / 20)
    value = np.where(is_cold, np.where(bought, 30.0, 0.0), data.label_value)
    age = np.where(random.random(len(data)) < 0.1, np.nan, age).astype(np.float32)
    return replace(data, numbers={**data.numbers, AGE: age}, label_value=value)


def test_the_newly_signed_up_are_worth_more_and_unknown_ages_have_the_mean() -> None:
    value, age = signed_up()
    found = fit_cold_start(value, age)
    spend, probability = found.at(np.array([1.0, 20.0, 300.0, np.nan, -3.0]))
    assert probability[0] == pytest.approx(0.67, abs=0.15)
    assert probability[0] > 3 * probability[1] > 9 * probability[2]
    assert spend[0] > 3 * spend[1] > 9 * spend[2]
    assert spend[3:] == pytest.approx(value.mean())
    assert probability[3:] == pytest.approx((value > 0).mean())
    told = found.at(age)
    assert told[1].mean() == pytest.approx((value > 0).mean(), rel=0.02)
    assert told[0].mean() == pytest.approx(value.mean(), rel=0.02)


def test_a_bucket_begins_on_its_day() -> None:
    cold = ColdStart(1.0, 0.5, 1.0, tuple(0.01 * (k + 1) for k in range(len(AGES))))
    _, at = cold.at(np.array(AGES))
    _, before = cold.at(np.array(AGES[1:]) - 1e-6)
    assert at == pytest.approx([0.01 * (k + 1) for k in range(len(AGES))])
    assert before == pytest.approx(at[:-1])


def test_few_customers_of_a_bucket_are_drawn_to_the_mean() -> None:
    group = np.repeat([0, 1, 2], [1000, 1000, 1])
    y = np.concatenate([np.arange(1000) % 5 == 0, np.arange(1000) % 2 == 0, [True]]).astype(float)
    found = credible_means(y, group, 4, float(y.mean()))
    assert found is not None
    assert found[0] == pytest.approx(0.2, abs=0.01)
    assert found[1] == pytest.approx(0.5, abs=0.01)
    assert y.mean() < found[2] < 0.7
    assert found[3] == y.mean()


@pytest.mark.parametrize("age", [None, np.full(4000, np.nan), np.full(4000, 50.0)])
def test_without_ages_that_differ_all_get_the_mean(age: np.ndarray | None) -> None:
    value, _ = signed_up()
    assert fit_cold_start(value, age) == ColdStart(value.mean(), (value > 0).mean())


def test_a_promised_direction_of_sign_up_keeps_to_the_mean() -> None:
    rows = with_sign_ups(make_examples(PLAN)).at(PLAN.cutoffs, PLAN.label_days)
    assert fit_constants(rows, 90).cold.probabilities
    assert not fit_constants(replace(rows, terms=Terms({AGE: -1})), 90).cold.probabilities


def in_orders(data: Dataset) -> Dataset:
    """The same rows with a number of orders to learn."""
    numbers = {**data.numbers, "decayed_orders": data.numbers["decayed_spend"] / 30}
    numbers["orders_90d_count"] = numbers["decayed_orders"]
    value = np.ceil(data.label_value / 30)
    return replace(data, numbers=numbers, label_value=value, label_orders=value, target=ORDERS)


@pytest.mark.parametrize("made", [lambda data: data, in_orders], ids=["spend", "orders"])
def test_the_file_knows_sign_ups_as_the_model_does_and_says_what_it_learned(
    made: Callable[[Dataset], Dataset],
) -> None:
    data = made(with_sign_ups(make_examples(PLAN)))
    fitting = fit_model(data, PLAN, lambda _: None)
    model = fitting.model
    assert model is not None
    onnx, now = build_model(model), data.seen_from(AS_OF)
    manifest = build_manifest(model, onnx, PLAN, fitting.choice, date(2023, 1, 1))
    assert check_parity(model, onnx, manifest, now).worst < 1e-6
    is_cold, age = np.isnan(now.numbers["t_days"]), now.numbers[AGE]
    told = model.predict(now)
    for name in ("predicted_value", "purchase_probability"):
        young, old = (told[name][is_cold & rows] for rows in (age < 16, age > 100))
        assert young.mean() > 1.5 * old.mean()
    facts = json.loads(manifest.to_json())["training"]["without_an_order"]
    assert [b["from_days"] for b in facts["by_days_since_signup"]] == list(AGES)


def test_a_model_of_a_shop_without_sign_ups_says_nothing_of_them() -> None:
    data = make_examples(PLAN)
    fitting = fit_model(data, PLAN, lambda _: None)
    assert fitting.model is not None
    onnx = build_model(fitting.model)
    manifest = build_manifest(fitting.model, onnx, PLAN, fitting.choice, date(2023, 1, 1))
    assert "without_an_order" not in manifest.training
