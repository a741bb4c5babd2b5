"""Buy till you die: BG/NBD and MBG/NBD, fitted, and what they expect of each customer.

A customer buys at a rate λ ~ Gamma(r, α) and after each purchase drops out with probability
p ~ Beta(a, b): BG/NBD (Fader, Hardie, Lee 2005). MBG/NBD (Batislam, Denizel, Filiztekin 2007) has
one more chance to drop out, at time 0, so that it also loses customers who bought once. x counts
repeat purchase days, t_x and T are days from the first purchase to the last one and to now. Where
gaps are regular, k stages pass at the rate λ between purchases: see `stages.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.estimators.prior import Prior
from cva_sql.models_onnx.value.estimators.search import search_minimum
from cva_sql.models_onnx.value.estimators.stages import log_stage_sum

Kind = Literal["bgnbd", "mbgnbd"]

# Chances to drop out before any repeat purchase.
EARLY_CHANCES = MappingProxyType({"bgnbd": 0, "mbgnbd": 1})
NAMES = ("r", "alpha", "a", "b")
# Of r, alpha over max T, a, b; CDNOW and Online Retail II have r 0.2–0.9, a 0.05–0.9, b 1–19. With
# r = 100 customers are all alike; at a = 1000 the weights of `expected_orders` vanish for x = 1000.
BOUNDS = ((1e-3, 1e2), (1e-4, 1e3), (1e-3, 1e2), (1e-3, 1e3))
# r, a, b; alpha follows from r and the mean rate. Uneven, even and nearly equal customers.
STARTS = ((0.3, 0.5, 3.0), (1.0, 1.0, 2.0), (3.0, 2.0, 8.0))
MIN_REPEATERS = 20  # without a prior, four parameters need more customers who came back
MAX_TRIPLES = 60_000  # enough for four parameters, and fitted in 0.2 s
YEAR = 365.0  # days; the prior's rate is of purchase days a year
# r, a, b where nothing can be fitted: rates are exponential, one in three drops out after a
# purchase (CDNOW's fits say 0.25 and 0.36), and each purchase seen weighs as much as what is
# assumed.
FALLBACK = (1.0, 1.0, 2.0)
# One repeat purchase a year, seen once: what a shop with no other evidence has for a rate.
PRIOR_ORDERS, PRIOR_DAYS = 1.0, 365.0


@dataclass(frozen=True)
class DropoutModel:
    """A fitted dropout model: rates ~ Gamma(r, alpha days), dropout ~ Beta(a, b).

    The rate is that of `stages`, of which a purchase needs so many. `loglik` is per customer, time
    in days, without the penalty and what gaps say of `stages`; NaN for the fallback.
    """

    kind: Kind
    r: float
    alpha: float
    a: float
    b: float
    loglik: float
    converged: bool
    report: str
    stages: int = 1

    @property
    def early_chances(self) -> int:
        """Chances to drop out before any repeat purchase: 0 or 1."""
        return EARLY_CHANCES[self.kind]


@dataclass(frozen=True)
class _Triples:
    """The different (x, t_x, T), time over `unit` days; shares sum to 1.

    `levels` are the different x and `place` says where each triple's x is among them: the gamma
    functions depend on x alone.
    """

    levels: Floats
    place: NDArray[np.intp]
    t_x: Floats
    T: Floats
    share: Floats
    unit: float


def fit_dropout(
    x: Floats,
    t_x: Floats,
    T: Floats,
    kind: Kind = "mbgnbd",
    penalty: float = 1e-4,
    prior: Prior | None = None,
    stages: int = 1,
) -> DropoutModel:
    """The maximum of log-likelihood per customer − penalty · |log parameters|², and of a prior.

    Arrays of shape (customers,), t_x and T in days; rows with a NaN, a negative value or T < t_x
    are left out. While fitting, time is counted in the largest T. Above MAX_TRIPLES different
    (x, t_x, T) every n-th of them is used, sorted. With fewer than MIN_REPEATERS repeat buyers and
    no prior, or where no start converges, gives default parameters at the shop's mean rate; never
    raises. The prior weighs as its density does beside all customers: see `prior.ShopPriors`.
    """
    x, t_x, T = (np.asarray(values, dtype=np.float64) for values in (x, t_x, T))
    known = np.isfinite(x) & np.isfinite(t_x) & np.isfinite(T)
    known[known] = (x[known] >= 0) & (t_x[known] >= 0) & (T[known] >= t_x[known])
    x, t_x, T = x[known], t_x[known], T[known]
    repeaters = int(np.count_nonzero(x > 0))
    if prior is None and repeaters < MIN_REPEATERS:
        reason = f"{repeaters} customers with a repeat purchase, expected {MIN_REPEATERS} or more"
        return _fallback(x, T, kind, reason)
    if not T.max(initial=0.0) > 0:
        return _fallback(x, T, kind, "no time has passed since any first purchase")
    triples = _count_triples(x, t_x, T)
    orders = float(np.sum(triples.share * triples.levels[triples.place]))
    days = float(np.sum(triples.share * triples.T))
    rate = max(orders, PRIOR_ORDERS / len(x)) / days
    starts = [(r, r / (rate * stages), a, b) for r, a, b in STARTS]

    def objective(theta: Floats) -> tuple[float, Floats]:
        value, gradient = _log_likelihood(theta, triples, kind, stages)
        value, gradient = penalty * float(theta @ theta) - value, 2 * penalty * theta - gradient
        if prior is not None:
            known, slope = _surprise(theta, prior, triples.unit * stages)
            value, gradient = value + known / len(x), gradient + slope / len(x)
        return value, gradient

    theta, report = search_minimum(objective, starts, BOUNDS, NAMES)
    if theta is None:
        return _fallback(x, T, kind, report)
    loglik, _ = _log_likelihood(theta, triples, kind, stages)
    loglik -= stages * orders * float(np.log(triples.unit))
    r, alpha, a, b = (float(value) for value in np.exp(theta))
    return DropoutModel(kind, r, alpha * triples.unit, a, b, loglik, True, report, stages)


def _surprise(theta: Floats, prior: Prior, unit: float) -> tuple[float, Floats]:
    """The prior's penalty and its gradient by the log parameters; r / alpha in purchases a unit."""
    r, alpha, a, b = theta
    rate = r - alpha + np.log(YEAR / unit)
    value, slope = prior.penalty(np.array([r, rate, a, b]))
    return value, np.array([slope[0] + slope[1], -slope[1], slope[2], slope[3]])


