"""How much each optional family of features counts: its scale, found on earlier dates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.data.preprocessing import fit_preprocessing
from cva_sql.models_onnx.value.estimators.linear import tweedie_loss
from cva_sql.models_onnx.value.judging.bootstrap import Metric, Sample, mean_differences
from cva_sql.models_onnx.value.training.corrections import Told, fit_correction, tell
from cva_sql.models_onnx.value.training.examples import fit_members
from cva_sql.models_onnx.value.training.learning import Learning, usable_dates
from cva_sql.models_onnx.value.training.validation import VALIDATION_DATES, Fold, Report

EARLIER_DATES = 3
SCALES = tuple(k / 10 for k in range(11))
GAIN = "ngini"
REPLICATES = 200


@dataclass(frozen=True)
class FamilyWeight:
    """What a family counts: `scale` from 0, where it is no part of the model, to 1.

    `gain` is what it adds to nGini at that scale, with 0 at scale 1, and its 95 % interval: means
    over `dates`, on which the scale was found. NaN where there is no such date.
    """

    family: str
    scale: float
    gain: float
    lower: float
    upper: float
    dates: tuple[date, ...]


@dataclass(frozen=True)
class _Date:
    """A date before those that the gate judges: what was known then, and what came."""

    cutoff: date
    known: Told
    came: Told


def has_family(data: Dataset, family: str) -> bool:
    """Whether any feature of this optional family varies, so that a model could learn from it."""
    own = data.of_family(family)
    return fit_preprocessing(own.numbers, own.categories).width > 0


def weigh_families(
    learning: Learning, folds: Sequence[Fold], kind: str, report: Report
) -> tuple[FamilyWeight, ...]:
    """The weight in this kind of each optional family that has data, one after the other by name.

    A family is weighed beside what those before it add. Without an earlier date none has earned
    any. `folds` say what rule the ensemble leans on, and which networks joined it.
    """
    families = [f for f in learning.rows.optional_families if has_family(learning.rows, f)]
    if not families or not folds:
        return ()
    usable = usable_dates(learning)
    days = list(islice(usable, VALIDATION_DATES, VALIDATION_DATES + EARLIER_DATES))
    if days:
        report(f"weighing {', '.join(families)} on {', '.join(map(str, days))}")
    dates = [_date(learning, folds[0], kind, day) for day in days]
    found = []
    for family in families:
        weight, dates = _weigh(family, dates, learning.plan.label_days)
        found.append(weight)
        report(describe_weight(weight))
    return tuple(found)


def describe_weight(weight: FamilyWeight) -> str:
    """A line for a person."""
    told = f"{weight.family}: scale {weight.scale:.1f}"
    if not weight.dates:
        return f"{told}, as there is no date to weigh it on before those that are judged"
    how = "adds" if weight.scale > 0 else "in full it would have added"
    return (
        f"{told}; {how} {weight.gain:+.4f} nGini (95 % interval {weight.lower:+.4f} .. "
        f"{weight.upper:+.4f}) on {', '.join(day.isoformat() for day in weight.dates)}"
    )


def _date(learning: Learning, fold: Fold, kind: str, day: date) -> _Date:
    plan = learning.plan
    known = plan.trained_before(day)
    members = fit_members(learning, known, day, plan.label_days, fold.shrinkage.rule, fold.joined)
    known_then = tell(learning, members, kind, known)
    return _Date(day, known_then, tell(learning, members, kind, [day]))


def _weigh(
    family: str, dates: Sequence[_Date], label_days: int
) -> tuple[FamilyWeight, list[_Date]]:
    """The family's weight, and the dates with it in."""
    by_scale: list[list[_Date]] = [[] for _ in SCALES]
    for one in dates:
        for place, corrected in enumerate(_at_scales(family, one, label_days)):
            by_scale[place].append(corrected)
    scale = SCALES[_smallest(by_scale)] if dates else 0.0
    place = SCALES.index(scale)
    shown = by_scale[place if scale > 0 else -1]
    gain = _gain(dates, shown)
    days = tuple(one.cutoff for one in dates)
    weight = FamilyWeight(family, scale, gain.value, gain.lower, gain.upper, days)
    return weight, by_scale[place]


def _at_scales(family: str, one: _Date, label_days: int) -> list[_Date]:
    """The date with the family's correction at each of SCALES."""
    fitted = fit_correction(family, one.known, one.cutoff, label_days)
    if fitted is None:
        return [one for _ in SCALES]
    correction, z, share = fitted
    found = [one]
    for scale in SCALES[1:]:
        at = correction.at(scale, z, share)
        known = one.known.corrected(at.spend.predict(z), at.purchase.predict(z))
        came = one.came.corrected(*at.add(one.came.rows))
        found.append(replace(one, known=known, came=came))
    return found


def _smallest(by_scale: Sequence[Sequence[_Date]]) -> int:
    """The place of the smallest scale whose loss is within one standard error of the least.

    The error is that of the difference between both, and a customer is one witness on all dates.
    """
    losses = np.array([_losses(dates) for dates in by_scale])
    best = int(np.argmin(losses.sum(axis=1)))
    return next(place for place in range(best + 1) if _is_within(losses[place] - losses[best]))


def _is_within(worse: Floats) -> bool:
    """Whether a sum over customers is at most its standard error."""
    n = len(worse)
    error = np.sqrt(n / max(n - 1, 1) * np.sum((worse - worse.mean()) ** 2))
    return bool(worse.sum() <= error)


def _losses(dates: Sequence[_Date]) -> Floats:
    """What each customer adds to the mean Tweedie deviance over the dates, (customers,)."""
    ids, losses = [], []
    for one in dates:
        rows, mean = one.came.rows, np.exp(one.came.predictor).mean()
        own, _ = tweedie_loss(rows.label_value / mean, one.came.predictor - np.log(mean))
        ids.append(rows.customer_id.astype(str))
        losses.append(own / (len(own) * len(dates)))
    _, codes = np.unique(np.concatenate(ids), return_inverse=True)
    return np.asarray(np.bincount(codes, np.concatenate(losses)), dtype=np.float64)


def _gain(without: Sequence[_Date], with_it: Sequence[_Date]) -> Metric:
    if not without:
        return Metric(GAIN, np.nan, np.nan, np.nan)
    samples = [
        [
            Sample(
                d.came.rows.label_value,
                np.exp(d.came.predictor),
                customer_id=d.came.rows.customer_id,
            )
            for d in dates
        ]
        for dates in (without, with_it)
    ]
    found = mean_differences(samples[0], {"with": samples[1]}, [GAIN], replicates=REPLICATES)
    return found["with"][GAIN]
