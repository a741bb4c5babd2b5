"""What past dates say of a fitted model: its slope, its orders, its probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cva_sql.models_onnx.value.arrays import (
    LARGEST_PROBABILITY,
    SMALLEST_PROBABILITY,
    Floats,
    sigmoid,
)
from cva_sql.models_onnx.value.total.forecast import TotalForecast

SLOPES = (0.6, 1.4)
SLOPE_PENALTY = 0.01  # of the deviance per customer: a slope of 1.1 has to explain 1e-4 more
# Of the purchase logit. On validation dates, where members have learned from fewer dates, it comes
# out lower than on the next: 0.89 and 0.92 on CDNOW and Online Retail II, which needed none.
LOGIT_SLOPES = (0.5, 1.3)
VALIDATION_SLOPE = 0.9
LOGIT_SLOPE_DEVIATION = 0.15  # of a shop's slope from that: what is assumed before any is seen
LOGIT_SHIFT = 20.0  # further than any probability can be moved


@dataclass(frozen=True)
class Outcome:
    """What one past date brought beside what one kind had said of it, each (rows,).

    `linear_predictor` is the log of expected spend, `logit` that of the purchase probability,
    `own_orders` are buy-till-you-die's purchase days, `own_probability` its probability, `stages`
    those that it puts between purchases.
    """

    actual: Floats
    orders: Floats
    linear_predictor: Floats
    logit: Floats
    own_orders: Floats
    own_probability: Floats
    stages: int = 1


def fit_slope(outcomes: Sequence[Outcome]) -> float:
    """The slope b of spend as c·exp(b·linear predictor) with the least Poisson deviance, c by date.

    Poisson's balances money: but for the penalty Σ linear predictor · (actual − expected) is 0 at
    its optimum. Tweedie's gives the low end more say: steadier beside a whale, and with more
    absolute error on CDNOW. One number that keeps the order: curves through twenty bins fitted
    noise on Online Retail II.
    """
    from scipy.optimize import minimize_scalar

    usable = [outcome for outcome in outcomes if outcome.actual.sum() > 0]
    if not usable:
        return 1.0

    def loss(slope: float) -> float:
        total = 0.0
        for outcome in usable:
            spend = outcome.actual / outcome.actual.mean()
            expected = np.exp(slope * (outcome.linear_predictor - outcome.linear_predictor.max()))
            expected = np.maximum(expected / expected.mean(), 1e-9)
            total += float(np.mean(expected - spend * np.log(expected)))
        return total / len(usable) + SLOPE_PENALTY * (slope - 1) ** 2

    found = minimize_scalar(loss, bounds=SLOPES, method="bounded", options={"xatol": 1e-4})
    return float(found.x)


def fit_logit_slope(outcomes: Sequence[Outcome]) -> float:
    """The slope of the purchase logit, at most 1: below, probabilities were too sure of themselves.

    It is the one that explains best who bought on validation dates, the mean of each date right,
    over VALIDATION_SLOPE. A normal prior around that weighs as much as it does beside one date's
    customers: the dates are mostly of the same.
    """
    from scipy.optimize import minimize_scalar

    usable = [
        (outcome.logit, bought)
        for outcome in outcomes
        if (bought := outcome.actual > 0).any() and not bought.all()
    ]
    if not usable:
        return 1.0
    customers = sum(len(logits) for logits, _ in usable) / len(usable)
    penalty = 0.5 / (LOGIT_SLOPE_DEVIATION**2 * customers)

    def loss(slope: float) -> float:
        total = 0.0
        for logits, bought in usable:
            moved = slope * logits
            moved = moved + logit_shift(moved, float(bought.mean()))
            total += float(np.mean(np.logaddexp(0.0, np.where(bought, -moved, moved))))
        return total / len(usable) + penalty * (slope - VALIDATION_SLOPE) ** 2

    found = minimize_scalar(loss, bounds=LOGIT_SLOPES, method="bounded", options={"xatol": 1e-4})
    return min(1.0, float(found.x) / VALIDATION_SLOPE)


def scale_logits(outcomes: Sequence[Outcome], slope: float) -> list[Outcome]:
    """The same with the purchase logit times `slope`."""
    return [replace(outcome, logit=slope * outcome.logit) for outcome in outcomes]


def logit_shift(logits: Floats, mean: float) -> float:
    """What to add to the logits so that the probabilities have this mean."""
    from scipy.optimize import brentq

    mean = float(np.clip(mean, SMALLEST_PROBABILITY, LARGEST_PROBABILITY))

    def miss(shift: float) -> float:
        return float(sigmoid(logits + shift).mean()) - mean

    if not len(logits):
        return 0.0
    if miss(-LOGIT_SHIFT) >= 0:
        return -LOGIT_SHIFT
    if miss(LOGIT_SHIFT) <= 0:
        return LOGIT_SHIFT
    return float(brentq(miss, -LOGIT_SHIFT, LOGIT_SHIFT, xtol=1e-12))


def mean_probability(own_probability: Floats, forecast: TotalForecast) -> float:
    """The mean probability to buy if orders come `forecast.factor` times as fast as their own.

    Purchases as a Poisson stream: 1 − (1 − p)^factor. Spend falls after Christmas because fewer
    buy, so the whole factor goes into the rate; on two shops half of it did worse.
    """
    if not len(own_probability):
        return 0.0
    return float(np.mean(1 - (1 - own_probability) ** forecast.factor))


def orders_scale(probability: Floats, stages: int) -> Floats:
    """What orders are in proportion to when a probability to buy changes.

    Of a Poisson stream (one stage) the rate, here log(1 − p). A regular buyer is all but certain to
    buy, where a rate says nothing: whoever is less so buys as often as the others, or has gone.
    """
    return np.asarray(np.log(1 - probability)) if stages == 1 else probability


def fit_orders_factor(outcomes: Sequence[Outcome]) -> float:
    """Orders per expected purchase day at past dates' probabilities, their means set right."""
    expected = actual = 0.0
    for outcome in outcomes:
        probability = probability_of(outcome)
        own = np.clip(outcome.own_probability, SMALLEST_PROBABILITY, LARGEST_PROBABILITY)
        now, then = (orders_scale(p, outcome.stages) for p in (probability, own))
        expected += float(np.sum(outcome.own_orders * now / then))
        actual += float(outcome.orders.sum())
    return actual / expected if expected > 0 and actual > 0 else 1.0


def probability_of(outcome: Outcome) -> Floats:
    """The purchase probabilities, shifted so that their mean is the share that bought."""
    mean = float((outcome.actual > 0).mean()) if len(outcome.actual) else 0.0
    shift = logit_shift(outcome.logit, mean)
    return np.clip(sigmoid(outcome.logit + shift), SMALLEST_PROBABILITY, LARGEST_PROBABILITY)
