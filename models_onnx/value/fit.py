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
    fit_orders_trees,
    fit_probability_trees,
    fit_residual_trees,
    fit_ridge,
    fit_value_trees,
)
from cva_sql.models_onnx.value.dataset import Dataset
from cva_sql.models_onnx.value.model import FittedModel, Members
from cva_sql.models_onnx.value.origins import Plan
from cva_sql.models_onnx.value.preprocessing import fit_preprocessing
from cva_sql.models_onnx.value.rules import rule_predictions

VALIDATION_DATES = 3
MIN_ROWS = 200  # fewer examples than this, or fewer buyers than a tenth of it, and the rule stays
NGINI_TOLERANCE = 0.005  # half the standard error that nGini has in a shop of 24,000 customers
LEVEL_TRUST = 0.5  # of the level error that a back-test finds, half is still there next time
RULE = "baseline"
# Without buyers to learn from: a log-logistic spread of .8, as int_cva__shop_stats has it.
FIXED_QUANTILES = (
    0.8 * np.sqrt(3) / np.pi * np.log(np.array(RESIDUAL_LEVELS) / (1 - np.array(RESIDUAL_LEVELS)))
)

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
    level: float
    scores: dict[str, dict[str, float]]
    dates: tuple[date, ...]


def fit_members(rows: Dataset, plan: Plan) -> Members:
    """All members on these rows; newer examples weigh more."""
    preprocessing = fit_preprocessing(rows.numbers, rows.categories)
    matrix = preprocessing.matrix(rows.numbers, rows.categories)
    weight = example_weights(rows, plan)
    ridge = fit_ridge(matrix, rows.label_value, weight)
    trees = fit_value_trees(matrix, rows.label_value, weight)
    blend = np.average(np.sqrt(trees.exp(matrix) * ridge.predict(matrix)), weights=weight)
    return Members(
        preprocessing,
        ridge,
        trees,
        fit_probability_trees(matrix, rows.label_value, weight),
        fit_orders_trees(matrix, rows.label_orders, weight),
        float(np.average(rows.label_value, weights=weight) / blend) if blend > 0 else 0.0,
    )


def example_weights(rows: Dataset, plan: Plan) -> Floats:
    """.5^(age / two label lengths): last season matters more than the one before."""
    age = (np.datetime64(plan.as_of, "D") - rows.as_of_date).astype(np.float64)
    return np.asarray(0.5 ** (age / (2.0 * plan.label_days)))


def validate(data: Dataset, plan: Plan, report: Report) -> list[Fold]:
    """Forward-chained folds, newest first: at each date only what was known on it is learned from."""
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
        predictions = {kind: members.values(matrix, kind) for kind in KINDS}
        predictions |= reference_predictions(test, plan.label_days)
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


def reference_predictions(rows: Dataset, horizon_days: int) -> dict[str, Floats]:
    """The rules on rows of one date, and the packaged baseline, which is one of them levelled."""
    history = float(np.nanmax(rows.rules["shop_history_days"], initial=1.0))
    rules = rule_predictions(rows.rules, horizon_days=horizon_days, history_days=max(history, 1.0))
    level = rows.rules["shop_spend_level"]
    return {RULE: rules["decayed_spend"] * level, **rules}


def choose(folds: Sequence[Fold]) -> Choice:
    """The best candidate, and whether it beats every rule.

    It does where its deviance explained is the highest of all on average, its nGini is not below the
    best rule's, and its ranking is better than chance on every date.
    """
    dates = tuple(fold.origin for fold in folds)
    if not folds:
        reason = "there is too little history to test a model forward in time"
        return Choice(KINDS[0], False, reason, 1.0, {}, dates)
    scores: dict[str, dict[str, float]] = {}
    for name in folds[0].predictions:
        rows = [_fold_scores(fold.actual, fold.predictions[name]) for fold in folds]
        scores[name] = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    kind = max(KINDS, key=lambda name: scores[name]["d2_tweedie"])
    is_better, reason = _verdict(kind, folds, scores)
    return Choice(kind, is_better, reason, back_tested_level(folds, kind), scores, dates)


