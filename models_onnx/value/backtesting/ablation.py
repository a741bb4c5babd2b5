"""The ensemble without each of its ingredients, on one date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.estimators.lifetimes import COLUMNS
from cva_sql.models_onnx.value.members.registry import ENSEMBLE, NONE_JOINED, parts
from cva_sql.models_onnx.value.model.ensemble import Members
from cva_sql.models_onnx.value.model.fitted import FittedModel
from cva_sql.models_onnx.value.preparation.rows import Preparation, Prepared
from cva_sql.models_onnx.value.total.calibration import scale_logits
from cva_sql.models_onnx.value.total.intervals import fit_residuals
from cva_sql.models_onnx.value.training.corrections import correct_folds
from cva_sql.models_onnx.value.training.fit import (
    finish_model,
    fit_now,
    purchase_shift,
    spend_shift,
)
from cva_sql.models_onnx.value.training.learning import Learning
from cva_sql.models_onnx.value.training.validation import (
    RULE,
    Fold,
    Report,
    reference_predictions,
    validate,
)

LOGISTIC = "logistic pair"
OWN_LABELS = (*(f"spend_horizon_{k}" for k in range(1, 5)), "spend_same_season")
DECAYS = ("decayed_spend_30d", "decayed_spend_90d", "decayed_spend_365d", "decayed_orders")
# Differences are those without less those with the ingredient.
FIGURES = (
    "ngini",
    "r2",
    "mae",
    "decile_mape",
    "abs_bias",
    "brier",
    "pinball_p90",
    "coverage_p90_positive",
)

Outputs = dict[str, Floats]


def predictor_without(
    predictors: Mapping[str, Floats],
    dropped: str,
    trust: float = 1.0,
    joined: Mapping[str, float] = NONE_JOINED,
) -> Floats:
    """The ensemble's linear predictor with the weight of one part spread over the others.

    In proportion to theirs, within the `trust` that the ensemble has beside its rule. `predictors`
    has the ensemble's and that of each part, the networks that `joined` it among them.
    """
    shares = parts(joined)
    whole = np.sum([share * predictors[part] for part, share in shares.items()], axis=0)
    moved = shares[dropped] / (1 - shares[dropped]) * (whole - predictors[dropped])
    return np.asarray(predictors[ENSEMBLE] + trust * moved)


@dataclass(frozen=True)
class Lean(Members):
    """Members whose ensemble lacks one part or the logistic pair; see `ablate`."""

    dropped: str = ""

    def linear_predictor(self, rows: Prepared, kind: str) -> Floats:
        """As the members', the ensemble's without `dropped` where that is a part of it."""
        if kind != ENSEMBLE or self.dropped not in parts(self.joined):
            return super().linear_predictor(rows, kind)
        names = (ENSEMBLE, *parts(self.joined))
        found = {name: super(Lean, self).linear_predictor(rows, name) for name in names}
        return predictor_without(found, self.dropped, self.shrinkage.trust, self.joined)

    def purchase_logit(self, rows: Prepared, kind: str) -> Floats:
        """As the members', or buy-till-you-die's own."""
        if self.dropped == LOGISTIC and kind == ENSEMBLE:
            return rows.logit_purchase + rows.purchase_extrapolation
        return super().purchase_logit(rows, kind)


@dataclass(frozen=True)
class Blank(Preparation):
    """Rows in which the columns of buy-till-you-die say nothing: all 0."""

    def apply(self, rows: Dataset) -> Prepared:
        """The rows as the members see them."""
        prepared = super().apply(rows)
        matrix = prepared.matrix.copy()
        matrix[:, -len(COLUMNS) :] = 0.0
        return replace(prepared, matrix=matrix)


def ablate(
    learning: Learning,
    members: Members,
    folds: Sequence[Fold],
    whole: FittedModel,
    test: Dataset,
    report: Report,
) -> dict[str, Outputs]:
    """Predictions for `test` by what the ensemble lacks; `whole` is the model of all members.

    What is only a weight or a number is taken out of the fitted members; for features all of them
    are fitted again, forward in time as well.
    """
    report("ablation: weights and totals")
    found = {
        f"member {part}": _lean(learning, members, folds, part).predict(test)
        for part in parts(members.joined)
    }
    found[LOGISTIC] = _lean(learning, members, folds, LOGISTIC).predict(test)
    now = learning.rows.seen_from(learning.plan.as_of)
    rule = reference_predictions(now, learning.plan.horizon_days)[RULE]
    for name, total in (
        ("own total: lifetimes'", whole.forecast.expected),
        (f"own total: {RULE}'s", float(rule.sum()) * learning.unit),
    ):
        found[name] = _at_total(learning, whole, total).predict(test)
    found["slope"] = _straight(learning, whole, folds).predict(test)
    outcomes = scale_logits([fold.outcomes[ENSEMBLE] for fold in folds], whole.purchase_slope)
    narrow = fit_residuals(outcomes, whole.slope, 0.0)
    found["total in intervals"] = replace(whole, residuals=narrow).predict(test)
    for name, other in _refits(learning).items():
        report(f"ablation: fitting without {name}")
        found[name] = _refit(other, folds).predict(test)
    return found


def _lean(learning: Learning, members: Members, folds: Sequence[Fold], dropped: str) -> FittedModel:
    plain = {field.name: getattr(members, field.name) for field in fields(Members)}
    return finish_model(
        learning,
        Lean(**plain, dropped=dropped),
        [_lean_fold(fold, dropped) for fold in folds],
        ENSEMBLE,
    )


def _lean_fold(fold: Fold, dropped: str) -> Fold:
    outcome = fold.outcomes[ENSEMBLE]
    if dropped == LOGISTIC:
        outcome = replace(outcome, logit=fold.own_logit)
    else:
        predictors = {ENSEMBLE: outcome.linear_predictor, **fold.parts}
        predictor = predictor_without(predictors, dropped, fold.shrinkage.trust, fold.joined)
        outcome = replace(outcome, linear_predictor=predictor)
    return replace(fold, outcomes={**fold.outcomes, ENSEMBLE: outcome})


def _at_total(learning: Learning, model: FittedModel, total: float) -> FittedModel:
    """The same customers' shares and order at another total, with the probabilities that follow."""
    if not (total > 0 and model.forecast.total > 0):
        return model
    forecast, rows = replace(model.forecast, total=total), _now(learning, model)
    logits = model.purchase_slope * model.members.purchase_logit(rows, model.kind)
    return replace(
        model,
        forecast=forecast,
        spend_shift=model.spend_shift + float(np.log(total / model.forecast.total)),
        purchase_shift=purchase_shift(logits, rows, forecast),
    )


