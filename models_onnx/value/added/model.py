"""An added model: its own value, and around it what the shop's outcomes and buy till you die say.

predicted_value is what the file says, nothing below 0, untouched by any slope or total. What the
contract wants besides and the file does not give is told as for a rule: the purchase probability
and orders by buy till you die, the interval by how far outcomes were from the file's predictions on
dates that it had not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from cva_sql.models_onnx.value.added.given import Given
from cva_sql.models_onnx.value.arrays import Floats, sigmoid
from cva_sql.models_onnx.value.data.cutoffs import Plan
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.data.preprocessing import LogScale, Preprocessing
from cva_sql.models_onnx.value.data.target import SPEND
from cva_sql.models_onnx.value.estimators.lifetimes import INPUTS
from cva_sql.models_onnx.value.estimators.linear import Linear
from cva_sql.models_onnx.value.members.purchase import PurchaseModel
from cva_sql.models_onnx.value.model.ensemble import Members, Shrinkage
from cva_sql.models_onnx.value.model.fitted import FittedModel
from cva_sql.models_onnx.value.preparation.cold_start import AGE
from cva_sql.models_onnx.value.preparation.rows import (
    SPEND_FLOOR,
    Preparation,
    Prepared,
)
from cva_sql.models_onnx.value.total.calibration import (
    Outcome,
    fit_orders_factor,
    logit_shift,
    mean_probability,
)
from cva_sql.models_onnx.value.total.intervals import fit_residuals
from cva_sql.models_onnx.value.training.examples import fit_constants
from cva_sql.models_onnx.value.training.growth import growth_facts
from cva_sql.models_onnx.value.training.learning import (
    Learning,
    forecast_now,
    is_enough,
    prepare_learning,
)
from cva_sql.models_onnx.value.training.validation import (
    VALIDATION_DATES,
    outcome_of,
    reference_predictions,
    score_predictions,
)
from cva_sql.udfs.errors import UsageError

NOTHING = np.zeros(0)
NO_LINE = Linear(NOTHING, 0.0)


@dataclass(frozen=True)
class AddedModel:
    """A file made elsewhere, `given`, with all that turns its value into the contract's outputs.

    `rest` is the model of nobody's value: its probabilities, orders, intervals and reference.
    """

    name: str
    given: Given
    rest: FittedModel

    def predict(self, rows: Dataset) -> dict[str, Floats]:
        """The contract's outputs by name, each of shape (rows,)."""
        prepared = self.rest.members.preparation.apply(rows)
        return self.rest.outputs(prepared, self.given.predict(rows), self.logit(prepared))

    def logit(self, rows: Prepared) -> Floats:
        """logit of the probability to buy in the horizon, by buy till you die."""
        logit = rows.logit_purchase + rows.purchase_extrapolation
        return np.asarray(logit + self.rest.purchase_shift)


@dataclass(frozen=True)
class Judged:
    """On which dates a model was judged, and how it and the rules did: metric -> mean over them.

    `left_out` are dates before it was trained to an end: it may have seen what came after them.
    """

    dates: tuple[date, ...]
    left_out: tuple[date, ...]
    scores: dict[str, dict[str, float]]
    verdict: str


def fit_added(
    name: str, given: Given, data: Dataset, plan: Plan, trained_until: date
) -> tuple[AddedModel, Judged, Learning]:
    """Judges a file on dates that it has not seen, and fits what it does not say.

    Raises UsageError where no such date has outcomes, or where it gives a customer no number.
    """
    dates, left_out = allowed_dates(plan.cutoffs, trained_until)
    if plan.label_days < plan.horizon_days or not dates:
        raise UsageError(
            f"{name} can be judged on no date: none at or after --trained-until {trained_until} "
            f"has {plan.horizon_days} days of outcomes before {plan.as_of}, the newest is "
            f"{plan.cutoffs[0]}; train it on what was before, or take a shorter --horizon-days"
        )
    learning = prepare_learning(data, plan)
    dates = tuple(day for day in dates if is_enough(learning.at([day])))[:VALIDATION_DATES]
    if not dates:
        raise UsageError(f"{name} can be judged on no date: all have too few customers or buyers")
    rows = learning.at(plan.cutoffs)
    constants = fit_constants(rows, plan.label_days)
    numbers = dict.fromkeys(
        [*INPUTS, SPEND.decayed, *([AGE] if constants.cold.probabilities else [])]
    )
    numbers |= dict.fromkeys(n for n in given.features if n in rows.numbers)
    preparation = Preparation(
        Preprocessing(tuple(numbers), ()),
        learning.lifetimes[plan.as_of],
        constants,
        plan.horizon_days,
    )
    tests = {day: learning.at([day]) for day in dates}
    told = {day: _numbers_of(name, given, test) for day, test in tests.items()}
    outcomes = [
        _outcome(replace(preparation, lifetimes=learning.lifetimes[day]), test, told[day])
        for day, test in tests.items()
    ]
    _numbers_of(name, given, data.seen_from(plan.as_of))
    judged = _judge(name, plan, tests, told, left_out)
    return _finish(name, given, learning, preparation, outcomes), judged, learning


