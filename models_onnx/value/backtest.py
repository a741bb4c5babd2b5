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
from cva_sql.models_onnx.value.fit import (
    OPTIONAL_FAMILY as FAMILY,
)
from cva_sql.models_onnx.value.fit import (
    RULE,
    Fit,
    Report,
    fit_both_ways,
    has_family,
    reference_predictions,
)
from cva_sql.models_onnx.value.graph import Q_LEVELS
from cva_sql.models_onnx.value.origins import Plan

MODEL = "cva"
WITH, WITHOUT = (f"{MODEL} {word} {FAMILY}" for word in ("with", "without"))
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
    """What the family adds: each figure of WITH less that of WITHOUT, means over the dates.

    The intervals hold the chance of who the customers are, not that of fitting again.
    """

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

    Where the family `reviews` has data, also what would have been deployed with and without it.
    """
    samples: dict[str, list[Sample]] = {}
    is_compared = has_family(data, FAMILY)
    verdicts, customers = [], []
    for plan in plans:
        test = data.at([plan.as_of], plan.horizon_days)
        customers.append(len(test))
        rules = reference_predictions(test, plan.horizon_days)
        report(f"as of {plan.as_of}")
        fits = fit_both_ways(data, plan, report)
        predictions, verdict = _as_of(fits[0][1], test, rules)
        if is_compared:
            verdict += f"; {'without' if fits[0][0] is not data else 'with'} {FAMILY}"
        verdicts.append(f"{plan.as_of}: {verdict}")
        samples.setdefault(MODEL, []).append(_model_sample(test, predictions))
        for examples, fit in fits if is_compared else ():
            name = WITH if examples is data else WITHOUT
            one, _ = _as_of(fit, test, rules)
            samples.setdefault(name, []).append(_model_sample(test, one))
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
        _gain(samples[WITH], samples[WITHOUT], replicates) if is_compared else None,
    )


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
        return f"{FAMILY} make the ranking worse, by {figure} ({interval})"
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


def _as_of(fit: Fit, test: Dataset, rules: dict[str, Floats]) -> tuple[dict[str, Floats], str]:
    """The predictions of what would have scored on the plan's date, and why it would have."""
    model, choice = fit
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