def _now(learning: Learning, model: FittedModel) -> Prepared:
    return model.members.preparation.apply(learning.rows.seen_from(learning.plan.as_of))


def _straight(learning: Learning, model: FittedModel, folds: Sequence[Fold]) -> FittedModel:
    """The same total with a slope of 1."""
    predictor = model.members.linear_predictor(_now(learning, model), model.kind)
    outcomes = scale_logits([fold.outcomes[model.kind] for fold in folds], model.purchase_slope)
    return replace(
        model,
        slope=1.0,
        spend_shift=spend_shift(predictor, model.forecast),
        residuals=fit_residuals(outcomes, 1.0, model.forecast.standard_deviation),
    )


def _refits(learning: Learning) -> dict[str, Learning]:
    """What to learn from without some features; a shop that lacks them is left out."""
    found = {"lifetimes' columns": replace(learning, prepare=Blank)}
    for name, columns in (("own past labels", OWN_LABELS), ("decayed spends", DECAYS)):
        rows = learning.rows
        needed = rows.target.decayed
        kept = {n: column for n, column in rows.numbers.items() if n not in columns or n == needed}
        if len(kept) < len(rows.numbers):
            found[name] = replace(learning, rows=replace(rows, numbers=kept))
    return found


def _refit(learning: Learning, whole: Sequence[Fold]) -> FittedModel:
    """Corrected by families as the whole is, where that is the ensemble."""
    folds = validate(learning, lambda _: None)
    if whole and whole[0].kind == ENSEMBLE:
        folds = correct_folds(learning, folds, ENSEMBLE, whole[0].scales)
    return finish_model(learning, fit_now(learning, folds), folds, ENSEMBLE)
