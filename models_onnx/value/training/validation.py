"""Validation forward in time: at past dates, what a model made from before them says of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from itertools import islice

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats, sigmoid
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.estimators.curves import CurvePoint
from cva_sql.models_onnx.value.judging import metrics as metrics
from cva_sql.models_onnx.value.judging.rules import rule_predictions
from cva_sql.models_onnx.value.members.contract import Member
from cva_sql.models_onnx.value.members.directions import rules_against
from cva_sql.models_onnx.value.members.registry import (
    ENSEMBLE,
    all_networks,
    candidates,
    kinds,
    network_names,
    parts,
)
from cva_sql.models_onnx.value.members.rules import PLAINEST
from cva_sql.models_onnx.value.model.ensemble import Members, Shrinkage
from cva_sql.models_onnx.value.preparation.rows import Preparation, Prepared
from cva_sql.models_onnx.value.total.calibration import Outcome
from cva_sql.models_onnx.value.total.forecast import TotalForecast
from cva_sql.models_onnx.value.training.examples import fit_members
from cva_sql.models_onnx.value.training.learning import (
    Learning,
    forecast_at,
    usable_dates,
)

VALIDATION_DATES = 3
RULE = "baseline"
JOIN_LEAD = 0.001  # of the deviance explained, with a network in the ensemble

Report = Callable[[str], None]


@dataclass(frozen=True)
class Fold:
    """One validation date: what was spent from it on and what was predicted, per customer.

    `predictions` have the total that could be forecast on that date, `outcomes` what each
    candidate said before any total was calibrated. `curves` are those of the newest date alone.
    `parts` has the linear predictor of each part of the ensemble, `own_logit` the logit of
    buy-till-you-die's probability to buy. All values are in multiples of `unit`, but `scores`.
    `shrinkage` is what the ensemble was drawn by, `joined` are the networks that are a part of it.
    `members` are what predicted. With corrections of optional families `scales` are theirs by
    family, `kind` is what they correct, and `base` the fold without any.
    """

    cutoff: date
    actual: Floats
    predictions: dict[str, Floats]
    outcomes: dict[str, Outcome]
    forecast: TotalForecast
    curves: tuple[CurvePoint, ...] = ()
    parts: dict[str, Floats] = field(default_factory=dict)
    own_logit: Floats = field(default_factory=lambda: np.zeros(0))
    shrinkage: Shrinkage = field(default_factory=Shrinkage)
    joined: Mapping[str, float] = field(default_factory=dict)
    unit: float = 1.0
    members: Members | None = field(default=None, repr=False)
    scales: Mapping[str, float] = field(default_factory=dict)
    kind: str = ENSEMBLE
    base: Fold | None = field(default=None, repr=False)

    @cached_property
    def scores(self) -> dict[str, dict[str, float]]:
        """Metric by name, of each of `predictions`."""
        found = {
            name: score_predictions(self.actual, told) for name, told in self.predictions.items()
        }
        return {name: {**told, "mae": told["mae"] * self.unit} for name, told in found.items()}

    def joined_by(self, network: str, weight: float) -> Fold:
        """The same with one network more in the ensemble, whose weight is beside all others' 1."""
        others = 1.0 + sum(self.joined.values())
        trust, rule = self.shrinkage.trust, self.shrinkage.rule
        told = {name: outcome.linear_predictor for name, outcome in self.outcomes.items()}
        own = told[ENSEMBLE] - (1 - trust) * told[rule]  # trust times the members' mean
        more = weight / (others + weight) * (trust * told[network] - own)
        return replace(
            self._with_ensemble(told[ENSEMBLE] + more), joined={**self.joined, network: weight}
        )

    def drawn_to(self, rule: str) -> Fold:
        """The same with the ensemble drawn towards another rule, as far as before."""
        former = self.shrinkage.rule
        if rule == former or not self.shrinkage.trust < 1:
            return self
        own, new, old = (self.outcomes[name].linear_predictor for name in (ENSEMBLE, rule, former))
        drawn = self._with_ensemble(own + (1 - self.shrinkage.trust) * (new - old))
        return replace(drawn, shrinkage=replace(self.shrinkage, rule=rule))

    def corrected(
        self, kind: str, spend: Floats, purchase: Floats, scales: Mapping[str, float]
    ) -> Fold:
        """The same with what families add to a kind's log spend and purchase logit."""
        own = self.outcomes[kind]
        told = replace(
            own, linear_predictor=own.linear_predictor + spend, logit=own.logit + purchase
        )
        return replace(self._with(kind, told), scales=scales, kind=kind, base=self)

    def _with_ensemble(self, predictor: Floats) -> Fold:
        """The same with another linear predictor of the ensemble."""
        return self._with(ENSEMBLE, replace(self.outcomes[ENSEMBLE], linear_predictor=predictor))

    def _with(self, kind: str, told: Outcome) -> Fold:
        predicted = _calibrated(told.linear_predictor, self.forecast)
        return replace(
            self,
            predictions={**self.predictions, kind: predicted},
            outcomes={**self.outcomes, kind: told},
        )


