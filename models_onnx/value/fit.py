"""From training examples to a fitted model: validate forward in time, choose, fit on everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats, sigmoid
from cva_sql.models_onnx.value.data.cutoffs import Plan
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.data.preprocessing import fit_preprocessing
from cva_sql.models_onnx.value.judging import metrics as metrics
from cva_sql.models_onnx.value.judging.bootstrap import paired_difference
from cva_sql.models_onnx.value.judging.curves import CurvePoint, boosting_curves
from cva_sql.models_onnx.value.judging.rules import rule_predictions
from cva_sql.models_onnx.value.learning import (
    MIN_ROWS,
    Learning,
    fit_members,
    forecast_at,
    forecast_now,
    is_enough,
    prepare_learning,
)
from cva_sql.models_onnx.value.level.calibration import (
    Outcome,
    fit_orders_factor,
    fit_residuals,
    fit_slope,
    logit_shift,
    mean_chance,
)
from cva_sql.models_onnx.value.level.forecast import Level
from cva_sql.models_onnx.value.model import ENSEMBLE, KINDS, FittedModel, Members, Prepared

VALIDATION_DATES = 3
# What a member has to be ahead of the ensemble by, in deviance explained, to score alone: in 48
# samples of 500 and 2,000 customers of CDNOW and Online Retail II none ever was, on all dates.
MEMBER_LEAD = 0.02
NGINI_TOLERANCE = 0.005  # half the standard error that nGini has in a shop of 24,000 customers
RULE = "baseline"
OPTIONAL_FAMILY = "reviews"  # costs a reading of every text, so it has to show what it is for
HIGHEST = 1.0  # in logs above the largest spend seen in a label

Report = Callable[[str], None]


@dataclass(frozen=True)
class Fold:
    """One validation date: what was spent from it on and what was predicted, per customer.

    `predictions` have the level that could be forecast on that date, `outcomes` what each kind
    said before any level was set. `curves` are those of the newest date alone.
    """

    origin: date
    actual: Floats
    predictions: dict[str, Floats]
    outcomes: dict[str, Outcome]
    level: Level
    curves: tuple[CurvePoint, ...] = ()

    @cached_property
    def scores(self) -> dict[str, dict[str, float]]:
        """Metric by name, of each of `predictions`."""
        return {name: _score(self.actual, told) for name, told in self.predictions.items()}


@dataclass(frozen=True)
class Choice:
    """How the candidates and rules did on the validation dates, and what follows.

    `scores` is name -> metric -> mean over the dates; `reason` says in a sentence why the model of
    `kind` is deployed or not; `level_errors` are log(actual / forecast total) by date,
    `curves` the losses of LightGBM's members on the newest date.
    """

    kind: str
    is_better: bool
    reason: str
    scores: dict[str, dict[str, float]]
    dates: tuple[date, ...]
    level_errors: tuple[float, ...] = ()
    curves: tuple[CurvePoint, ...] = ()


@dataclass(frozen=True)
class Fitting:
    """All that was fitted as of one plan's date; no members and no model with too few rows."""

    learning: Learning
    folds: list[Fold]
    members: Members | None
    model: FittedModel | None
    choice: Choice


def validate(learning: Learning, report: Report) -> list[Fold]:
    """Forward-chained folds, newest first: each learns only from what was known on its date."""
    plan = learning.plan
    folds: list[Fold] = []
    for origin in plan.origins:
        if len(folds) == VALIDATION_DATES:
            break
        known = plan.trained_before(origin)
        rows, test = learning.at(known), learning.at([origin])
        if not is_enough(rows) or not is_enough(test):
            continue
        report(
            f"validating on {origin}: learning from {len(rows):,} examples of {len(known)} dates"
        )
        members = fit_members(learning, known, origin, plan.label_days)
        folds.append(_fold(learning, members, origin, test, is_newest=not folds))
    return folds


