"""The manifest of an added model: what is its own, and which of its outputs come from elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import onnx

from cva_sql.models_onnx.value.added.model import AddedModel, Judged
from cva_sql.models_onnx.value.data.cutoffs import Plan
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.training.manifest import lifetime_facts
from cva_sql.models_onnx.value.training.typical_customer import OWN, typical_number, typical_text
from cva_sql.udfs.manifest import Explanation, Feature, Manifest

LIFETIMES = "buy till you die, fitted to the shop's customers"
SOURCES: Mapping[str, str] = {
    "predicted_value": "the file, nothing below 0",
    "purchase_probability": LIFETIMES,
    "predicted_orders": LIFETIMES,
    "predicted_value_p10, _p50, _p90": "outcomes over the file's predictions on validation_dates",
    "horizon_retention_rate": "the shop's",
    "customer_value_path, clv": LIFETIMES,
    "score": "the file's predictions for the shop's customers on as_of",
}


def build_added_manifest(
    model: AddedModel,
    data: bytes,
    plan: Plan,
    judged: Judged,
    rows: Dataset,
    *,
    trained_until: date,
    added_at: datetime,
    first_order: date,
    database: str,
) -> Manifest:
    """The manifest of an added model; `rows` are all customers of the scoring date."""
    digest, given = hashlib.sha256(data).hexdigest(), model.given
    numbers = model.rest.members.preparation.preprocessing.numbers
    texts = [name for name in given.features if name in rows.categories]
    return Manifest(
        name="value",
        version=f"{plan.as_of:%Y%m%d}-h{plan.horizon_days}-{model.name}-{digest[:8]}",
        sha256=digest,
        features=(
            *(Feature(name, "number") for name in numbers),
            *(Feature(name, "category") for name in texts),
        ),
        horizon_days=plan.horizon_days,
        is_baseline=False,
        opset=max(e.version for e in onnx.load_from_string(data).opset_import if not e.domain),
        training={
            "database": database,
            "as_of": plan.as_of.isoformat(),
            "first_order": first_order.isoformat(),
            "kind": model.name,
            "added": {
                "at": added_at.isoformat(timespec="microseconds"),
                "trained_until": trained_until.isoformat(),
                "sha256": hashlib.sha256(given.onnx).hexdigest(),
                "inputs": given.mapping,
                "output": given.output,
                "left_out_dates": [day.isoformat() for day in judged.left_out],
            },
            "sources": dict(SOURCES),
            "lifetimes": lifetime_facts(model.rest),
            "retention_rate": model.rest.retention_rate,
            "growth": dict(model.rest.growth),
            "score_reference": [float(value) for value in model.rest.reference],
        },
        evaluation={
            "validation_dates": [day.isoformat() for day in judged.dates],
            "scores": judged.scores,
            "verdict": judged.verdict,
        },
        explanation=_explanation(model, rows),
    )


def _explanation(model: AddedModel, rows: Dataset) -> Explanation:
    """Against the typical customer, by what the file reads; in money, as it may say 0."""
    reference: dict[str, Any] = {
        name: typical_number(rows.numbers[name])
        if name in rows.numbers
        else typical_text(rows.categories[name])
        for name in model.given.features
    }
    return Explanation(
        reference=reference,
        families={name: rows.reason_families.get(name, OWN) for name in reference},
        link="identity",
        money_rule="difference",
    )
