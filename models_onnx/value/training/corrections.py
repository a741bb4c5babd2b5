"""Fits what optional families add to a kind of model, with its own forecast as the offset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats, Matrix
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.estimators.linear import fit_logit_linear, fit_spend_linear
from cva_sql.models_onnx.value.model.ensemble import Members
from cva_sql.models_onnx.value.preparation.corrections import (
    Correction,
    add_corrections,
    fit_family_columns,
)
from cva_sql.models_onnx.value.preparation.rows import SPEND_FLOOR
from cva_sql.models_onnx.value.total.calibration import logit_shift
from cva_sql.models_onnx.value.training.examples import recency_weight
from cva_sql.models_onnx.value.training.learning import Learning
from cva_sql.models_onnx.value.training.validation import Fold


@dataclass(frozen=True)
class Told:
    """Examples with what a kind says of each: log of spend and logit of buying, (rows,).

    Each date's total and share of buyers are set right: they are no family's task.
    """

    rows: Dataset
    predictor: Floats
    logit: Floats

    def corrected(self, spend: Floats, purchase: Floats) -> Told:
        """The same with a correction, dates set right again."""
        return _set_right(self.rows, self.predictor + spend, self.logit + purchase)


def tell(learning: Learning, members: Members, kind: str, dates: Sequence[date]) -> Told:
    """The examples of these dates, each as this kind sees it without corrections."""
    rows = learning.at(dates)
    predictor, logit = np.zeros(len(rows)), np.zeros(len(rows))
    for day in dates:
        here = rows.as_of_date == np.datetime64(day, "D")
        if not here.any():
            continue
        preparation = replace(
            members.preparation,
            lifetimes=learning.lifetimes[day],
            horizon_days=learning.plan.label_days,
            corrections=(),
        )
        prepared = preparation.apply(rows.select(here))
        predictor[here] = members.linear_predictor(prepared, kind)
        logit[here] = members.purchase_logit(prepared, kind)
    return _set_right(rows, predictor, logit)


def _set_right(rows: Dataset, predictor: Floats, logit: Floats) -> Told:
    predictor, logit = predictor.copy(), logit.copy()
    floor = SPEND_FLOOR * (float(rows.label_value.mean()) or 1.0)
    for day in np.unique(rows.as_of_date):
        here = rows.as_of_date == day
        value, own = rows.label_value[here], predictor[here]
        mean = max(float(value.mean()), floor)
        predictor[here] = own - own.max() + np.log(mean / np.exp(own - own.max()).mean())
        rate = float(np.clip((value > 0).mean(), 0.5 / len(value), 1 - 0.5 / len(value)))
        logit[here] += logit_shift(logit[here], rate)
    return Told(rows, predictor, logit)


def fit_correction(
    family: str, known: Told, as_of: date, label_days: int
) -> tuple[Correction, Matrix, Floats] | None:
    """A family's correction in full, its columns on these examples, and what each expects.

    None where no feature of the family varies.
    """
    rows = known.rows.of_family(family)
    days = (np.datetime64(as_of, "D") - rows.as_of_date).astype(np.float64)
    weight = recency_weight(days, label_days)
    columns = fit_family_columns(rows, weight)
    if columns is None:
        return None
    z, signs = columns.matrix(rows), columns.signs(rows.terms.monotone)
    value, bought = rows.label_value, (rows.label_value > 0).astype(np.float64)
    spend = fit_spend_linear(z, value, weight, known.predictor, signs)
    purchase = fit_logit_linear(z, bought, weight, known.logit, signs)
    correction = Correction(family, 1.0, columns, spend, purchase)
    share = weight * np.exp(known.predictor)
    return correction.at(1.0, z, share), z, share


def correct_members(
    learning: Learning,
    members: Members,
    kind: str,
    dates: Sequence[date],
    as_of: date,
    scales: Mapping[str, float],
) -> Members:
    """Members with these families' corrections of a kind, fitted one after the other on the dates.

    None that they had are kept.
    """
    if not scales:
        return members.corrected_by((), kind)
    known = tell(learning, members, kind, dates)
    found: list[Correction] = []
    for family, scale in scales.items():
        fitted = fit_correction(family, known, as_of, learning.plan.label_days)
        if fitted is None:
            continue
        correction, z, share = fitted
        found.append(correction.at(scale, z, share))
        known = known.corrected(found[-1].spend.predict(z), found[-1].purchase.predict(z))
    return members.corrected_by(tuple(found), kind)


def correct_folds(
    learning: Learning, folds: Sequence[Fold], kind: str, scales: Mapping[str, float]
) -> list[Fold]:
    """The folds with these families' corrections of a kind alone, each by what was known then."""
    return [_corrected(learning, fold.base or fold, kind, scales) for fold in folds]


def _corrected(learning: Learning, fold: Fold, kind: str, scales: Mapping[str, float]) -> Fold:
    members = members_of(fold)
    if not scales or members is None:
        return fold
    known = learning.plan.trained_before(fold.cutoff)
    members = correct_members(learning, members, kind, known, fold.cutoff, scales)
    added = add_corrections(members.preparation.corrections, learning.at([fold.cutoff]))
    return fold.corrected(kind, *added, scales)


def members_of(fold: Fold) -> Members | None:
    """What predicted for a fold, with the rule and the networks that its ensemble has by now."""
    if fold.members is None:
        return None
    return replace(fold.members, shrinkage=fold.shrinkage, joined=fold.joined)