def _fold(
    learning: Learning, members: Members, origin: date, test: Dataset, *, is_newest: bool
) -> Fold:
    days = learning.plan.label_days
    prepared = members.preparation.apply(test)
    level = forecast_at(learning, origin)
    outcomes = {
        kind: Outcome(
            test.label_value,
            test.label_orders,
            members.spend_line(prepared, kind),
            members.purchase_line(prepared, kind),
            np.exp(prepared.log_orders),
            sigmoid(prepared.logit_purchase),
        )
        for kind in KINDS
    }
    predictions = {kind: _levelled(outcome.line, level) for kind, outcome in outcomes.items()}
    return Fold(
        origin,
        test.label_value,
        predictions | reference_predictions(test, days),
        outcomes,
        level,
        boosting_curves(members, prepared, test.label_value) if is_newest else (),
    )


def _levelled(line: Floats, level: Level) -> Floats:
    spend = np.exp(line - line.max())
    return np.asarray(spend * (level.total / spend.sum()))


def reference_predictions(rows: Dataset, horizon_days: int) -> dict[str, Floats]:
    """The rules on rows of one date, and the packaged baseline, which is one of them levelled."""
    history = float(np.max(rows.rules["shop_history_days"], initial=1.0))
    rules = rule_predictions(rows.rules, horizon_days=horizon_days, history_days=max(history, 1.0))
    level = rows.rules["shop_spend_level"]
    return {RULE: rules["decayed_spend"] * level, **rules}


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
    for kind in KINDS:
        ahead = [_lead(fold, kind) for fold in folds]
        deviance = float(np.mean([lead for lead, _ in ahead]))
        if all(min(pair) > 0 for pair in ahead) and deviance >= MEMBER_LEAD:
            leads[kind] = deviance
    return max(leads, key=lambda kind: leads[kind], default=ENSEMBLE)


def _lead(fold: Fold, kind: str) -> tuple[float, float]:
    """Deviance explained and nGini of a kind less the ensemble's."""
    own, other = fold.scores[kind], fold.scores[ENSEMBLE]
    return own["d2_shape"] - other["d2_shape"], own["ngini"] - other["ngini"]


def choose(folds: Sequence[Fold], kind: str = ENSEMBLE) -> Choice:
    """Whether the model of this kind beats every rule.

    It does where on average over the dates it explains more deviance than any rule once all totals
    are right (who spends how much is one problem, the season of the shop another, and one date's
    luck with the total would hide the first), where its nGini is not below the best rule's, and
    where its ranking is better than chance on every date.
    """
    dates = tuple(fold.origin for fold in folds)
    if not folds:
        reason = "too few customers or dates to test a model forward in time"
        return Choice(kind, False, reason, {}, dates)
    scores: dict[str, dict[str, float]] = {}
    for name in folds[0].predictions:
        rows = [fold.scores[name] for fold in folds]
        scores[name] = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    is_better, reason = _verdict(kind, folds, scores)
    errors = tuple(
        float(np.log(fold.actual.sum() / fold.level.total)) if fold.level.total > 0 else 0.0
        for fold in folds
    )
    return Choice(kind, is_better, reason, scores, dates, errors, folds[0].curves)


def _score(actual: Floats, predicted: Floats) -> dict[str, float]:
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
    if not np.isfinite(scores[kind]["d2_shape"]):
        return False, "on a validation date all customers spent alike, so there is nothing to rank"
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


