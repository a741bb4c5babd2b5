"""Which model scores: the ensemble, a member alone, or the rule that beats them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from cva_sql.models_onnx.value.estimators.curves import CurvePoint
from cva_sql.models_onnx.value.judging import metrics as metrics
from cva_sql.models_onnx.value.judging.bootstrap import paired_difference
from cva_sql.models_onnx.value.members.registry import ENSEMBLE, learned_kinds
from cva_sql.models_onnx.value.members.rules import RULE_FITS
from cva_sql.models_onnx.value.training.families import FamilyWeight
from cva_sql.models_onnx.value.training.validation import Fold

# What a member has to be ahead of the ensemble by, in deviance explained, to score alone: in 48
# samples of 500 and 2,000 customers of CDNOW and Online Retail II none ever was, on all dates.
MEMBER_LEAD = 0.02
# Half the standard error that nGini has with so many customers; it goes with 1 / √customers.
NGINI_TOLERANCE, TOLERANCE_CUSTOMERS = 0.005, 24_000


@dataclass(frozen=True)
class Choice:
    """How the candidates and rules did on the validation dates, and what follows.

    `kind` won, and `has_won` says whether anything did; `reason` says so in a sentence. `scores` is
    name -> metric -> mean over the dates; `total_errors` are log(actual / forecast total) by date,
    `curves` the losses of boosters and networks by round on the newest date. `families` are the
    weights of the optional families in the model.
    """

    kind: str
    has_won: bool
    reason: str
    scores: dict[str, dict[str, float]]
    dates: tuple[date, ...]
    total_errors: tuple[float, ...] = ()
    curves: tuple[CurvePoint, ...] = ()
    families: tuple[FamilyWeight, ...] = ()


def best_kind(folds: Sequence[Fold]) -> str:
    """The ensemble, or the member that was better than it on every validation date.

    Fixed weights do best in most shops. Where past spend says the opposite of what it says
    elsewhere, the members that take it for granted spoil them. A member takes the ensemble's place
    where it explained more deviance and ranked better on each of two dates or more, and was
    MEMBER_LEAD ahead on average.
    """
    if len(folds) < 2:
        return ENSEMBLE
    leads: dict[str, float] = {}
    for kind in learned_kinds(folds[0].outcomes):
        ahead = [_lead(fold, kind) for fold in folds]
        deviance = float(np.mean([lead for lead, _ in ahead]))
        if all(min(pair) > 0 for pair in ahead) and deviance >= MEMBER_LEAD:
            leads[kind] = deviance
    return max(leads, key=lambda kind: leads[kind], default=ENSEMBLE)


def _lead(fold: Fold, kind: str) -> tuple[float, float]:
    """Deviance explained and nGini of a kind less the ensemble's."""
    own, other = fold.scores[kind], fold.scores[ENSEMBLE]
    return own["d2_shape"] - other["d2_shape"], own["ngini"] - other["ngini"]


def choose(folds: Sequence[Fold], kind: str = ENSEMBLE, barred: Collection[str] = ()) -> Choice:
    """The model of this kind if it beats every rule, else the rule that beats it.

    Where there is no date to judge on it scores unjudged. A rule that is `barred` is measured, and
    beats nothing: it could not score.

    It does where on average over the dates it explains more deviance than any rule once all totals
    are right (who spends how much is one problem, the season of the shop another, and one date's
    luck with the total would hide the first), where its nGini is not below the best rule's, and
    where its ranking is better than chance on every date.
    """
    dates = tuple(fold.cutoff for fold in folds)
    if not folds:
        reason = (
            f"too few customers or dates to test a model forward in time, so {kind} is not judged"
        )
        return Choice(kind, True, reason, {}, dates)
    scores: dict[str, dict[str, float]] = {}
    for name in folds[0].predictions:
        rows = [fold.scores[name] for fold in folds]
        scores[name] = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    winner, reason = _verdict(kind, folds, scores, barred)
    if barred:
        reason = f"{reason}; cva_monotone leaves out what goes against it: {', '.join(barred)}"
    errors = tuple(
        float(np.log(fold.actual.sum() / fold.forecast.total)) if fold.forecast.total > 0 else 0.0
        for fold in folds
    )
    has_won = winner is not None
    return Choice(winner or kind, has_won, reason, scores, dates, errors, folds[0].curves)


def _tolerance(folds: Sequence[Fold]) -> float:
    """How far below a rule's nGini is as good: half its standard error."""
    customers = sum(len(fold.actual) for fold in folds)
    return NGINI_TOLERANCE * max(1.0, float(np.sqrt(TOLERANCE_CUSTOMERS / max(1, customers))))


def _verdict(
    kind: str,
    folds: Sequence[Fold],
    scores: dict[str, dict[str, float]],
    barred: Collection[str],
) -> tuple[str | None, str]:
    """The winner and why; no winner where nothing can be compared."""
    if not np.isfinite(scores[kind]["d2_shape"]):
        return None, "on a validation date all customers spent alike, so there is nothing to rank"
    rules = [name for name in scores if name in RULE_FITS and name not in barred]
    by_deviance = max(rules, key=lambda name: scores[name]["d2_shape"])
    by_rank = max(rules, key=lambda name: scores[name]["ngini"])
    ours, best = scores[kind]["d2_shape"], scores[by_deviance]["d2_shape"]
    if not ours > best:
        return (
            by_deviance,
            f"rule {by_deviance} explains more deviance ({best:.3f}) than {kind} ({ours:.3f})",
        )
    gini, best_gini = scores[kind]["ngini"], scores[by_rank]["ngini"]
    if gini < best_gini - _tolerance(folds):
        return (
            by_rank,
            f"rule {by_rank} ranks better (nGini {best_gini:.3f}) than {kind} ({gini:.3f})",
        )
    for fold in folds:
        constant = np.zeros(len(fold.actual))
        skill = paired_difference(
            metrics.ngini, fold.actual, fold.predictions[kind], constant, replicates=100
        )
        if not skill.lower > 0:
            return by_deviance, (
                f"{kind} ranks no better than chance on {fold.cutoff} "
                f"(nGini {skill.value:.3f}, from {skill.lower:.3f}), so the best rule scores: "
                f"{by_deviance}"
            )
    return kind, (
        f"{kind} explains more deviance ({ours:.3f}) than the best rule, {by_deviance} "
        f"({best:.3f}), and ranks as well or better (nGini {gini:.3f}, best rule {best_gini:.3f})"
    )
