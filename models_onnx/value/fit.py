"""From training examples to a fitted model: validate forward in time, choose, fit on everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value import metrics
from cva_sql.models_onnx.value.bootstrap import paired_difference
from cva_sql.models_onnx.value.candidates import (
    KINDS,
    RESIDUAL_LEVELS,
    Floats,
    fit_glm,
    fit_orders_trees,
    fit_probability_trees,
    fit_residual_trees,
    fit_value_trees,
)
from cva_sql.models_onnx.value.dataset import Dataset
from cva_sql.models_onnx.value.model import FittedModel, Members
from cva_sql.models_onnx.value.origins import Plan
from cva_sql.models_onnx.value.preprocessing import fit_preprocessing
from cva_sql.models_onnx.value.rules import DECAY_DAYS, rule_predictions

VALIDATION_DATES = 3
MIN_ROWS = 200  # fewer examples than this, or fewer buyers than a tenth of it, and the rule stays
NGINI_TOLERANCE = 0.005  # half the standard error that nGini has in a shop of 24,000 customers
RULE = "baseline"
# Without buyers to learn from: a log-logistic spread of .8, as int_cva__shop_stats has it.
FIXED_QUANTILES = (
    0.8 * np.sqrt(3) / np.pi * np.log(np.array(RESIDUAL_LEVELS) / (1 - np.array(RESIDUAL_LEVELS)))
)

OPTIONAL_FAMILY = "reviews"  # costs a reading of every text, so it has to show what it is for

Report = Callable[[str], None]


@dataclass(frozen=True)
class Fold:
    """One validation date: what was spent from it on and what was predicted, per customer."""

    origin: date
    actual: Floats
    predictions: dict[str, Floats]
    probability: Floats


@dataclass(frozen=True)
class Choice:
    """How the candidates and rules did on the validation dates, and what follows.

    `scores` is name -> metric -> mean over the dates; `kind` the best candidate; `reason` says in a
    sentence why it is deployed or not.
    """

    kind: str
    is_better: bool
    reason: str
    scores: dict[str, dict[str, float]]
    dates: tuple[date, ...]


Fit = tuple[FittedModel | None, Choice]


def fit_members(rows: Dataset, plan: Plan) -> Members:
    """All members on these rows; newer examples weigh more."""
    preprocessing = fit_preprocessing(rows.numbers, rows.categories)
    matrix = preprocessing.matrix(rows.numbers, rows.categories)
    weight = example_weights(rows, plan)
    return Members(
        preprocessing,
        fit_glm(matrix, rows.label_value, weight),
        fit_value_trees(matrix, rows.label_value, weight),
        fit_probability_trees(matrix, rows.label_value, weight),
        fit_orders_trees(matrix, rows.label_orders, weight),
        plan.label_days / DECAY_DAYS,
    )


def example_weights(rows: Dataset, plan: Plan) -> Floats:
    """.5^(age / two label lengths): last season matters more than the one before."""
    age = (np.datetime64(plan.as_of, "D") - rows.as_of_date).astype(np.float64)
    return np.asarray(0.5 ** (age / (2.0 * plan.label_days)))


def validate(data: Dataset, plan: Plan, report: Report) -> list[Fold]:
    """Forward-chained folds, newest first: each learns only from what was known on its date."""
    folds: list[Fold] = []
    for origin in plan.origins:
        if len(folds) == VALIDATION_DATES:
            break
        known = plan.trained_before(origin)
        rows = data.at(known, plan.label_days)
        test = data.at([origin], plan.label_days)
        if not is_enough(rows) or not is_enough(test):
            continue
        report(
            f"validating on {origin}: learning from {len(rows):,} examples of {len(known)} dates"
        )
        members = fit_members(rows, plan)
        matrix = members.matrix(test)
        rules = reference_predictions(test, plan.label_days)
        predictions = {}
        for kind in KINDS:
            values = members.values(matrix, kind)
            predictions[kind] = values * level_to(rules[RULE], values)
        predictions |= rules
        folds.append(
            Fold(
                origin,
                test.label_value,
                predictions,
                members.probability_trees.probability(matrix),
            )
        )
    return folds


def is_enough(rows: Dataset) -> bool:
    """Whether these rows are enough to learn from or to judge by."""
    buyers = int((rows.label_value > 0).sum())
    return len(rows) >= MIN_ROWS and buyers >= MIN_ROWS // 10


def level_to(rule: Floats, values: Floats) -> float:
    """The factor that gives `values` the rule's total, 1 where either total is 0."""
    return float(rule.sum() / values.sum()) if rule.sum() > 0 and values.sum() > 0 else 1.0


