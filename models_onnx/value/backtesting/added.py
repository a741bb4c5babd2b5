"""Models made elsewhere in the back-test: on the dates that they had not seen, beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

import numpy as np

from cva_sql.models_onnx.value.added.given import AddedFile
from cva_sql.models_onnx.value.added.model import allowed_dates
from cva_sql.models_onnx.value.backtesting.backtest import Backtest
from cva_sql.models_onnx.value.data.cutoffs import Plan
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.judging.bootstrap import Metric, Sample, evaluate_dates
from cva_sql.models_onnx.value.training.validation import Report


def with_added(
    result: Backtest,
    files: Sequence[AddedFile],
    data: Dataset,
    plans: Sequence[Plan],
    replicates: int,
    report: Report,
) -> Backtest:
    """The back-test with a model more for each file: no metrics on a date that is left out.

    A mean over the dates there is only where none is left out: another would not compare. `data`
    has every feature that a file reads. Verdicts say which dates are left out, and why.
    """
    verdicts = list(result.verdicts)
    metrics = dict(result.metrics)
    for file in files:
        report(f"judging {file.name}")
        allowed, left_out = allowed_dates([plan.as_of for plan in plans], file.trained_until)
        is_other = file.horizon_days != result.horizon_days
        if is_other:
            allowed = ()
            why = f"it says what is spent in {file.horizon_days} days"
            left_out = result.dates
        else:
            why = f"it was trained on what was before {file.trained_until} (--trained-until)"
        samples = _samples(file, data, plans, allowed)
        if any(not np.isfinite(np.asarray(sample.predicted)).all() for sample in samples.values()):
            samples, left_out = {}, result.dates
            why = (
                "it gives a customer no number there; features may be NULL, let the model fill them"
            )
        if samples:
            metrics[file.name] = _measured(samples, plans, replicates)
        if left_out:
            dates = ", ".join(map(str, left_out))
            verdicts.append(f"{file.name}: left out on {dates}, as {why}")
    names = tuple(name for name in metrics if name not in result.metrics)
    return replace(result, metrics=metrics, verdicts=tuple(verdicts), added=names)


def _samples(
    file: AddedFile, data: Dataset, plans: Sequence[Plan], allowed: Sequence[date]
) -> dict[date, Sample]:
    """What it says of each date that it may be judged on, beside what came."""
    found = {}
    for plan in plans:
        if plan.as_of in allowed:
            test = data.at([plan.as_of], plan.horizon_days)
            value = file.given.predict(test)
            found[plan.as_of] = Sample(test.label_value, value, customer_id=test.customer_id)
    return found


def _measured(
    samples: Mapping[date, Sample], plans: Sequence[Plan], replicates: int
) -> tuple[list[dict[str, Metric]], dict[str, Metric]]:
    found, means = evaluate_dates([*samples.values()], replicates=replicates)
    by_date = dict(zip(samples, found, strict=True))
    spread = [by_date.get(plan.as_of, {}) for plan in plans]
    return spread, means if len(samples) == len(plans) else {}
