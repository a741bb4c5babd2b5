"""The manifest of a built model: what is frozen with it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

import numpy as np

from cva_sql.models_onnx.value.data.cutoffs import Plan
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.data.shop_past import SHOWN_OUTLIERS, Outlier
from cva_sql.models_onnx.value.data.terms import Terms
from cva_sql.models_onnx.value.graph.builder import OPSET
from cva_sql.models_onnx.value.members.registry import ENSEMBLE
from cva_sql.models_onnx.value.members.rules import RULE_FITS
from cva_sql.models_onnx.value.model.fitted import FittedModel
from cva_sql.models_onnx.value.preparation.cold_start import AGES
from cva_sql.models_onnx.value.training.choice import Choice
from cva_sql.udfs.manifest import Explanation, Feature, Manifest, MembersFile
from cva_sql.udfs.projection import TextProjection


def build_manifest(
    model: FittedModel,
    data: bytes,
    plan: Plan,
    choice: Choice,
    first_order: date,
    database: str | None = None,
    text_projection: TextProjection | None = None,
    outliers: Sequence[Outlier] = (),
    explanation: Explanation | None = None,
    learned: Dataset | None = None,
    target: Mapping[str, Any] | None = None,
    words_projection: TextProjection | None = None,
) -> Manifest:
    """The manifest of a built model; the version says what it was trained for and its hash.

    `database` is the name of the shop's file: a total does not travel between shops.
    `text_projection` made the features of review text that the model was trained on,
    `words_projection` those of the family `words`; the `outliers` were left out; without an
    `explanation` nothing can be explained. `learned` are the examples that it was learned from:
    without them, or for a rule, nobody knows what lies beyond them. `target` is what `training`
    says of a target other than spend: its name, and what it takes to read the labels.
    """
    digest = hashlib.sha256(data).hexdigest()
    preparation = model.members.preparation
    is_rule = model.kind in RULE_FITS
    features = [
        Feature(name, "number") if learned is None or is_rule else _ranged(name, learned)
        for name in preparation.numbers
    ]
    features += [Feature(name, "category", values) for name, values in preparation.categories]
    return Manifest(
        name="value",
        version="-".join(
            [f"{plan.as_of:%Y%m%d}", f"h{plan.horizon_days}"]
            + ([str(target["target"])] if target else [])
            + [model.kind, digest[:8]]
        ),
        sha256=digest,
        features=tuple(features),
        horizon_days=plan.horizon_days,
        is_baseline=False,
        opset=OPSET,
        training={
            "database": database,
            "as_of": plan.as_of.isoformat(),
            "first_order": first_order.isoformat(),
            "label_days": plan.label_days,
            "cutoff_dates": [cutoff.isoformat() for cutoff in plan.cutoffs],
            "kind": model.kind,
            **(target or {}),
            # A model file goes places: who they are is in cva_training_runs, beside the orders.
            "outliers": {
                "count": len(outliers),
                "spend": [outlier.spend for outlier in outliers[:SHOWN_OUTLIERS]],
            },
            "total_forecast": _total_facts(model, choice),
            "lifetimes": lifetime_facts(model),
            "shrinkage": asdict(model.members.shrinkage) if model.kind == ENSEMBLE else {},
            **({"joined": dict(model.members.joined)} if model.members.joined else {}),
            **({"families": family_facts(choice)} if choice.families else {}),
            **_cold_facts(model),
            "slope": model.slope,
            "purchase_slope": model.purchase_slope,
            "retention_rate": model.retention_rate,
            "growth": dict(model.growth),
            "score_reference": [float(value) for value in model.reference],
            **(_term_facts(learned.terms) if learned is not None else {}),
        },
        evaluation={
            "validation_dates": [cutoff.isoformat() for cutoff in choice.dates],
            "scores": choice.scores,
            "verdict": choice.reason,
        },
        text_projection=text_projection,
        words_projection=words_projection,
        explanation=explanation,
    )


def describe_members(model: FittedModel, data: bytes) -> MembersFile:
    """What a manifest says of the file that `build_members` made."""
    weights = model.members.weights(model.kind)
    return MembersFile(hashlib.sha256(data).hexdigest(), weights, model.log_highest)


def _ranged(name: str, learned: Dataset) -> Feature:
    """A number with the least and the largest value learned from, where there are any."""
    column = learned.numbers[name]
    known = column[np.isfinite(column)]
    if not len(known):
        return Feature(name, "number")
    low, high = float(known.min()), float(known.max())
    return Feature(name, "number", low=low, high=high, by_itself=learned.by_itself.get(name, ""))


def family_facts(choice: Choice) -> list[dict[str, Any]]:
    """What each optional family counts in the ensemble, and what it adds on which dates."""
    return [
        {**asdict(one), "dates": [day.isoformat() for day in one.dates]} for one in choice.families
    ]


def _term_facts(terms: Terms) -> dict[str, Any]:
    """What was asked of the model, where anything was."""
    facts: dict[str, Any] = {
        "monotone": dict(terms.monotone),
        "features_off": list(terms.features_off),
        "networks": list(terms.networks),
        "settings": {name: dict(given) for name, given in terms.settings.items()},
    }
    return {name: fact for name, fact in facts.items() if fact}


def _cold_facts(model: FittedModel) -> dict[str, Any]:
    """How likely customers without an order buy, by days since sign-up, where these tell."""
    cold = model.members.preparation.constants.cold
    if not cold.probabilities:
        return {}
    _, (unknown, *known) = cold.by_age
    buckets = [
        {"from_days": int(first), "purchase_probability": float(probability)}
        for first, probability in zip(AGES, known, strict=True)
    ]
    facts = {
        "sign_up_unknown": float(unknown),
        "spend_if_purchase": cold.spend_if_purchase,
        "by_days_since_signup": buckets,
    }
    return {"without_an_order": facts}


def _total_facts(model: FittedModel, choice: Choice) -> dict[str, Any]:
    """The forecast of the total, its days, and its errors where it could be tested."""
    forecast = model.forecast
    return {
        "customers": model.forecast_customers,
        **{name: value for name, value in asdict(forecast).items() if name != "as_of"},
        "unknown_events": list(forecast.unknown_events),
        "from": forecast.as_of.isoformat(),
        "to": (forecast.as_of + timedelta(days=forecast.days)).isoformat(),
        "backtest_log_errors": list(choice.total_errors),
    }


def lifetime_facts(model: FittedModel) -> dict[str, Any]:
    """What the customers of the scoring date were fitted by, with the report of each fit."""
    lifetimes = model.members.preparation.lifetimes
    dropout = {k: v for k, v in asdict(lifetimes.dropout).items() if k != "loglik"}
    spend = {k: v for k, v in asdict(lifetimes.spend).items() if k != "loglik"}
    return {"dropout": dropout, "spend": spend, "largest_order": lifetimes.largest_order}
