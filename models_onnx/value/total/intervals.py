"""The intervals of a prediction: how far buyers' spend was from what was expected of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.total.calibration import Outcome, probability_of

RESIDUAL_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
MIN_WIDTH = 1e-12  # between the two ends of the residuals
RESIDUAL_BINS = 5
MIN_BUYERS_A_BIN = 60  # fewer, and one distribution serves all
MIN_BUYERS = 30  # fewer, and a distribution seen in many shops serves
# Without buyers to learn from: a log-logistic whose log has the standard deviation 0.8, as
# int_cva__shop_stats has it.
FIXED_QUANTILES = (
    0.8 * np.sqrt(3) / np.pi * np.log(np.array(RESIDUAL_LEVELS) / (1 - np.array(RESIDUAL_LEVELS)))
)
NORMAL_90 = 3.29  # standard deviations from p5 to p95


@dataclass(frozen=True)
class Residuals:
    """Quantiles of log(spend / expected spend) of buyers at RESIDUAL_LEVELS, each (levels,).

    They run straight in log(probability to buy) from `low` at `low_at` to `high` at `high_at`.
    """

    low: Floats
    high: Floats
    low_at: float
    high_at: float

    def at(self, probability: Floats) -> Floats:
        """Shape (rows, levels), rising along a row."""
        x = np.clip(np.log(probability), self.low_at, self.high_at)
        share = (x - self.low_at) * (1 / max(self.high_at - self.low_at, MIN_WIDTH))
        return np.asarray(self.low + share[:, None] * (self.high - self.low))


def fit_residuals(
    outcomes: Sequence[Outcome], slope: float, deviation: float, *, keeps_total: bool = False
) -> Residuals:
    """Quantiles of the buyers' log residual, widened by `deviation`, that of the total's log.

    Totals and mean probabilities of each past date are set right first, so that its total's error
    is not counted twice. With `keeps_total` totals are as predicted, their error among the rest.
    """
    logs, residuals = [], []
    for outcome in outcomes:
        buyers = outcome.actual > 0
        if not buyers.any():
            continue
        probability = probability_of(outcome)
        top = 0.0 if keeps_total else outcome.linear_predictor.max()
        expected = np.exp(slope * (outcome.linear_predictor - top))
        if not keeps_total:
            expected *= outcome.actual.sum() / expected.sum()
        logs.append(np.log(probability[buyers]))
        residuals.append(np.log(outcome.actual[buyers] / expected[buyers] * probability[buyers]))
    x = np.concatenate(logs) if logs else np.empty(0)
    r = np.concatenate(residuals) if residuals else np.empty(0)
    at, quantiles = _by_bin(x, r)
    ends = np.array([at[0], at[-1]])
    if len(at) > 1:
        fitted = np.polynomial.polynomial.polyfit(at, quantiles, 1)
        quantiles = fitted[0] + ends[:, None] * fitted[1]
    low, high = (_widen(np.maximum.accumulate(quantiles[k]), deviation) for k in (0, -1))
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


def _widen(quantiles: Floats, deviation: float) -> Floats:
    """Quantiles of the sum with an independent normal error, as if they were normal themselves."""
    own = max((quantiles[-1] - quantiles[0]) / NORMAL_90, 1e-3)
    middle = quantiles[len(quantiles) // 2]
    return np.asarray(middle + (quantiles - middle) * np.sqrt(1 + (deviation / own) ** 2))


def spend_quantile(level: float, value: Floats, probability: Floats, residuals: Floats) -> Floats:
    """The quantile of spend: zero with probability 1 − p, else expected spend × exp(residual)."""
    share = level - (1 - probability)
    u = np.clip(share / np.maximum(probability, 1e-9), 1e-4, 1 - 1e-4)
    x = np.log(u / (1 - u))
    knots = [float(np.log(q / (1 - q))) for q in RESIDUAL_LEVELS]
    mean_if_purchase = value / np.maximum(probability, 1e-9)
    spend = mean_if_purchase * np.exp(_piecewise_line(x, knots, residuals))
    return np.where(share <= 0, 0.0, spend)


def _piecewise_line(x: Floats, knots: Sequence[float], values: NDArray[np.float64]) -> Floats:
    line = values[:, 0]
    for k in range(len(knots) - 1):
        width = knots[k + 1] - knots[k]
        step = x - knots[k]
        if k > 0:
            step = np.maximum(step, 0.0)
        if k < len(knots) - 2:
            step = np.minimum(step, width)
        line = line + (values[:, k + 1] - values[:, k]) / width * step
    return np.asarray(line)