def _fallback(x: Floats, T: Floats, kind: Kind, reason: str) -> DropoutModel:
    r, a, b = FALLBACK
    alpha = r * (float(np.sum(T)) + PRIOR_DAYS) / (float(np.sum(x)) + PRIOR_ORDERS)
    report = f"{reason}: default parameters at the shop's mean rate"
    return DropoutModel(kind, r, alpha, a, b, float("nan"), False, report)


def _count_triples(x: Floats, t_x: Floats, T: Floats) -> _Triples:
    order = np.lexsort((T, t_x, x))
    rows = np.column_stack((x, t_x, T))[order]
    is_new = np.concatenate(([True], np.any(rows[1:] != rows[:-1], axis=1)))
    first = np.flatnonzero(is_new)
    count = np.diff(np.concatenate((first, [len(rows)]))).astype(np.float64)
    step = -(-len(first) // MAX_TRIPLES)
    rows, count = rows[first[::step]], count[::step]
    levels, place = np.unique(rows[:, 0], return_inverse=True)
    unit = float(T.max())
    return _Triples(levels, place, rows[:, 1] / unit, rows[:, 2] / unit, count / count.sum(), unit)


def _log_likelihood(
    theta: Floats, triples: _Triples, kind: Kind, stages: int = 1
) -> tuple[float, Floats]:
    """The log-likelihood per customer and its gradient by the log parameters, shape (4,).

    Fader, Hardie, Lee (2005), section 7, written as alive · (1 + odds of having dropped out at
    t_x); with a chance more, Batislam, Denizel, Filiztekin (2007), appendix A; with stages,
    Reutterer, Platzer, Schröder (2021), less Π gap^(k − 1) / Γ(k), which no parameter moves.
    """
    from scipy.special import betaln, digamma, expit, gammaln

    r, alpha, a, b = np.exp(theta)
    x, share, place = triples.levels, triples.share, triples.place
    chances = x + EARLY_CHANCES[kind]  # survived by those alive; after the last they may drop out
    before = np.maximum(b + chances - 1, 1e-300)
    log_odds = np.where(chances > 0, np.log(a) - np.log(before), -np.inf)[place]
    shapes = r + stages * x
    shape, age = shapes[place], alpha + triples.T
    log_ratio = np.log(age / (alpha + triples.t_x))
    log_odds = log_odds + shape * log_ratio
    by_level = gammaln(shapes) - gammaln(r) + betaln(a, b + chances) - betaln(a, b)
    alive = by_level[place] + r * np.log(alpha) - shape * np.log(age)
    in_stage = np.zeros(2)
    if stages > 1:
        w = (triples.T - triples.t_x) / age
        log_sum, by_shape, by_w = log_stage_sum(shape, w, stages)
        alive, log_odds = alive + log_sum, log_odds - log_sum
        weight = share * expit(-log_odds)
        in_stage = np.array([np.sum(weight * by_shape), -np.sum(weight * by_w * w / age)])
    dropped = expit(log_odds)

    per_level = np.bincount(place, weights=share, minlength=len(x))
    dropped_per_level = np.bincount(place, weights=share * dropped, minlength=len(x))
    all_chances = digamma(a + b) - digamma(a + b + chances)
    survived = digamma(b + chances) - digamma(b)
    gradient = np.array(
        [
            per_level @ (digamma(shapes) - digamma(r))
            + np.sum(share * (np.log(alpha) - np.log(age) + dropped * log_ratio)),
            r / alpha
            - np.sum(share * shape * ((1 - dropped) / age + dropped / (alpha + triples.t_x))),
            per_level @ all_chances + dropped_per_level.sum() / a,
            per_level @ (all_chances + survived) - dropped_per_level @ (1 / before),
        ]
    )
    gradient[:2] += in_stage
    # Not a product of vectors: its last digits depend on how many threads share it.
    value = np.sum(share * (alive + np.logaddexp(0.0, log_odds)))
    return float(value), gradient * np.exp(theta)
