"""From training examples to a fitted model: validate forward in time, choose, fit on everything."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats, sigmoid
from cva_sql.models_onnx.value.data.cutoffs import Plan
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.members.directions import rules_against
from cva_sql.models_onnx.value.members.registry import ENSEMBLE, learned_kinds
from cva_sql.models_onnx.value.members.rules import PLAINEST
from cva_sql.models_onnx.value.model.ensemble import Members, Shrinkage
from cva_sql.models_onnx.value.model.fitted import FittedModel
from cva_sql.models_onnx.value.preparation.rows import Prepared
from cva_sql.models_onnx.value.total.calibration import (
    fit_logit_slope,
    fit_orders_factor,
    fit_slope,
    logit_shift,
    mean_probability,
    scale_logits,
)
from cva_sql.models_onnx.value.total.forecast import TotalForecast
from cva_sql.models_onnx.value.total.intervals import fit_residuals
from cva_sql.models_onnx.value.training.choice import Choice, best_kind, choose
from cva_sql.models_onnx.value.training.corrections import correct_folds, correct_members
from cva_sql.models_onnx.value.training.examples import fit_members
from cva_sql.models_onnx.value.training.families import weigh_families
from cva_sql.models_onnx.value.training.growth import growth_facts
from cva_sql.models_onnx.value.training.learning import (
    MIN_FIT_ROWS,
    Learning,
    can_fit,
    forecast_now,
    prepare_learning,
)
from cva_sql.models_onnx.value.training.validation import Fold, Report, validate

MUCH_TRUST = 0.9  # of the ensemble, from which its rule is not worth a word
HIGHEST = 1.0  # in logs above the largest spend seen in a label


@dataclass(frozen=True)
class Fitting:
    """All that was fitted as of one plan's date; no members and no model with too few rows.

    Folds and members have the corrections of the optional families that earned a weight.
    """

    learning: Learning
    folds: list[Fold]
    members: Members | None
    model: FittedModel | None
    choice: Choice


def fit_model(data: Dataset, plan: Plan, report: Report, kind: str | None = None) -> Fitting:
    """The model of this kind fitted on every cutoff, with the folds and members behind it.

    Without a kind that which won: see `choose`. What optional families add is weighed before that
    on earlier dates, so that it is judged with them. `data` also has the rows of the plan's own
    date, for the total and the score's reference.
    """
    learning = prepare_learning(data, plan)
    rows = learning.at(plan.cutoffs)
    if not can_fit(rows):
        buyers = int((rows.label_value > 0).sum())
        reason = (
            f"{len(rows):,} examples with {buyers:,} buyers are too few to fit anything to "
            f"({MIN_FIT_ROWS} and {MIN_FIT_ROWS // 10} are needed)"
        )
        return Fitting(learning, [], None, None, Choice(kind or ENSEMBLE, False, reason, {}, ()))
    folds = validate(learning, report)
    best = best_kind(folds)
    corrected = kind if kind in learned_kinds(data.terms.networks) else best
    families = weigh_families(learning, folds, corrected, report)
    scales = {one.family: one.scale for one in families if one.scale > 0}
    folds = correct_folds(learning, folds, corrected, scales)
    choice = _chosen(folds, best, kind, rules_against(data.terms.monotone, data.target))
    choice = replace(choice, families=families)
    report(f"fitting {choice.kind} on {len(rows):,} examples of {len(plan.cutoffs)} dates")
    members = fit_now(learning, folds)
    if choice.kind == ENSEMBLE and (known := _how_little_is_known(members.shrinkage, folds)):
        choice = replace(choice, reason=f"{choice.reason}; {known}")
    model = finish_model(learning, members, folds, choice.kind)
    return Fitting(learning, folds, members, model, choice)


def fit_now(learning: Learning, folds: Sequence[Fold]) -> Members:
    """All members on all cutoffs; the ensemble leans, is joined and corrected as in the folds."""
    plan, rule = learning.plan, folds[0].shrinkage.rule if folds else PLAINEST
    joined = folds[0].joined if folds else {}
    members = fit_members(learning, plan.cutoffs, plan.as_of, plan.horizon_days, rule, joined)
    if not folds:
        return members
    return correct_members(
        learning, members, folds[0].kind, plan.cutoffs, plan.as_of, folds[0].scales
    )


def _chosen(folds: Sequence[Fold], best: str, kind: str | None, barred: Collection[str]) -> Choice:
    """What won on the validation dates, or the kind that was asked for in its place."""
    choice = choose(folds, best, barred)
    if choice.kind == best != ENSEMBLE:
        ensemble = choice.scores[ENSEMBLE]["d2_shape"]
        alone = f"{best} alone, ahead of the ensemble ({ensemble:.3f}) on every date"
        choice = replace(choice, reason=f"{choice.reason}; {alone}")
    if kind is None:
        return choice
    return replace(choice, kind=kind, has_won=True, reason=f"{kind}, as asked; {choice.reason}")


def _how_little_is_known(shrinkage: Shrinkage, folds: Sequence[Fold]) -> str:
    """A sentence where the rule has much of the ensemble or there is one date to judge by."""
    said = []
    if len(folds) == 1:
        fold = folds[0]
        buyers = int((fold.actual > 0).sum())
        said.append(f"judged on {fold.cutoff} alone, by {buyers:,} buyers")
    if shrinkage.trust < MUCH_TRUST:
        said.append(
            f"with so few repeat customers the ensemble counts {shrinkage.trust:.0%} and "
            f"{shrinkage.rule} the rest"
        )
    return ", ".join(said)


def without_family(fitting: Fitting, family: str) -> FittedModel | None:
    """The model without what a family adds; the same object where it adds nothing."""
    learning, members, plan = fitting.learning, fitting.members, fitting.learning.plan
    kind, scales = fitting.choice.kind, fitting.folds[0].scales if fitting.folds else {}
    if members is None or kind != members.corrected or family not in scales:
        return fitting.model
    others = {name: scale for name, scale in scales.items() if name != family}
    folds = correct_folds(learning, fitting.folds, kind, others)
    members = correct_members(learning, members, kind, plan.cutoffs, plan.as_of, others)
    return finish_model(learning, members, folds, kind)


def finish_model(
    learning: Learning, members: Members, folds: Sequence[Fold], kind: str
) -> FittedModel:
    """Calibrates fitted members: slope, total, probabilities, intervals, the score's reference."""
    plan, now = learning.plan, learning.rows.seen_from(learning.plan.as_of)
    members = members.of_kind(kind)
    prepared = members.preparation.apply(now)
    forecast = forecast_now(learning)
    outcomes = [fold.outcomes[kind] for fold in folds]
    slope = fit_slope(outcomes)
    purchase_slope = fit_logit_slope(outcomes)
    outcomes = scale_logits(outcomes, purchase_slope)
    predictor = slope * members.linear_predictor(prepared, kind)
    largest = max(float(learning.at(plan.cutoffs).label_value.max(initial=0.0)), 1.0)
    largest *= learning.unit
    model = FittedModel(
        kind=kind,
        members=members,
        forecast=forecast,
        slope=slope,
        spend_shift=spend_shift(predictor, forecast),
        log_highest=float(np.log(largest * plan.extrapolation)) + HIGHEST,
        largest_spend=largest,
        purchase_slope=purchase_slope,
        purchase_shift=purchase_shift(
            purchase_slope * members.purchase_logit(prepared, kind), prepared, forecast
        ),
        orders_factor=fit_orders_factor(outcomes),
        residuals=fit_residuals(outcomes, slope, forecast.standard_deviation),
        reference=np.zeros(101),
        retention_rate=float(np.median(now.rules["shop_retention_rate"])),
        forecast_customers=len(now),
        growth=growth_facts(learning, outcomes, slope),
    )
    predicted = model.predict(now)["predicted_value"]
    return replace(model, reference=np.quantile(predicted, np.linspace(0, 1, 101)))


def spend_shift(predictor: Floats, forecast: TotalForecast) -> float:
    """What to add to log spend so that the total is the forecast one; 0 where either total is 0."""
    top = float(predictor.max(initial=0.0))
    total = float(np.exp(predictor - top).sum())
    if not (total > 0 and forecast.total > 0):
        return 0.0
    return float(np.log(forecast.total / total)) - top


def purchase_shift(logits: Floats, rows: Prepared, forecast: TotalForecast) -> float:
    """What to add to the logits of all rows so that their mean probability follows the total."""
    own = sigmoid(rows.logit_purchase + rows.purchase_extrapolation)
    return logit_shift(logits, mean_probability(own, forecast))