def fit_model(data: Dataset, plan: Plan, report: Report, kind: str | None = None) -> Fitting:
    """The model of this kind fitted on every origin, with the folds and members behind it.

    Without a kind: see `best_kind`. `data` also has the rows of the plan's own date, for the level
    and the score's reference.
    """
    learning = prepare_learning(data, plan)
    rows = learning.at(plan.origins)
    if not is_enough(rows):
        buyers = int((rows.label_value > 0).sum())
        reason = (
            f"{len(rows):,} examples with {buyers:,} buyers are too few to learn from "
            f"({MIN_ROWS} and {MIN_ROWS // 10} are needed)"
        )
        return Fitting(learning, [], None, None, Choice(kind or ENSEMBLE, False, reason, {}, ()))
    folds = validate(learning, report)
    chosen = kind or best_kind(folds)
    report(f"fitting {chosen} on {len(rows):,} examples of {len(plan.origins)} dates")
    members = fit_members(learning, plan.origins, plan.as_of, plan.horizon_days)
    model = finish_model(learning, members, folds, chosen)
    choice = choose(folds, chosen)
    if kind is None and chosen != ENSEMBLE:
        ensemble = choice.scores[ENSEMBLE]["d2_shape"]
        alone = f"{chosen} alone, ahead of the ensemble ({ensemble:.3f}) on every date"
        choice = replace(choice, reason=f"{choice.reason}; {alone}")
    return Fitting(learning, folds, members, model, choice)


def finish_model(
    learning: Learning, members: Members, folds: Sequence[Fold], kind: str
) -> FittedModel:
    """Sets slope, level, chances, intervals and the score's reference of fitted members."""
    plan, now = learning.plan, learning.rows.seen_from(learning.plan.as_of)
    prepared = members.preparation.apply(now)
    level = forecast_now(learning)
    outcomes = [fold.outcomes[kind] for fold in folds]
    slope = fit_slope(outcomes)
    line = slope * members.spend_line(prepared, kind)
    largest = max(float(learning.at(plan.origins).label_value.max(initial=0.0)), 1.0)
    model = FittedModel(
        kind=kind,
        members=members,
        level=level,
        slope=slope,
        log_level=log_level(line, level),
        log_highest=float(np.log(largest * plan.stretch)) + HIGHEST,
        largest_spend=largest,
        logit_level=logit_level(members, prepared, kind, level),
        orders_factor=fit_orders_factor(outcomes),
        residuals=fit_residuals(outcomes, slope, level.spread),
        reference=np.zeros(101),
        retention_rate=float(np.median(now.rules["shop_retention_rate"])),
        level_customers=len(now),
    )
    predicted = model.predict(now)["predicted_value"]
    return replace(model, reference=np.quantile(predicted, np.linspace(0, 1, 101)))


def log_level(line: Floats, level: Level) -> float:
    """What to add to log spend so that the total is the level's; 0 where either total is 0."""
    top = float(line.max(initial=0.0))
    total = float(np.exp(line - top).sum())
    if not (total > 0 and level.total > 0):
        return 0.0
    return float(np.log(level.total / total)) - top


def logit_level(members: Members, rows: Prepared, kind: str, level: Level) -> float:
    """What to add to the logits of a kind so that their mean chance follows the level."""
    own = sigmoid(rows.logit_purchase + rows.purchase_stretch)
    return logit_shift(members.purchase_line(rows, kind), mean_chance(own, level))


def has_family(data: Dataset, family: str) -> bool:
    """Whether any feature of this family varies, so that a model could learn from it."""
    rows = data.of_family(family)
    return fit_preprocessing(rows.numbers, rows.categories).width > 0


def fit_both_ways(data: Dataset, plan: Plan, report: Report) -> list[tuple[Dataset, Fitting]]:
    """Fits with everything, and where there are reviews also without them; the better one first.

    More features are not always better: in a small shop their noise can cost more than they tell.
    The model that explained more deviance on the validation dates is taken.
    """
    fits = [(data, fit_model(data, plan, report))]
    if has_family(data, OPTIONAL_FAMILY):
        report(f"without {OPTIONAL_FAMILY}")
        lean = data.without_family(OPTIONAL_FAMILY)
        fits.append((lean, fit_model(lean, plan, report)))
    return sorted(fits, key=lambda fit: -_validated(fit[1].choice))


def _validated(choice: Choice) -> float:
    """The deviance that a choice's model explained on the validation dates; −inf without any."""
    return choice.scores[choice.kind]["d2_shape"] if choice.scores else -np.inf
