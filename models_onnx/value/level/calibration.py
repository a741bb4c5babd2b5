"""What past dates say of a fitted model: its slope, its residuals, its orders, its chances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.arrays import Floats, sigmoid
from cva_sql.models_onnx.value.graph.builder import LARGEST_PROBABILITY, SMALLEST_PROBABILITY
from cva_sql.models_onnx.value.level.forecast import Level
from cva_sql.models_onnx.value.model import RESIDUAL_LEVELS, Residuals

SLOPES = (0.6, 1.4)
SLOPE_PENALTY = 0.01  # of the deviance per customer: a slope of 1.1 has to explain 1e-4 more
RESIDUAL_BINS = 5
MIN_BUYERS_A_BIN = 60  # fewer, and one spread serves all
MIN_BUYERS = 30  # fewer, and a spread seen in many shops serves
# Without buyers to learn from: a log-logistic spread of .8, as int_cva__shop_stats has it.
FIXED_QUANTILES = (
    0.8 * np.sqrt(3) / np.pi * np.log(np.array(RESIDUAL_LEVELS) / (1 - np.array(RESIDUAL_LEVELS)))
)
NORMAL_90 = 3.29  # standard deviations from p5 to p95
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
        chance = _chance(outcome)
        own = np.clip(outcome.own_chance, SMALLEST_PROBABILITY, LARGEST_PROBABILITY)
        expected += float(np.sum(outcome.own_orders * np.log(1 - chance) / np.log(1 - own)))
        actual += float(outcome.orders.sum())
    return actual / expected if expected > 0 and actual > 0 else 1.0


def _chance(outcome: Outcome) -> Floats:
    mean = float((outcome.actual > 0).mean()) if len(outcome.actual) else 0.0
    shift = logit_shift(outcome.logit, mean)
    return np.clip(sigmoid(outcome.logit + shift), SMALLEST_PROBABILITY, LARGEST_PROBABILITY)


def fit_residuals(outcomes: Sequence[Outcome], slope: float, spread: float) -> Residuals:
    """Quantiles of the buyers' log residual, widened by `spread`, the level's own error in logs.

    Totals and mean chances of each past date are set right first, so that its level's error is not
    counted twice.
    """
    logs, residuals = [], []
    for outcome in outcomes:
        buyers = outcome.actual > 0
        if not buyers.any():
            continue
        chance = _chance(outcome)
        expected = np.exp(slope * (outcome.line - outcome.line.max()))
        expected *= outcome.actual.sum() / expected.sum()
        logs.append(np.log(chance[buyers]))
        residuals.append(np.log(outcome.actual[buyers] / expected[buyers] * chance[buyers]))
    x = np.concatenate(logs) if logs else np.empty(0)
    r = np.concatenate(residuals) if residuals else np.empty(0)
    at, quantiles = _by_bin(x, r)
    ends = np.array([at[0], at[-1]])
    if len(at) > 1:
        line = np.polynomial.polynomial.polyfit(at, quantiles, 1)
        quantiles = line[0] + ends[:, None] * line[1]
    low, high = (_widen(np.maximum.accumulate(quantiles[k]), spread) for k in (0, -1))
    return Residuals(low, high, float(ends[0]), float(ends[1]))


def _by_bin(x: Floats, residual: Floats) -> tuple[Floats, NDArray[np.float64]]:
    """(median x, quantiles at RESIDUAL_LEVELS) of bins of equal size in x."""
    if len(residual) < MIN_BUYERS:
        return np.zeros(1), FIXED_QUANTILES[None, :]
    bins = RESIDUAL_BINS if len(residual) >= RESIDUAL_BINS * MIN_BUYERS_A_BIN else 1
    parts = np.array_split(np.argsort(x, kind="stable"), bins)
    at = np.array([float(np.median(x[part])) for part in parts])
    if at[-1] - at[0] < 1e-6:
        return at[:1], np.quantile(residual, RESIDUAL_LEVELS)[None, :]
    return at, np.array([np.quantile(residual[part], RESIDUAL_LEVELS) for part in parts])


def _widen(quantiles: Floats, spread: float) -> Floats:
    """Quantiles of the sum with an independent normal error, as if they were normal themselves."""
    own = max((quantiles[-1] - quantiles[0]) / NORMAL_90, 1e-3)
    middle = quantiles[len(quantiles) // 2]
    return np.asarray(middle + (quantiles - middle) * np.sqrt(1 + (spread / own) ** 2))
