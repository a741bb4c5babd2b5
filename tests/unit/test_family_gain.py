"""What the back-test says a family adds, on examples where it helps, is noise, or is absent."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import pytest

from cva_sql.cli.evaluate.evaluation import metric_rows
from cva_sql.cli.evaluate.report import describe
from cva_sql.models_onnx.value.backtesting.backtest import MODEL, WITHOUT, Backtest, Gain, backtest
from cva_sql.models_onnx.value.data.cutoffs import Plan
from cva_sql.models_onnx.value.data.dataset import RULE_COLUMNS, Dataset
from cva_sql.models_onnx.value.judging import metrics as metrics
from cva_sql.models_onnx.value.judging.bootstrap import Sample, mean_differences, paired_difference
from cva_sql.models_onnx.value.training.families import has_family

CUSTOMERS = 400
AS_OF = date(2025, 1, 1)
PLANS = [
    Plan(day, 90, 90, tuple(day - timedelta(days=90 + 30 * k) for k in range(9)))
    for day in (AS_OF, AS_OF + timedelta(days=90))
]
LEAN = f"{WITHOUT}reviews"
LESS = f"{MODEL} less {LEAN}"


def past_orders(rate: np.ndarray) -> dict[str, np.ndarray]:
    """What buy-till-you-die is fitted to, of customers who order at this rate."""
    random = np.random.default_rng(int(rate.sum() * 1000))
    days = 1.0 + random.poisson(rate)
    t_days = random.integers(100, 600, CUSTOMERS).astype(float)
    order_mean = random.gamma(4.0, 8.0, CUSTOMERS)
    return {
        "frequency": days - 1.0,
        "days_since_last_order": t_days
        - np.where(days > 1, np.floor(t_days * random.random(CUSTOMERS)), 0.0),
        "t_days": t_days,
        "order_days_count": days,
        "orders_count": days,
        "historic_value": days * order_mean,
        "monetary_value": np.where(days > 1, order_mean, np.nan),
        "first_order_day_amount": order_mean,
        "order_max_amount": 1.5 * order_mean,
    }


def make_examples(effect: float) -> Dataset:
    """Customers whose review feature moves their spend by `effect`; `taste` does so always."""
    random = np.random.default_rng(5)
    taste, mood = random.normal(size=CUSTOMERS), random.normal(size=CUSTOMERS)
    days = sorted({day for plan in PLANS for day in (*plan.cutoffs, plan.as_of)})
    numbers: dict[str, list[np.ndarray]] = {}
    orders, values = [], []
    for _ in days:
        decayed = random.gamma(1.0, 40.0, CUSTOMERS)
        rate = np.exp(0.9 * taste + effect * mood) * (0.3 + decayed / 100)
        orders.append(random.poisson(rate * 0.5))
        values.append(orders[-1] * random.gamma(4.0, 8.0, CUSTOMERS))
        spend = {"decayed_spend": decayed, "spend_horizon_1": 0.5 * decayed}
        known = {"taste": taste, **spend, "text_1": mood} | past_orders(rate)
        for name, column in known.items():
            numbers.setdefault(name, []).append(column)
    columns = {name: np.concatenate(parts) for name, parts in numbers.items()}
    rows = len(days) * CUSTOMERS
    rules = {name: columns["decayed_spend"] for name in RULE_COLUMNS} | {
        "days_since_last_order": random.integers(1, 200, rows).astype(float),
        "order_days_count": random.integers(1, 9, rows).astype(float),
        "shop_spend_level": np.ones(rows),
        "shop_retention_rate": np.full(rows, 0.8),
        "shop_history_days": np.full(rows, 700.0),
    }
    return Dataset(
        customer_id=np.array([f"c{i % CUSTOMERS}" for i in range(rows)], dtype=object),
        as_of_date=np.repeat([np.datetime64(day, "D") for day in days], CUSTOMERS),
        label_days=np.full(rows, 90),
        numbers={name: column.astype(np.float32) for name, column in columns.items()},
        categories={},
        label_value=np.concatenate(values).astype(np.float64),
        label_orders=np.concatenate(orders).astype(np.float64),
        rules=rules,
        families={"taste": "purchases", "decayed_spend": "purchases", "text_1": "reviews"},
        optional={"text_1": "reviews"},
    )


@lru_cache(maxsize=2)
def evaluated(effect: float) -> Backtest:
    return backtest(make_examples(effect), PLANS, 60, lambda _: None)


def gain_of(result: Backtest) -> Gain:
    assert list(result.gains) == ["reviews"]
    return result.gains["reviews"]


def test_reviews_that_move_spend_are_said_to_add() -> None:
    result = evaluated(1.0)
    gain = gain_of(result)
    assert gain.verdict.startswith("reviews add +")
    assert gain.differences["ngini"].lower > 0
    assert gain.differences["mae"].upper < 0
    assert gain.differences["d2_tweedie"].lower > 0


def test_reviews_that_are_noise_are_said_to_add_nothing() -> None:
    # As many resamples as the command's default: with fewer the bound is itself noise.
    result = backtest(make_examples(0.0), PLANS, 200, lambda _: None)
    gain = gain_of(result)
    # Noise may cost a little, which an interval of 95 % at times sees; it may never seem to add.
    assert not gain.verdict.startswith("reviews add +")
    assert abs(gain.differences["ngini"].value) < 0.02


@pytest.mark.parametrize("effect", [0.0, 1.0])
def test_difference_is_that_of_the_two_models_figures(effect: float) -> None:
    result = evaluated(effect)
    gain = gain_of(result)
    for name, difference in gain.differences.items():
        full, lean = (result.metrics[model][1][name].value for model in (MODEL, LEAN))
        assert difference.value == pytest.approx(full - lean, abs=1e-9)
        assert difference.lower <= difference.value <= difference.upper


def test_both_are_rows_of_the_metrics_table_and_of_json() -> None:
    rows = metric_rows(evaluated(1.0))
    assert {row["model"] for row in rows} >= {MODEL, LEAN, LESS}
    assert [row["metric"] for row in rows if row["model"] == LESS] == [
        "spearman_difference",
        "ngini_difference",
        "mae_difference",
        "d2_tweedie_difference",
    ]
    assert sum(row["model"] == LEAN and row["metric"] == "ngini" for row in rows) == 3
    json.dumps(rows)


def test_table_for_a_person_shows_both_and_ends_with_the_verdict() -> None:
    result = evaluated(1.0)
    lines = describe(result).splitlines()
    place = lines.index("what reviews add, mean over the dates")
    assert lines[place + 1].split() == ["with", "without", "difference"]
    assert [line.split()[0] for line in lines[place + 2 : place + 6]] == [
        "Spearman",
        "nGini",
        "MAE",
        "D²",
    ]
    gain = gain_of(result)
    assert lines[-1] == gain.verdict


def test_without_replicates_the_difference_has_no_interval() -> None:
    result = backtest(make_examples(1.0), PLANS[:1], 0, lambda _: None)
    gain = gain_of(result)
    assert math.isnan(gain.differences["ngini"].lower)
    assert "only bootstrap replicates tell" in gain.verdict
    assert "what reviews add" in describe(result).splitlines()


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_shop_without_reviews_is_not_compared(value: float) -> None:
    data = make_examples(0.0)
    constant = np.full(len(data), value, dtype=np.float32)
    data = replace(data, numbers=data.numbers | {"text_1": constant})
    assert not has_family(data, "reviews")
    result = backtest(data, PLANS[:1], 0, lambda _: None)
    assert result.gains == {}
    assert LEAN not in result.metrics
    assert "what reviews add" not in describe(result)


def test_where_the_rule_scores_reviews_add_nothing() -> None:
    data = make_examples(1.0)
    order = np.random.default_rng(1).permutation(len(data))
    shuffled = replace(
        data, label_value=data.label_value[order], label_orders=data.label_orders[order]
    )
    result = backtest(shuffled, PLANS[:1], 20, lambda _: None)
    gain = gain_of(result)
    assert gain.differences["ngini"].value == 0
    assert gain.verdict == "reviews add nothing: the same scores with and without them"


def test_a_family_is_dropped_from_the_features_and_from_nothing_else() -> None:
    data = make_examples(0.0)
    lean = data.base()
    assert list(lean.numbers) == [name for name in data.numbers if name != "text_1"]
    assert list(data.of_family("reviews").numbers) == ["text_1"]
    assert np.array_equal(lean.label_value, data.label_value)
    assert lean.rules.keys() == data.rules.keys()
    assert data.at([AS_OF], 90).families == data.families


def test_on_one_date_the_difference_is_the_paired_one() -> None:
    random = np.random.default_rng(0)
    actual = random.gamma(1.0, 30.0, 300) * (random.random(300) < 0.3)
    first, second = actual + random.normal(0, 20, 300), random.normal(0, 20, 300)
    ids = np.array([f"c{i:03}" for i in range(300)], dtype=object)
    found = mean_differences(
        [Sample(actual, second, customer_id=ids)],
        {"first": [Sample(actual, first, customer_id=ids)]},
        ["ngini"],
        replicates=50,
    )
    assert found["first"]["ngini"] == paired_difference(
        metrics.ngini, actual, first, second, replicates=50
    )
