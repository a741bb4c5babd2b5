"""What the shop asks of its models: directions to hold, and features not to learn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train.terms import check_scoring_rule, describe_terms, read_terms
from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.data.cutoffs import Plan
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.data.terms import Terms
from cva_sql.models_onnx.value.estimators.linear import fit_logit_linear, fit_spend_linear
from cva_sql.models_onnx.value.members.directions import rules_against
from cva_sql.models_onnx.value.members.registry import ENSEMBLE, all_members, candidates
from cva_sql.models_onnx.value.members.rules import RULE_FITS
from cva_sql.models_onnx.value.model.graph import build_model
from cva_sql.models_onnx.value.preparation.directions import column_signs
from cva_sql.models_onnx.value.training.fit import Fitting, finish_model, fit_model
from cva_sql.models_onnx.value.training.manifest import build_manifest
from cva_sql.models_onnx.value.training.runs import training_entries
from cva_sql.udfs.errors import UsageError
from cva_sql.udfs.manifest import Manifest, parse_manifest
from cva_sql.udfs.sessions import open_session
from tests.unit.test_value_model import AS_OF, PLAN, make_examples

# Some as the examples have it, some against it; with what buy till you die and the rules read.
ASKED = {
    "taste": -1,
    "noise": 1,
    "decayed_spend": 1,
    "days_since_last_order": -1,
    "monetary_value": 1,
    "first_order_day_amount": 1,
    "order_max_amount": -1,
    "historic_value": 1,
    "spend_horizon_1": 1,
    "order_days_count": 1,
}
LONGER = replace(PLAN, horizon_days=180)
STEPS = 40
ROUNDING = 1e-12  # of the prediction


@lru_cache(maxsize=4)
def fitted(is_held: bool, horizon_days: int) -> tuple[Dataset, Fitting]:
    data = make_examples(PLAN).under(Terms(ASKED if is_held else {}))
    plan = PLAN if horizon_days == 90 else LONGER
    return data, fit_model(data, plan, lambda _: None)


def worst_steps(data: Dataset, fitting: Fitting, kind: str) -> dict[str, float]:
    """Feature -> the largest step against ASKED, in logs, of 1,000 customers along its range."""
    assert fitting.members is not None
    model = finish_model(fitting.learning, fitting.members, fitting.folds, kind)
    session, rows = open_session(build_model(model)), data.select(np.arange(len(data)) < 1000)
    preparation = model.members.preparation.preprocessing
    inputs: dict[str, Any] = {n: rows.numbers[n].reshape(-1, 1) for n in preparation.numbers}
    inputs |= {name: rows.categories[name].reshape(-1, 1) for name, _ in preparation.categories}
    found = {}
    for name, sign in ASKED.items():
        low, high = np.nanmin(data.numbers[name]), np.nanmax(data.numbers[name])
        told: list[Floats] = []
        for value in np.linspace(low, low + 1.5 * (high - low), STEPS, dtype=np.float32):
            moved = {**inputs, name: np.full((1000, 1), value)}
            told.append(np.log(session.run(["predicted_value"], moved)[0][:, 0]))
        found[name] = float(-(np.diff(told, axis=0) * sign).min())
    return found


@pytest.mark.parametrize("horizon_days", [90, 180])
@pytest.mark.parametrize("kind", candidates())
def test_whatever_may_score_keeps_to_the_directions(kind: str, horizon_days: int) -> None:
    data, fitting = fitted(True, horizon_days)
    assert {
        n: step for n, step in worst_steps(data, fitting, kind).items() if step > ROUNDING
    } == {}


def test_without_directions_the_same_examples_go_against_them() -> None:
    data, fitting = fitted(False, 90)
    steps = worst_steps(data, fitting, ENSEMBLE)
    assert sum(step > 1e-3 for step in steps.values()) >= 4


def test_every_member_and_the_purchase_regressions_were_fitted_under_the_directions() -> None:
    _, fitting = fitted(True, 90)
    members = fitting.members
    assert members is not None
    preprocessing = members.preparation.preprocessing
    signs = column_signs(preprocessing, ASKED)
    assert signs[preprocessing.numbers.index("taste")] == -1
    assert signs[-5:].tolist() == [1, 1, 1, 1, 1]  # what buy till you die expects, and all it says
    for regression in (members.purchase.with_offset, members.purchase.plain):
        assert (regression.coefficients * signs >= 0).all()
        assert (regression.coefficients != 0).any()
    boosters = [getattr(members.fitted[m.name], "trees", None) for m in all_members()]
    constraints = [t.booster.params["monotone_constraints"] for t in boosters if t is not None]
    assert constraints == [signs[: preprocessing.width].tolist()] * 2


def test_signs_are_held_at_the_least_loss_and_cost_nothing_where_they_are_there_anyway() -> None:
    random = np.random.default_rng(5)
    z = random.normal(size=(4000, 4))
    z[:, 1] += z[:, 0]
    value = random.gamma(1.0, np.exp(0.6 * z[:, 0] - 0.4 * z[:, 1]))
    bought = (value > np.median(value)).astype(float)
    weight, offset = np.ones(4000), np.zeros(4000)
    for fit, target in ((fit_spend_linear, value), (fit_logit_linear, bought)):
        free = fit(z, target, weight, offset)
        anyway = np.sign(free.coefficients).astype(np.int64)
        same = fit(z, target, weight, offset, anyway)
        assert np.array_equal(same.coefficients, free.coefficients)
        assert same.intercept == free.intercept
        held = fit(z, target, weight, offset, np.array([0, 1, 0, 0]))
        assert held.coefficients[1] == 0
        # As without the column that would have to act the other way.
        left = fit(np.delete(z, 1, axis=1), target, weight, offset)
        kept = np.delete(held.coefficients, 1)
        np.testing.assert_allclose(kept, left.coefficients, atol=1e-3)


def test_a_rule_that_goes_against_a_direction_does_not_score() -> None:
    assert rules_against({"historic_value": -1}) == ("past_spend", "rfm_quintiles")
    assert rules_against({"historic_value": 1, "days_since_last_order": -1}) == ()
    data = make_examples(PLAN)
    order = np.random.default_rng(1).permutation(len(data))
    shuffled = replace(
        data, label_value=data.label_value[order], label_orders=data.label_orders[order]
    )
    free = fit_model(shuffled, PLAN, lambda _: None).choice
    against: dict[str, dict[str, int]] = {
        "past_spend": {"historic_value": -1},
        "rfm_quintiles": {"historic_value": -1},
        "last_window": {"spend_horizon_1": -1},
    }
    assert free.kind in against  # a rule wins where there is nothing to learn
    asked = against[free.kind]
    choice = fit_model(shuffled.under(Terms(asked)), PLAN, lambda _: None).choice
    assert choice.kind not in rules_against(asked)
    assert choice.kind in RULE_FITS
    assert f"cva_monotone leaves out what goes against it: {free.kind}" in choice.reason or (
        free.kind in choice.reason
    )


def manifest_of(data: Dataset, plan: Plan = PLAN) -> Manifest:
    fitting = fit_model(data, plan, lambda _: None, ENSEMBLE)
    assert fitting.model is not None
    learned = fitting.learning.at(plan.cutoffs)
    return build_manifest(
        fitting.model,
        build_model(fitting.model),
        plan,
        fitting.choice,
        date(2023, 1, 1),
        learned=learned,
    )


def test_what_was_asked_is_in_the_manifest_and_among_the_settings() -> None:
    terms = Terms({"taste": -1}, ("country", "noise"))
    manifest = manifest_of(make_examples(PLAN).under(terms))
    assert not {"country", "noise"} & {feature.name for feature in manifest.features}
    training = parse_manifest(manifest.to_json()).training
    assert (training["monotone"], training["features_off"]) == ({"taste": -1}, ["country", "noise"])
    _, fitting = fitted(False, 90)
    found = {(e.name, e.text): e.value for e in training_entries(manifest, fitting.choice)}
    assert found["monotone", "taste"] == -1
    assert {("feature_off", "country"), ("feature_off", "noise")} <= found.keys()
    assert describe_terms(terms) == [
        "not learned from (cva_features_off): country, noise",
        "predicted value, all else equal (cva_monotone): never rises with taste",
    ]


def test_where_nothing_was_asked_nothing_is_said() -> None:
    data, fitting = fitted(False, 90)
    manifest = manifest_of(data)
    assert not {"monotone", "features_off"} & manifest.training.keys()
    names = {entry.name for entry in training_entries(manifest, fitting.choice)}
    assert not {"monotone", "feature_off"} & names
    assert describe_terms(Terms()) == []
    assert manifest.training["as_of"] == AS_OF.isoformat()


def shop(settings: Mapping[str, Any]) -> ResolvedShop:
    return ResolvedShop(Path("shop.duckdb"), Path("cva_models"), settings)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"cva_monotone": ["rating_mean"]}, "cva_monotone is ['rating_mean']; expected features with"),
    (
        {"cva_monotone": {"rating_men": 1}},
        "cva_monotone has rating_men, which is no feature; nearest: rating_mean, rating_min",
    ),
    ({"cva_monotone": {"xyzzy": 1}}, "see: select feature from cva_feature_catalog"),
    ({"cva_monotone": {7: 1}}, "cva_monotone has 7, which is no feature"),
    ({"cva_monotone": {"rating_mean": 2}}, "cva_monotone has rating_mean: 2; expected 1 (the"),
    ({"cva_monotone": {"rating_mean": True}}, "rating_mean: True; expected 1"),
    ({"cva_monotone": {"rating_mean": [1]}}, "rating_mean: [1]; expected 1"),
    ({"cva_monotone": {"country": 1}}, "cva_monotone has country, a category, which does not rise"),
    ({"cva_monotone": {"shop_spend_level": 1}}, "shop_spend_level, which no model learns from"),
    ({"cva_monotone": {"age": 1}}, "age, which no model learns from"),
    (
        {"cva_monotone": {"frequency": 1}},
        "cva_monotone has frequency: 1; member mbgnbd reads it, and goes neither way for certain, "
        "or leave it out",
    ),
    ({"cva_monotone": {"t_days": -1}}, "t_days: -1; member mbgnbd reads it"),
    (
        {"cva_monotone": {"decayed_spend": -1}},
        "decayed_spend: -1; member decayed goes the other way with it; 1 can be held, or leave",
    ),
    ({"cva_monotone": {"days_since_last_order": 1}}, "member mbgnbd goes the other way"),
    ({"cva_features_off": "reviews"}, "cva_features_off is reviews; expected a list of features"),
    (
        {"cva_features_off": ["contry"]},
        "cva_features_off has contry, which is no feature or family; nearest: country",
    ),
    ({"cva_features_off": ["review"]}, "nearest: reviews"),
    ({"cva_features_off": [{"a": 1}]}, "which is no feature or family"),
    (
        {"cva_features_off": ["t_days"]},
        "cva_features_off has t_days; t_days cannot be switched off: mbgnbd cannot do without",
    ),
    ({"cva_features_off": ["purchases"]}, "cva_features_off has purchases; orders_count"),
]


@pytest.mark.parametrize(("settings", "said"), REFUSED)
def test_what_cannot_be_kept_is_one_line(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as error:
        read_terms(shop(settings))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_terms_are_read_from_the_vars(capsys: pytest.CaptureFixture[str]) -> None:
    own = [{"name": "visits", "model": "my_visits", "unit": "count"}, "no line"]
    found = read_terms(
        shop(
            {
                "cva_monotone": {"visits": 1, "has_marketing_consent": 1},
                "cva_features_off": ["returns", "country", "age"],
                "cva_feature_catalog_extra": own,
                "cva_families_off": ["attributes"],
            }
        )
    )
    assert found.monotone == {"has_marketing_consent": 1, "visits": 1}
    assert found.features_off == (
        "country",
        "days_since_last_return",
        "refund_amount",
        "returns_count",
    )
    assert "not learned from (cva_features_off): country," in capsys.readouterr().err
    assert read_terms(shop({})) == Terms()
    assert read_terms(shop({"cva_monotone": {"age": 1}, "cva_use_demographics": True})).monotone
    assert read_terms(shop({"cva_features_off": ["own"], "cva_feature_catalog_extra": own})) == (
        Terms({}, ("visits",))
    )


def test_a_rule_against_a_direction_cannot_be_asked_to_score() -> None:
    with pytest.raises(UsageError, match="--deploy past_spend: this rule goes against cva_monoto"):
        check_scoring_rule("past_spend", Terms({"historic_value": -1}))
    check_scoring_rule("decayed_spend", Terms({"historic_value": -1}))
    check_scoring_rule(None, Terms({"historic_value": -1}))