def reference_predictions(rows: Dataset, horizon_days: int) -> dict[str, Floats]:
    """The rules on rows of one date, and the packaged baseline, which is one of them levelled."""
    history = float(np.max(rows.rules["shop_history_days"], initial=1.0))
    rules = rule_predictions(rows.rules, horizon_days=horizon_days, history_days=max(history, 1.0))
    level = rows.rules["shop_spend_level"]
    return {RULE: rules["decayed_spend"] * level, **rules}


def choose(folds: Sequence[Fold]) -> Choice:
    """The best candidate, and whether it beats every rule.

    It does where on average over the dates it explains more deviance than any rule once all totals
    are right (who spends how much is one problem, the season of the shop another, and one date's
    luck with the total would hide the first), where its nGini is not below the best rule's, and
    where its ranking is better than chance on every date.
    """
    dates = tuple(fold.origin for fold in folds)
    if not folds:
        reason = "there is too little history to test a model forward in time"
        return Choice(KINDS[0], False, reason, {}, dates)
    scores: dict[str, dict[str, float]] = {}
    for name in folds[0].predictions:
        rows = [_fold_scores(fold.actual, fold.predictions[name]) for fold in folds]
        scores[name] = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    kind = max(KINDS, key=lambda name: scores[name]["d2_shape"])
    is_better, reason = _verdict(kind, folds, scores)
    return Choice(kind, is_better, reason, scores, dates)


def _fold_scores(actual: Floats, predicted: Floats) -> dict[str, float]:
    total = predicted.sum()
    rescaled = predicted * (actual.sum() / total) if total > 0 else predicted
    return {
        "d2_shape": metrics.d2_tweedie(actual, rescaled),
        "d2_tweedie": metrics.d2_tweedie(actual, predicted),
        "ngini": metrics.ngini(actual, predicted),
        "spearman": metrics.spearman(actual, predicted),
        "mae": metrics.mae(actual, predicted),
        "r2": metrics.r2(actual, predicted),
        "bias": metrics.bias(actual, predicted),
    }


def _verdict(
    kind: str, folds: Sequence[Fold], scores: dict[str, dict[str, float]]
) -> tuple[bool, str]:
    rules = [name for name in scores if name not in KINDS]
    by_deviance = max(rules, key=lambda name: scores[name]["d2_shape"])
    by_rank = max(rules, key=lambda name: scores[name]["ngini"])
    ours, best = scores[kind]["d2_shape"], scores[by_deviance]["d2_shape"]
    if not ours > best:
        return (
            False,
            f"rule {by_deviance} explains more deviance ({best:.3f}) than {kind} ({ours:.3f})",
        )
    gini, best_gini = scores[kind]["ngini"], scores[by_rank]["ngini"]
    if gini < best_gini - NGINI_TOLERANCE:
        return (
            False,
            f"rule {by_rank} ranks better (nGini {best_gini:.3f}) than {kind} ({gini:.3f})",
        )
    for fold in folds:
        chance = np.zeros(len(fold.actual))
        skill = paired_difference(
            metrics.ngini, fold.actual, fold.predictions[kind], chance, replicates=100
        )
        if not skill.lower > 0:
            return False, (
                f"{kind} ranks no better than chance on {fold.origin} "
                f"(nGini {skill.value:.3f}, from {skill.lower:.3f})"
            )
    return True, (
        f"{kind} explains more deviance ({ours:.3f}) than the best rule, {by_deviance} "
        f"({best:.3f}), and ranks as well or better (nGini {gini:.3f}, best rule {best_gini:.3f})"
    )


