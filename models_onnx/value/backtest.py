"""Temporal back-test: at each date train on what was known, predict, compare with what came."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

import numpy as np

from cva_sql.models_onnx.value import metrics
from cva_sql.models_onnx.value.bootstrap import (
    INTERVAL,
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
from cva_sql.models_onnx.value.preprocessing import fit_preprocessing

MODEL = "cva"
FAMILY = "reviews"  # the one that costs a reading of every text, so it has to show what it is for
WITHOUT = f"{MODEL} without {FAMILY}"
# On which figures the models with and without the family are compared.
COMPARED: Mapping[str, metrics.PairMetric] = MappingProxyType(
    {
        "spearman": metrics.spearman,
        "ngini": metrics.ngini,
        "mae": metrics.mae,
        "d2_tweedie": metrics.d2_tweedie,
    }
)
DECISIVE = "ngini"  # fixed beforehand: of four figures one differs by luck too often


@dataclass(frozen=True)
class Gain:
    """What the family adds: each figure of MODEL less that of WITHOUT, means over the dates."""

    differences: dict[str, Metric]
    verdict: str


@dataclass(frozen=True)
class Backtest:
    """`metrics` is model -> (one dict of metrics a date, their means); `verdicts` are sentences."""

    horizon_days: int
    dates: tuple[date, ...]
    customers: tuple[int, ...]
    metrics: dict[str, tuple[list[dict[str, Metric]], dict[str, Metric]]]
    verdicts: tuple[str, ...]
    gain: Gain | None = None  # None in a shop without the family's data


def backtest(data: Dataset, plans: Sequence[Plan], replicates: int, report: Report) -> Backtest:
    """Evaluates what would have been deployed on each plan's date, beside the rules.

    Where the family `reviews` has data, also what would have been deployed without it.
    """
    samples: dict[str, list[Sample]] = {}
    lean = data.without_family(FAMILY) if has_family(data, FAMILY) else None
    verdicts, customers = [], []
    for plan in plans:
        test = data.at([plan.as_of], plan.horizon_days)
        customers.append(len(test))
        rules = reference_predictions(test, plan.horizon_days)
        predictions, verdict = _as_of(data, plan, test, rules, report)
        verdicts.append(f"{plan.as_of}: {verdict}")
        samples.setdefault(MODEL, []).append(_model_sample(test, predictions))
        if lean is not None:
            report(f"without {FAMILY}")
            other, _ = _as_of(lean, plan, test, rules, report)
            samples.setdefault(WITHOUT, []).append(_model_sample(test, other))
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
        None if lean is None else _gain(samples[MODEL], samples[WITHOUT], replicates),
    )


def has_family(data: Dataset, family: str) -> bool:
    """Whether any feature of this family varies, so that a model could learn from it."""
    rows = data.of_family(family)
    return fit_preprocessing(rows.numbers, rows.categories).width > 0


def _gain(full: Sequence[Sample], lean: Sequence[Sample], replicates: int) -> Gain:
    differences = {name: mean_difference(name, full, lean, replicates) for name in COMPARED}
    if all(sample.probability is None for sample in (*full, *lean)):
        where = "on every date" if len(full) > 1 else "here"
        return Gain(differences, f"{FAMILY} add nothing: the rule scores {where}, with or without")
    return Gain(differences, _verdict(differences[DECISIVE]))


def _verdict(gain: Metric) -> str:
    figure = f"{gain.value:+.4f} nGini"
    if not math.isfinite(gain.lower):
        return f"{FAMILY}: {figure}; whether that is chance, only bootstrap replicates tell"
    interval = f"95 % interval {gain.lower:+.4f} .. {gain.upper:+.4f}"
    if gain.lower > 0:
        return f"{FAMILY} add {figure} ({interval})"
    if gain.upper < 0:
        return (
            f"{FAMILY} make the ranking worse, by {figure} ({interval}); leave them out with: "
            f"--vars '{{cva_families_off: [{FAMILY}]}}'"
        )
    return f"{FAMILY} add nothing that can be told from chance here ({figure}, {interval})"


def mean_difference(
    name: str, first: Sequence[Sample], second: Sequence[Sample], replicates: int, seed: int = 0
) -> Metric:
    """The mean over the dates of `first`'s figure less `second`'s, with its 95 % interval.

    As `paired_difference`, but a customer is drawn with all their dates, as in `evaluate_dates`:
    rows of one customer are no independent witnesses.
    """
    metric = COMPARED[name]
    columns = [
        (metrics.column(a.actual), metrics.column(a.predicted), metrics.column(b.predicted))
        for a, b in zip(first, second, strict=True)
    ]
    ids = [np.asarray(sample.customer_id, dtype=str) for sample in first]
    distinct, inverse = np.unique(np.concatenate(ids), return_inverse=True)
    codes = np.split(inverse, np.cumsum([len(part) for part in ids])[:-1])

    def difference(counts: Floats | None) -> float:
        gains = []
        for (actual, one, other), code in zip(columns, codes, strict=True):
            weights = None if counts is None else counts[code]
            gains.append(metric(actual, one, weights) - metric(actual, other, weights))
        return float(np.mean(gains))

    rng = np.random.default_rng(seed)
    size = len(distinct)
    drawn = [
        difference(np.bincount(rng.integers(0, size, size), minlength=size).astype(np.float64))
        for _ in range(replicates if size else 0)
    ]
    defined = [value for value in drawn if math.isfinite(value)]
    lower, upper = np.percentile(defined, INTERVAL) if defined else (math.nan, math.nan)
    return Metric(f"{name}_difference", difference(None), float(lower), float(upper))


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