def allowed_dates(
    dates: Sequence[date], trained_until: date
) -> tuple[tuple[date, ...], tuple[date, ...]]:
    """Those that a model trained until then may be judged on, and the others."""
    return (
        tuple(day for day in dates if day >= trained_until),
        tuple(day for day in dates if day < trained_until),
    )


def _numbers_of(name: str, given: Given, rows: Dataset) -> Floats:
    found = given.predict(rows)
    wrong = int((~np.isfinite(found)).sum())
    if wrong:
        raise UsageError(
            f"{name} gives no number for {wrong:,} of {len(found):,} customers; features may be "
            "NULL: let the model fill them (SimpleImputer), and convert it again"
        )
    return found


def _outcome(preparation: Preparation, rows: Dataset, value: Floats) -> Outcome:
    prepared = preparation.apply(rows)
    floor = SPEND_FLOOR * preparation.constants.mean_spend
    predictor = np.log(np.maximum(value, floor))
    return outcome_of(rows, preparation, prepared, predictor, prepared.logit_purchase)


def _judge(
    name: str,
    plan: Plan,
    tests: dict[date, Dataset],
    told: dict[date, Floats],
    left_out: tuple[date, ...],
) -> Judged:
    by_date = []
    for day, test in tests.items():
        predictions = {name: told[day], **reference_predictions(test, plan.horizon_days)}
        by_date.append({n: score_predictions(test.label_value, p) for n, p in predictions.items()})
    scores = {
        model: {metric: float(np.mean([one[model][metric] for one in by_date])) for metric in found}
        for model, found in by_date[0].items()
    }
    best = max((n for n in scores if n != name), key=lambda n: scores[n]["ngini"])
    own, other = (scores[n]["ngini"] for n in (name, best))
    word = "better" if own > other else "no better"
    verdict = f"{name} ranks {word} than the best rule, {best} (nGini {own:.3f}, {other:.3f})"
    return Judged(tuple(tests), left_out, scores, verdict)


def _finish(
    name: str,
    given: Given,
    learning: Learning,
    preparation: Preparation,
    outcomes: Sequence[Outcome],
) -> AddedModel:
    plan, now = learning.plan, learning.rows.seen_from(learning.plan.as_of)
    forecast, prepared = forecast_now(learning), preparation.apply(now)
    own = prepared.logit_purchase + prepared.purchase_extrapolation
    value = given.predict(now)
    largest = max(float(learning.at(plan.cutoffs).label_value.max(initial=0.0)), 1.0)
    nobody = LogScale(NOTHING, NOTHING, NOTHING, NOTHING)
    rest = FittedModel(
        kind=name,
        members=Members(preparation, nobody, PurchaseModel(NO_LINE, NO_LINE), {}, Shrinkage()),
        forecast=forecast,
        slope=1.0,
        spend_shift=0.0,
        log_highest=float("inf"),
        largest_spend=largest,
        purchase_slope=1.0,
        purchase_shift=logit_shift(own, mean_probability(sigmoid(own), forecast)),
        orders_factor=fit_orders_factor(outcomes),
        residuals=fit_residuals(outcomes, 1.0, 0.0, keeps_total=True),
        reference=np.quantile(value, np.linspace(0, 1, 101)),
        retention_rate=float(np.median(now.rules["shop_retention_rate"])),
        forecast_customers=len(now),
        growth=growth_facts(learning, outcomes, 1.0),
    )
    return AddedModel(name, given, rest)
