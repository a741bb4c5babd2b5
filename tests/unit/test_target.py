"""What is predicted in place of spend: its unit is learned, totals follow, refusals say so."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.models_onnx.kinds.value import floored
from cva_sql.models_onnx.value.data.cutoffs import plan_labelled
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.data.target import ORDERS, TARGETS
from cva_sql.models_onnx.value.model.graph import build_model
from cva_sql.models_onnx.value.training.fit import fit_model
from cva_sql.udfs.errors import UsageError
from cva_sql.udfs.sessions import open_session
from cva_sql.udfs.target import TARGETS as NAMES
from cva_sql.udfs.target import target_problem
from tests.unit.test_members import PLAN, make_examples

RATE = 0.3
DAY = date(2025, 1, 1)


def quiet(_: str) -> None:
    """No line of progress."""


def priced() -> Dataset:
    """Examples whose margin is RATE of what was spent."""
    data = make_examples()
    return replace(
        data,
        target=TARGETS["margin"],
        label_spend=data.label_value,
        label_value=data.label_value * RATE,
        label_shortfall=np.zeros(len(data)),
    )


def counted() -> Dataset:
    """Examples whose target is the number of orders."""
    data = make_examples()
    counts = data.numbers["orders_count"]
    numbers = {**data.numbers, "decayed_orders": counts, "orders_90d_count": counts}
    return replace(data, target=ORDERS, numbers=numbers, label_value=data.label_orders)


def test_a_margin_of_a_fixed_share_is_that_share_of_what_is_spent() -> None:
    data = make_examples()
    now = data.seen_from(PLAN.as_of)
    spend, margin = (fit_model(rows, PLAN, quiet) for rows in (data, priced()))
    assert spend.model is not None
    assert margin.model is not None
    assert margin.choice.kind == spend.choice.kind
    ours, theirs = margin.model.predict(now), spend.model.predict(now)
    for name in ("predicted_value", "predicted_value_p90"):
        np.testing.assert_allclose(ours[name], RATE * theirs[name], rtol=1e-6)
    for name in ("purchase_probability", "score"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6)
    for figure, share in (("mae", RATE), ("ngini", 1.0), ("bias", 1.0)):
        told, expected = (fit.choice.scores["ensemble"][figure] for fit in (margin, spend))
        assert told == pytest.approx(share * expected, rel=1e-6)


def test_a_rate_that_changed_later_is_not_known_on_a_validation_date() -> None:
    data = priced()
    newest = data.as_of_date == np.datetime64(PLAN.cutoffs[0], "D")
    value = np.where(newest, 2 * data.label_value, data.label_value)
    fitting = fit_model(replace(data, label_value=value), PLAN, quiet)
    assert fitting.folds[0].cutoff == PLAN.cutoffs[0]
    assert fitting.folds[0].scores["ensemble"]["bias"] < -0.4


def test_orders_are_told_by_orders_and_are_never_fewer_than_likely() -> None:
    data = counted()
    fitting = fit_model(data, PLAN, quiet)
    assert fitting.model is not None
    now = data.seen_from(PLAN.as_of)
    found = fitting.model.predict(now)
    np.testing.assert_array_equal(
        found["predicted_orders"],
        np.maximum(found["predicted_value"], found["purchase_probability"]),
    )
    assert found["predicted_value"].sum() == pytest.approx(fitting.model.forecast.total, rel=0.02)
    newest = data.at(PLAN.cutoffs[:1], PLAN.label_days).label_value.sum()
    assert 0.5 < fitting.model.forecast.total / newest < 2  # in orders, not in money
    session = open_session(build_model(fitting.model))
    inputs = {name: now.numbers[name].reshape(-1, 1) for name in session.inputs()}
    got = dict(zip(found, session.run(list(found), inputs), strict=True))
    for name, values in found.items():
        np.testing.assert_allclose(got[name].ravel(), values, rtol=1e-5, atol=1e-9)


def test_labels_below_zero_are_counted_with_what_they_raise() -> None:
    data = priced().at([PLAN.cutoffs[0]], 90)
    assert floored(data) == {"examples": 0, "bias": 0.0}
    shortfall = np.zeros(len(data))
    shortfall[:4] = data.label_value.sum() / 8
    told = floored(replace(data, label_shortfall=shortfall))
    assert told == {"examples": 4, "bias": pytest.approx(1.0)}


def test_the_dates_of_labels_are_the_cutoffs_if_they_are_over_and_many() -> None:
    days = [DAY + timedelta(days=10 * k) for k in range(14)]
    labels = {day: 60 for day in days} | {days[3]: 49, DAY - timedelta(days=9): 60}
    plan = plan_labelled(labels, DAY - timedelta(days=1), days[-1] + timedelta(days=1), 30)
    assert plan is not None
    assert (plan.label_days, plan.horizon_days) == (30, 30)
    assert plan.cutoffs == tuple(days[k] for k in (10, 9, 8, 7, 6, 5, 4, 2, 1))
    assert plan_labelled(labels, None, days[-1], 30) is None
    assert plan_labelled({}, DAY, days[-1], 30) is None


def test_rows_without_a_label_are_no_examples_and_are_still_seen() -> None:
    data = make_examples()
    value = data.label_value.copy()
    value[data.as_of_date == np.datetime64(PLAN.cutoffs[0], "D")] = np.nan
    data = replace(data, label_value=value)
    assert len(data.at([PLAN.cutoffs[0]], 90)) == 0
    assert len(data.seen_from(PLAN.cutoffs[0])) > 0


def test_targets_are_the_same_everywhere() -> None:
    assert tuple(TARGETS) == NAMES


def test_the_packaged_rule_predicts_spend_alone(tmp_path: Path) -> None:
    assert target_problem(tmp_path, "spend") == ""
    assert target_problem(tmp_path, "margin") == (
        "cva_target is margin; no trained model is deployed, and the packaged rule predicts spend "
        "alone; train one with: cva train --vars '{cva_target: margin}'"
    )


def test_an_unknown_target_is_refused_in_one_line(tmp_path: Path) -> None:
    shop = ResolvedShop(tmp_path / "a.duckdb", tmp_path, {"cva_target": "profit"})
    with pytest.raises(UsageError, match="cva_target is 'profit'; expected spend or margin or ord"):
        _ = shop.target