def fit_model(data: Dataset, plan: Plan, report: Report, kind: str | None = None) -> Fit:
    """The chosen candidate fitted on every origin, None where there is too little to learn from.

    `data` also has the rows of the plan's own date, for the level and the score's reference.
    `kind` takes a candidate without asking which is best.
    """
    rows = data.at(plan.origins, plan.label_days)
    if not is_enough(rows):
        return None, choose([])
    folds = validate(data, plan, report)
    choice = choose(folds)
    kind = kind or choice.kind
    report(f"fitting {kind} on {len(rows):,} examples of {len(plan.origins)} dates")
    members = fit_members(rows, plan)
    now = data.seen_from(plan.as_of)
    values = members.values(members.matrix(now), kind) * plan.stretch
    level = level_to(reference_predictions(now, plan.horizon_days)[RULE], values)
    matrix, residuals = _buyers_residuals(folds, kind, rows, members)
    trees = fit_residual_trees(matrix, residuals, np.ones(len(residuals)))
    quantiles = np.quantile(residuals, RESIDUAL_LEVELS) if len(residuals) >= 30 else FIXED_QUANTILES
    model = FittedModel(
        kind=kind,
        members=members,
        level=level,
        stretch=plan.stretch,
        residual_trees=trees,
        residual_quantiles=quantiles,
        reference=np.zeros(101),
        retention_rate=float(np.median(now.rules["shop_retention_rate"])),
    )
    predicted = model.predict(now)["predicted_value"]
    reference = np.quantile(predicted, np.linspace(0, 1, 101))
    return FittedModel(**{**model.__dict__, "reference": reference}), choice


def has_family(data: Dataset, family: str) -> bool:
    """Whether any feature of this family varies, so that a model could learn from it."""
    rows = data.of_family(family)
    return fit_preprocessing(rows.numbers, rows.categories).width > 0


def fit_both_ways(data: Dataset, plan: Plan, report: Report) -> list[tuple[Dataset, Fit]]:
    """Fits with everything, and where there are reviews also without them; the better one first.

    More features are not always better: in a small shop their noise can cost more than they tell.
    The candidate that explained more deviance on the validation dates is taken.
    """
    fits = [(data, fit_model(data, plan, report))]
    if has_family(data, OPTIONAL_FAMILY):
        report(f"without {OPTIONAL_FAMILY}")
        lean = data.without_family(OPTIONAL_FAMILY)
        fits.append((lean, fit_model(lean, plan, report)))
    return sorted(fits, key=lambda fit: -_validated(fit[1][1]))


def _validated(choice: Choice) -> float:
    return choice.scores[choice.kind]["d2_shape"] if choice.scores else -np.inf


def _buyers_residuals(
    folds: Sequence[Fold], kind: str, rows: Dataset, members: Members
) -> tuple[NDArray[np.float32], Floats]:
    """log(spend / expected spend) of the buyers, out of sample, with the matrix to explain it.

    The folds' matrices can differ in columns from the final one (a category may be missing in an
    early fold), so they are taken from the final preprocessing over the same rows.
    """
    matrices, residuals = [], []
    for fold in folds:
        test = rows.at([fold.origin], int(rows.label_days[0]))
        expected = fold.predictions[kind] / np.maximum(fold.probability, 1e-6)
        buyers = (fold.actual > 0) & (expected > 0)
        matrices.append(members.matrix(test)[buyers])
        residuals.append(np.log(fold.actual[buyers] / expected[buyers]))
    if not residuals:
        return np.empty((0, members.preprocessing.width), dtype=np.float32), np.empty(0)
    return np.concatenate(matrices), np.concatenate(residuals)
