"""Better settings of members, found on dates before those that the gate judges by.

Optuna draws settings (its tree-structured Parzen estimator); successive halving (Jamieson and
Talwalkar 2016) gives a second and a third date only to those that did well on the first.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.data.cutoffs import Plan
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.judging import metrics
from cva_sql.models_onnx.value.members.contract import Examples, Member, Rows
from cva_sql.models_onnx.value.members.registry import learners
from cva_sql.models_onnx.value.settings import Setting, Value
from cva_sql.models_onnx.value.training.examples import read_examples
from cva_sql.models_onnx.value.training.learning import Learning, prepare_learning, usable_dates
from cva_sql.models_onnx.value.training.validation import VALIDATION_DATES, Report

if TYPE_CHECKING:
    from optuna import Trial

TUNING_DATES = 3
LEAST_LEAD = 0.001  # of the deviance explained: what is less ahead of the defaults is luck
SEED = 7
DRAWN = "drawn"  # what a trial's settings were, rounded
DIGITS = 4  # of what is found, so that a person can write it down


@dataclass(frozen=True)
class Date:
    """A date to try settings on: what is learned from, and what came beside the rows of it."""

    cutoff: date
    examples: Examples
    rows: Rows
    actual: Floats

    def explained(self, member: Member, given: Mapping[str, Value]) -> float:
        """The share of the Tweedie deviance that the member explains, its total set right."""
        logs = member.fit_with(self.examples, given).predict(self.rows)
        spend = np.exp(logs - logs.max())
        return metrics.d2_tweedie(self.actual, spend * (self.actual.sum() / spend.sum()))


@dataclass(frozen=True)
class Tuned:
    """What was found of a member: the mean deviance explained, and what is set otherwise."""

    member: str
    trials: int
    default: float
    best: float
    settings: Mapping[str, Value]


def tune(data: Dataset, plan: Plan, minutes: float, report: Report) -> list[Tuned]:
    """Looks for better settings for so many minutes; nothing where no earlier date has enough.

    What `data.terms` sets is the start in place of the defaults. How much is tried depends on how
    fast the machine is.
    """
    learning = prepare_learning(data, plan)
    dates = tuning_dates(learning)
    terms = data.terms
    members = [one for one in learners(terms.networks) if _searched(one.tunable)]
    found = []
    for member in members if dates else ():
        start = terms.settings.get(member.name, {})
        one = _tune(member, start, dates, 60 * minutes / len(members))
        found.append(one)
        report(
            f"{member.name}: {one.trials} settings tried on "
            f"{', '.join(day.cutoff.isoformat() for day in dates)}, deviance explained "
            f"{one.default:.3f}, the best {one.best:.3f}"
        )
    return found


def tuning_dates(learning: Learning) -> list[Date]:
    """The newest dates before those that the gate judges by, the one with least to learn first."""
    usable = usable_dates(learning)
    earlier = islice(usable, VALIDATION_DATES, VALIDATION_DATES + TUNING_DATES)
    return [_date(learning, day) for day in sorted(earlier)]


def _date(learning: Learning, day: date) -> Date:
    known = learning.plan.trained_before(day)
    members, examples = read_examples(learning, known, day, learning.plan.label_days)
    test = learning.at([day])
    rows = members.see(members.preparation.apply(test))
    return Date(day, examples, rows, test.label_value)


def _searched(tunable: Mapping[str, Setting]) -> dict[str, Setting]:
    return {name: setting for name, setting in tunable.items() if setting.search}


def _tune(
    member: Member, start: Mapping[str, Value], dates: Sequence[Date], seconds: float
) -> Tuned:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    searched = _searched(member.tunable)
    started = time.monotonic()
    default = float(np.mean([day.explained(member, start) for day in dates]))
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=SEED),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
    )

    def explained(trial: Trial) -> float:
        drawn = {name: _draw(trial, name, one) for name, one in searched.items()}
        trial.set_user_attr(DRAWN, drawn)
        given = {**start, **drawn}
        found: list[float] = []
        for step, day in enumerate(dates, start=1):
            found.append(day.explained(member, given))
            trial.report(float(np.mean(found)), step)
            if step < len(dates) and trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(found))

    study.optimize(explained, timeout=max(started + seconds - time.monotonic(), 0.0))
    done = [one for one in study.trials if one.state == optuna.trial.TrialState.COMPLETE]
    best = max(done, key=lambda one: one.value or -np.inf, default=None)
    value = float(best.value or -np.inf) if best else -np.inf
    settings: dict[str, Any] = dict(start)
    if best and value >= default + LEAST_LEAD:
        settings |= best.user_attrs[DRAWN]
    return Tuned(member.name, len(study.trials), default, max(value, default), settings)


def _draw(trial: Trial, name: str, setting: Setting) -> Value:
    low, high = setting.search or (setting.low, setting.high)
    if isinstance(setting.default, int):
        return int(trial.suggest_int(name, int(low), int(high), log=setting.is_log))
    drawn = trial.suggest_float(name, low, high, log=setting.is_log)
    return float(f"{drawn:.{DIGITS}g}")