def validate(learning: Learning, report: Report) -> list[Fold]:
    """Forward-chained folds, newest first: each learns only from what was known on its date.

    The ensemble is drawn towards the rule that did best over all of them, and joined by the
    networks that made it better on each.
    """
    plan = learning.plan
    folds: list[Fold] = []
    for cutoff in islice(usable_dates(learning), VALIDATION_DATES):
        known = plan.trained_before(cutoff)
        rows, test = learning.at(known), learning.at([cutoff])
        report(
            f"validating on {cutoff}: learning from {len(rows):,} examples of {len(known)} dates"
        )
        members = fit_members(learning, known, cutoff, plan.label_days)
        folds.append(_fold(learning, members, cutoff, test, is_newest=not folds))
    rule = _best_rule(folds, rules_against(learning.rows.terms.monotone, learning.rows.target))
    folds = [fold.drawn_to(rule) for fold in folds]
    for network in all_networks():
        folds = _joined_where_better(folds, network)
    return folds


def _joined_where_better(folds: list[Fold], network: Member) -> list[Fold]:
    """With the network in the ensemble if that explains more deviance and ranks as well or better.

    On each of two dates or more, and JOIN_LEAD more deviance on average: the dates' labels overlap.
    """
    if not network.weight > 0 or len(folds) < 2 or network.name not in folds[0].outcomes:
        return folds
    with_it = [fold.joined_by(network.name, network.weight) for fold in folds]
    pairs = [
        (new.scores[ENSEMBLE], old.scores[ENSEMBLE])
        for new, old in zip(with_it, folds, strict=True)
    ]
    leads = [new["d2_shape"] - old["d2_shape"] for new, old in pairs]
    is_better = min(leads) > 0 and all(new["ngini"] >= old["ngini"] for new, old in pairs)
    return with_it if is_better and float(np.mean(leads)) >= JOIN_LEAD else folds


def _best_rule(folds: Sequence[Fold], barred: Collection[str]) -> str:
    """The rule that explained most deviance on average, of those that can score."""

    def explained(rule: str) -> float:
        mean = float(np.mean([fold.scores[rule]["d2_shape"] for fold in folds]))
        return mean if np.isfinite(mean) else -np.inf

    able = [name for name in candidates() if folds and name in folds[0].outcomes]
    rules = [name for name in able if name not in kinds() and name not in barred]
    return max(rules, key=explained, default=PLAINEST)


def _fold(
    learning: Learning, members: Members, cutoff: date, test: Dataset, *, is_newest: bool
) -> Fold:
    days = learning.plan.label_days
    prepared = members.preparation.apply(test)
    forecast = forecast_at(learning, cutoff)
    outcomes = {
        kind: outcome_of(
            test,
            members.preparation,
            prepared,
            members.linear_predictor(prepared, kind),
            members.purchase_logit(prepared, kind),
        )
        for kind in candidates(members.fitted)
        if kind in kinds() or kind in members.fitted
    }
    predictions = {
        kind: _calibrated(outcomes[kind].linear_predictor, forecast) for kind in members.kinds
    }
    return Fold(
        cutoff,
        test.label_value,
        predictions | reference_predictions(test, days),
        outcomes,
        forecast,
        _curves(members, prepared, test.label_value) if is_newest else (),
        {
            part: outcomes[part].linear_predictor
            if part in outcomes
            else members.linear_predictor(prepared, part)
            for part in (*parts(), *(n for n in network_names() if n in members.fitted))
        },
        prepared.logit_purchase + prepared.purchase_extrapolation,
        members.shrinkage,
        unit=learning.unit,
        members=members,
    )


def outcome_of(
    rows: Dataset,
    preparation: Preparation,
    prepared: Prepared,
    linear_predictor: Floats,
    logit: Floats,
) -> Outcome:
    """What the rows brought beside what was said of them; `prepared` are the same rows."""
    return Outcome(
        rows.label_value,
        rows.label_orders,
        linear_predictor,
        logit,
        np.exp(prepared.log_orders),
        sigmoid(prepared.logit_purchase),
        preparation.lifetimes.dropout.stages,
    )


def _curves(members: Members, prepared: Prepared, actual: Floats) -> tuple[CurvePoint, ...]:
    """The curves of the members that have one."""
    seen = members.see(prepared)
    return tuple(
        point for member in members.fitted.values() for point in member.curve(seen, actual)
    )


def _calibrated(predictor: Floats, forecast: TotalForecast) -> Floats:
    spend = np.exp(predictor - predictor.max())
    return np.asarray(spend * (forecast.total / spend.sum()))


def reference_predictions(rows: Dataset, horizon_days: int) -> dict[str, Floats]:
    """The rules on rows of one date, and the packaged baseline: one with its total calibrated."""
    history = float(np.max(rows.rules["shop_history_days"], initial=1.0))
    rules = rule_predictions(rows.rules, horizon_days=horizon_days, history_days=max(history, 1.0))
    factor = rows.rules["shop_spend_level"]
    return {RULE: rules["decayed_spend"] * factor, **rules}


def score_predictions(actual: Floats, predicted: Floats) -> dict[str, float]:
    """Metric by name of predictions, with and without their total set right."""
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
