"""Temporal back-test: at each date train on what was known, predict, compare with what came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from cva_sql.models_onnx.value import metrics
from cva_sql.models_onnx.value.bootstrap import (
    Metric,
    Sample,
    evaluate_dates,
    paired_difference,
)
from cva_sql.models_onnx.value.candidates import Floats
from cva_sql.models_onnx.value.dataset import Dataset
from cva_sql.models_onnx.value.fit import RULE, Report, fit_model, reference_predictions
from cva_sql.models_onnx.value.graph import Q_LEVELS
from cva_sql.models_onnx.value.origins import Plan

MODEL = "cva"


@dataclass(frozen=True)
class Backtest:
    """`metrics` is model -> (one dict of metrics a date, their means); `verdicts` are sentences."""

    horizon_days: int
    dates: tuple[date, ...]
    customers: tuple[int, ...]
    metrics: dict[str, tuple[list[dict[str, Metric]], dict[str, Metric]]]
    verdicts: tuple[str, ...]


def backtest(data: Dataset, plans: Sequence[Plan], replicates: int, report: Report) -> Backtest:
    """Evaluates what would have been deployed on each plan's date, beside the rules."""
    samples: dict[str, list[Sample]] = {}
    verdicts, customers = [], []
    for plan in plans:
        test = data.at([plan.as_of], plan.horizon_days)
        customers.append(len(test))
        rules = reference_predictions(test, plan.horizon_days)
        predictions, verdict = _as_of(data, plan, test, rules, report)
        verdicts.append(f"{plan.as_of}: {verdict}")
        samples.setdefault(MODEL, []).append(_model_sample(test, predictions))
        for name, predicted in rules.items():
            samples.setdefault(name, []).append(
                Sample(test.label_value, predicted, customer_id=test.customer_id)
            )
        difference = paired_difference(
            metrics.ngini,
            test.label_value,
            predictions["predicted_value"],
            rules[RULE],
            replicates=replicates,
        )
        verdicts.append(
            f"  nGini above the rule's by {difference.value:+.4f} "
            f"({difference.lower:+.4f} .. {difference.upper:+.4f})"
        )
    report("bootstrapping")
    return Backtest(
        plans[0].horizon_days,
        tuple(plan.as_of for plan in plans),
        tuple(customers),
        {name: evaluate_dates(rows, replicates=replicates) for name, rows in samples.items()},
        tuple(verdicts),
    )


def _as_of(
    data: Dataset, plan: Plan, test: Dataset, rules: dict[str, Floats], report: Report
) -> tuple[dict[str, Floats], str]:
    """The predictions of what would have scored on the plan's date, and why it would have."""
    report(f"as of {plan.as_of}")
    model, choice = fit_model(data, plan, report)
    if model is None:
        return {"predicted_value": rules[RULE]}, "too few examples, the rule scores"
    if not choice.is_better:
        return {"predicted_value": rules[RULE]}, f"the rule scores: {choice.reason}"
    return model.predict(test), choice.reason


def _model_sample(test: Dataset, predictions: dict[str, Floats]) -> Sample:
    quantiles = {
        level: predictions[f"predicted_value_p{round(level * 100)}"]
        for level in Q_LEVELS
        if f"predicted_value_p{round(level * 100)}" in predictions
    }
    return Sample(
        test.label_value,
        predictions["predicted_value"],
        probability=predictions.get("purchase_probability"),
        quantiles=quantiles,
        customer_id=test.customer_id,
    )