def _fold_scores(actual: Floats, predicted: Floats) -> dict[str, float]:
    return {
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
    by_deviance = max(rules, key=lambda name: scores[name]["d2_tweedie"])
    by_rank = max(rules, key=lambda name: scores[name]["ngini"])
    ours = scores[kind]
    if not ours["d2_tweedie"] > scores[by_deviance]["d2_tweedie"]:
        return False, (
            f"rule {by_deviance} explains more of the deviance "
            f"({scores[by_deviance]['d2_tweedie']:.3f}) than {kind} ({ours['d2_tweedie']:.3f})"
        )
    if ours["ngini"] < scores[by_rank]["ngini"] - NGINI_TOLERANCE:
        return False, (
            f"rule {by_rank} ranks better (nGini {scores[by_rank]['ngini']:.3f}) "
            f"than {kind} ({ours['ngini']:.3f})"
        )
    for fold in folds:
        chance = np.zeros(len(fold.actual))
        gini = paired_difference(
            metrics.ngini, fold.actual, fold.predictions[kind], chance, replicates=100
        )
        if not gini.lower > 0:
            return False, (
                f"{kind} ranks no better than chance on {fold.origin} "
                f"(nGini {gini.value:.3f}, from {gini.lower:.3f})"
            )
    return True, (
        f"{kind} explains more of the deviance ({ours['d2_tweedie']:.3f}) than the best rule, "
        f"{by_deviance} ({scores[by_deviance]['d2_tweedie']:.3f}), and ranks as well or better "
        f"(nGini {ours['ngini']:.3f}, best rule {scores[by_rank]['ngini']:.3f})"
    )


def back_tested_level(folds: Sequence[Fold], kind: str) -> float:
    """A factor for the total: half the mean log error of the validation dates, less where they are few."""
    logs = [
        np.log(fold.actual.sum() / fold.predictions[kind].sum())
        for fold in folds
        if fold.actual.sum() > 0 and fold.predictions[kind].sum() > 0
    ]
    if not logs:
        return 1.0
    trust = LEVEL_TRUST * len(logs) / (len(logs) + 1)
    return float(np.clip(np.exp(trust * np.mean(logs)), 0.5, 2.0))


def fit_model(
    data: Dataset, plan: Plan, report: Report, kind: str | None = None
) -> tuple[FittedModel | None, Choice]:
    """The chosen candidate fitted on every origin, None where there is too little to learn from.

    `kind` takes a candidate without asking which is best.
    """
    rows = data.at(plan.origins, plan.label_days)
    if not is_enough(rows):
        return None, choose([])
    folds = validate(data, plan, report)
    choice = choose(folds)
    kind = kind or choice.kind
    level = back_tested_level(folds, kind)
    report(f"fitting {kind} on {len(rows):,} examples of {len(plan.origins)} dates")
    members = fit_members(rows, plan)
    newest = data.at(plan.origins[:1], plan.label_days)
    matrix, residuals = _buyers_residuals(folds, kind, level, rows, members)
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
        retention_rate=float(np.median(newest.rules["shop_retention_rate"])),
    )
    predicted = model.predict(newest)["predicted_value"]
    reference = np.quantile(predicted, np.linspace(0, 1, 101))
    return FittedModel(**{**model.__dict__, "reference": reference}), choice


def _buyers_residuals(
    folds: Sequence[Fold], kind: str, level: float, rows: Dataset, members: Members
) -> tuple[NDArray[np.float32], Floats]:
    """log(spend / expected spend) of the buyers, out of sample, with the matrix to explain it.

    The folds' matrices can differ in columns from the final one (a category may be missing in an early
    fold), so they are taken from the final preprocessing over the same rows.
    """
    matrices, residuals = [], []
    for fold in folds:
        test = rows.at([fold.origin], int(rows.label_days[0]))
        expected = fold.predictions[kind] * level / np.maximum(fold.probability, 1e-6)
        buyers = (fold.actual > 0) & (expected > 0)
        matrices.append(members.matrix(test)[buyers])
        residuals.append(np.log(fold.actual[buyers] / expected[buyers]))
    if not residuals:
        return np.empty((0, members.preprocessing.width), dtype=np.float32), np.empty(0)
    return np.concatenate(matrices), np.concatenate(residuals)
