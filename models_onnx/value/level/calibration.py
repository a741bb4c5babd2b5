"""What past dates say of a fitted model: its slope, its residuals, its orders, its chances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cva_sql.models_onnx.value.arrays import (
    LARGEST_PROBABILITY,
    SMALLEST_PROBABILITY,
    Floats,
    sigmoid,
)
from cva_sql.models_onnx.value.level.forecast import Level

SLOPES = (0.6, 1.4)
SLOPE_PENALTY = 0.01  # of the deviance per customer: a slope of 1.1 has to explain 1e-4 more
LOGIT_SHIFT = 20.0  # further than any chance can be moved


@dataclass(frozen=True)
class Outcome:
    """What one past date brought beside what one kind had said of it, each (rows,).

    `line` is log expected spend, `logit` that of the chance, `own_orders` buy-till-you-die's
    purchase days and `own_chance` its chance.
    """

    actual: Floats
    orders: Floats
    line: Floats
    logit: Floats
    own_orders: Floats
    own_chance: Floats


def fit_slope(outcomes: Sequence[Outcome]) -> float:
    """The slope b of log spend in c·exp(b·line) with the least Poisson deviance, c by date.

    Poisson's balances money: but for the penalty Σ line · (actual − expected) is 0 at its optimum.
    Tweedie's gives the low end more say: steadier beside a whale, and with more absolute error on
    CDNOW. One number that keeps the order: curves through twenty bins fitted noise on Online Retail
    II.
    """
    from scipy.optimize import minimize_scalar

    usable = [outcome for outcome in outcomes if outcome.actual.sum() > 0]
    if not usable:
        return 1.0

    def loss(slope: float) -> float:
        total = 0.0
        for outcome in usable:
            spend = outcome.actual / outcome.actual.mean()
            expected = np.exp(slope * (outcome.line - outcome.line.max()))
            expected = np.maximum(expected / expected.mean(), 1e-9)
            total += float(np.mean(expected - spend * np.log(expected)))
        return total / len(usable) + SLOPE_PENALTY * (slope - 1) ** 2

    found = minimize_scalar(loss, bounds=SLOPES, method="bounded", options={"xatol": 1e-4})
    return float(found.x)


def logit_shift(logits: Floats, mean: float) -> float:
    """What to add to the logits so that the chances have this mean."""
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


def mean_chance(own_chance: Floats, level: Level) -> float:
    """The mean chance to buy if orders come `level.factor` times as fast as the customers' own.

    Purchases as a Poisson stream: 1 − (1 − p)^factor. Spend falls after Christmas because fewer
    buy, so the whole factor goes into the rate; on two shops half of it did worse.
    """
    return float(np.mean(1 - (1 - own_chance) ** level.factor)) if len(own_chance) else 0.0


def fit_orders_factor(outcomes: Sequence[Outcome]) -> float:
    """Orders per expected purchase day at the chances of the past dates, their means set right."""
    expected = actual = 0.0
    for outcome in outcomes:
        chance = chance_of(outcome)
        own = np.clip(outcome.own_chance, SMALLEST_PROBABILITY, LARGEST_PROBABILITY)
        expected += float(np.sum(outcome.own_orders * np.log(1 - chance) / np.log(1 - own)))
        actual += float(outcome.orders.sum())
    return actual / expected if expected > 0 and actual > 0 else 1.0


def chance_of(outcome: Outcome) -> Floats:
    mean = float((outcome.actual > 0).mean()) if len(outcome.actual) else 0.0
    shift = logit_shift(outcome.logit, mean)
    return np.clip(sigmoid(outcome.logit + shift), SMALLEST_PROBABILITY, LARGEST_PROBABILITY)
