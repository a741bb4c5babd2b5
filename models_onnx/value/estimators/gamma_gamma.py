"""Gamma-Gamma: what a customer spends on a purchase day, from few of them.

Fader, Hardie (2013), "The Gamma-Gamma model of monetary value": a purchase day's spend is
Gamma(p, ν) with the customer's own ν ~ Gamma(q, v), independent of how often they buy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.estimators.prior import Prior
from cva_sql.models_onnx.value.estimators.search import search_minimum

NAMES = ("p", "q", "v")
LARGEST = 1e3  # p or q this large means that orders, or customers, are all alike
V_BOUNDS = (1e-4, 1e4)  # in mean spends
# p, q; v follows from them, for the population's mean p·v / (q − 1) is known.
STARTS = ((1.0, 2.0), (3.0, 3.0), (10.0, 6.0))
MIN_CUSTOMERS = 20  # without a prior, three parameters need more than a handful of means
# p and q where nothing can be fitted: one purchase day counts as much as the shop's mean does,
# p / (p + q − 1) = 0.5, more cautious than CDNOW's fit (0.70).
FALLBACK = (2.0, 3.0)


@dataclass(frozen=True)
class SpendModel:
    """A fitted Gamma-Gamma model; v is money, the population's mean spend is p·v / (q − 1).

    `loglik` is per customer, spend in money, without the penalty; NaN for the fallback.
    """

    p: float
    q: float
    v: float
    loglik: float
    converged: bool
    report: str


@dataclass(frozen=True)
class _Means:
    """Mean spends over `unit`; `levels` are the different n, `place` where each customer's is."""

    levels: Floats
    place: NDArray[np.intp]
    mean: Floats
    unit: float


def fit_spend(
    n: Floats,
    mean: Floats,
    min_q: float = 1.5,
    penalty: float = 1e-4,
    prior: Prior | None = None,
) -> SpendModel:
    """The maximum of log-likelihood per customer − penalty · |log parameters|², with q >= min_q.

    A prior is added as in `btyd.fit_dropout`.

    Arrays of shape (customers,): n purchase days behind each mean spend; rows with a NaN, n < 1 or
    a mean that is not above 0 are left out. While fitting, spend is counted in the mean of the
    means. A q near 1 makes the population's mean infinite, and below it negative. With fewer than
    MIN_CUSTOMERS and no prior, or where no start converges, gives default shapes around the shop's
    mean; never raises.
    """
    n, mean = np.asarray(n, dtype=np.float64), np.asarray(mean, dtype=np.float64)
    known = np.isfinite(n) & np.isfinite(mean)
    known[known] = (n[known] >= 1) & (mean[known] > 0)
    order = np.lexsort((mean[known], n[known]))  # sums of floats: the same bytes in any row order
    n, mean = n[known][order], mean[known][order]
    if not len(mean) or (prior is None and len(mean) < MIN_CUSTOMERS):
        reason = f"{len(mean)} customers with a purchase, expected {MIN_CUSTOMERS} or more"
        return _fallback(mean, min_q, reason)
    levels, place = np.unique(n, return_inverse=True)
    means = _Means(levels, place, mean / mean.mean(), float(mean.mean()))
    starts = [(p, max(q, min_q), (max(q, min_q) - 1) / p) for p, q in STARTS]
    bounds = ((1 / LARGEST, LARGEST), (min_q, max(LARGEST, min_q)), V_BOUNDS)

    def objective(theta: Floats) -> tuple[float, Floats]:
        value, gradient = _log_likelihood(theta, means)
        value, gradient = penalty * float(theta @ theta) - value, 2 * penalty * theta - gradient
        if prior is not None:
            known, slope = _surprise(theta, prior)
            value, gradient = value + known / len(mean), gradient + slope / len(mean)
        return value, gradient

    theta, report = search_minimum(objective, starts, bounds, NAMES)
    if theta is None:
        return _fallback(mean, min_q, report)
    loglik = _log_likelihood(theta, means)[0] - float(np.log(means.unit))
    p, q, v = (float(value) for value in np.exp(theta))
    return SpendModel(p, q, v * means.unit, loglik, True, report)


def _surprise(theta: Floats, prior: Prior) -> tuple[float, Floats]:
    """The prior's penalty and its gradient by the log parameters, spend over the shop's mean."""
    p, q, v = theta
    value, slope = prior.penalty(np.array([p, q, p + v - np.log(np.expm1(q))]))
    by_q = np.exp(q) / np.expm1(q)
    return value, np.array([slope[0] + slope[2], slope[1] - slope[2] * by_q, slope[2]])


def _fallback(mean: Floats, min_q: float, reason: str) -> SpendModel:
    p, q = FALLBACK[0], max(FALLBACK[1], min_q)
    shop = float(mean.mean()) if len(mean) else 1.0  # without a customer any unit is as good
    report = f"{reason}: default shapes around the shop's mean"
    return SpendModel(p, q, shop * (q - 1) / p, float("nan"), False, report)


def _log_likelihood(theta: Floats, means: _Means) -> tuple[float, Floats]:
    """The log-likelihood per customer and its gradient by the log parameters, shape (3,).

    Fader, Hardie (2013), equation 1a.
    """
    from scipy.special import digamma, gammaln

    p, q, v = np.exp(theta)
    n, mean, place = means.levels, means.mean, means.place
    share = np.bincount(place) / len(mean)
    by_level = gammaln(p * n + q) - gammaln(p * n) - gammaln(q) + p * n * np.log(n)
    shape, total = (p * n + q)[place], v + n[place] * mean
    log_mean, log_total = np.log(mean), np.log(total)
    own = p * n[place] - 1
    value = share @ by_level + q * np.log(v) + np.mean(own * log_mean - shape * log_total)
    slope = digamma(p * n + q)
    log_ratio = np.log(n)[place] + log_mean - log_total
    gradient = np.array(
        [
            share @ (n * (slope - digamma(p * n))) + np.mean(n[place] * log_ratio),
            share @ slope - digamma(q) + np.log(v) - np.mean(log_total),
            q / v - np.mean(shape / total),
        ]
    )
    return float(value), gradient * np.exp(theta)


def expected_mean(model: SpendModel, n: Floats, mean: Floats) -> Floats:
    """A customer's expected spend per purchase day, shape (customers,); NaN where an input is.

    Fader, Hardie (2013), equation 5: p·(v + n·mean) / (p·n + q − 1), here over p above and below.
    n = 0 gives the population's mean, whatever `mean` is as long as it is finite.
    """
    return (model.v + n * mean) / (n + (model.q - 1) / model.p)
