"""Every metric of a value model, each defined once; numpy only.

All take `actual` spend and a prediction of it, one entry a customer, and optional `weights`: how
often each customer counts (0 or more), exactly as if its row were repeated that often. Row order
never matters: customers with the same prediction share their outcomes evenly. Where a metric is
undefined (no customers, constant or all-zero outcomes) it is NaN; each docstring says when. A null,
infinite or misshapen input is a ValueError.

The bootstrap calls the same functions with columns whose tie groups were found once (`Column`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cva_sql.models_onnx.value.arrays import Floats

LOGIT_CLIP = 1e-6  # p of 0 or 1 has no finite logit; past a millionth it is no forecast but a claim
NEWTON_STEPS = 50  # five or six do on real data; one that needs more is reported as NaN
NEWTON_TOLERANCE = 1e-10  # of the step, far below what a bootstrap interval can show


@dataclass(frozen=True, eq=False)
class Column:
    """Finite numbers, one a customer, with their tie groups sorted on first use."""

    values: Floats

    @cached_property
    def _unique(self) -> tuple[Floats, NDArray[np.intp]]:
        distinct, codes = np.unique(self.values, return_inverse=True)
        return np.asarray(distinct, dtype=np.float64), codes

    @property
    def groups(self) -> Floats:
        """The distinct values, ascending."""
        return self._unique[0]

    def group_sums(self, rows: Floats) -> Floats:
        """Sum of `rows` in each tie group, in ascending order of the column."""
        sums = np.bincount(self._unique[1], weights=rows, minlength=len(self.groups))
        return np.asarray(sums, dtype=np.float64)

    def midranks(self, weights: Floats) -> Floats:
        """Each row's weighted midrank less the mean rank; tied rows have the same."""
        sizes = self.group_sums(weights)
        centred = np.cumsum(sizes) - (sizes + sizes.sum()) / 2
        return np.asarray(centred[self._unique[1]], dtype=np.float64)

    def is_constant(self, weights: Floats) -> bool:
        """Whether fewer than two distinct values have any weight."""
        counted = self.values[weights > 0]
        return not len(counted) or bool(counted.min() == counted.max())


Values: TypeAlias = ArrayLike | Column
PairMetric: TypeAlias = Callable[[Values, Values, ArrayLike | None], float]


def column(values: Values, name: str = "values") -> Column:
    """`values` as a column ready for any metric; one that is ready already comes back as it is.

    Prepare a column once where several metrics or many weights use it: its sort is then shared.
    """
    if isinstance(values, Column):
        return values
    if np.ma.is_masked(values):  # np.asarray would drop DuckDB's null mask and keep the filler
        raise ValueError(f"{name} holds nulls; expected a number for every customer")
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1:
        raise ValueError(f"{name} has shape {numbers.shape}; expected one number a customer")
    if not np.isfinite(numbers).all():
        bad = int(np.count_nonzero(~np.isfinite(numbers)))
        raise ValueError(f"{name} holds {bad} null or infinite values of {len(numbers)}")
    return Column(numbers)


def _prepare(
    actual: Values, predicted: Values, weights: ArrayLike | None
) -> tuple[Column, Column, Floats]:
    """Both columns and the weights (ones where absent), checked to be of one length."""
    outcome, forecast = column(actual, "actual"), column(predicted, "predicted")
    count = len(outcome.values)
    given = np.ones(count) if weights is None else column(weights, "weights").values
    if not len(forecast.values) == len(given) == count:
        lengths = f"{count} actual, {len(forecast.values)} predicted, {len(given)} weights"
        raise ValueError(f"columns differ in length: {lengths}")
    if count and given.min() < 0:
        raise ValueError(f"weights go down to {given.min():g}; expected 0 or more")
    return outcome, forecast, given


def _check_probability(forecast: Column) -> None:
    low, high = (forecast.groups[0], forecast.groups[-1]) if len(forecast.groups) else (0.0, 1.0)
    if low < 0 or high > 1:
        raise ValueError(f"probability runs from {low:g} to {high:g}; expected 0 to 1")


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator != 0 else math.nan


def _dot(first: Floats, second: Floats) -> float:
    return float(first @ second)


def _mean(values: Floats, weights: Floats) -> float:
    return _ratio(_dot(weights, values), float(weights.sum()))


def spearman(actual: Values, predicted: Values, weights: ArrayLike | None = None) -> float:
    """Spearman's rank correlation, −1 to 1: Pearson's of the midranks; NaN if either is constant.

    Tied outcomes hold it below 1 and reward tied predictions: with 83 % zeros, a rule that gives
    most customers 0 looks better here than by `ngini`.
    """
    outcome, forecast, w = _prepare(actual, predicted, weights)
    if outcome.is_constant(w) or forecast.is_constant(w):
        return math.nan
    a, p = outcome.midranks(w), forecast.midranks(w)
    return _ratio(_dot(w * a, p), math.sqrt(_dot(w * a, a) * _dot(w * p, p)))


def ngini(actual: Values, predicted: Values, weights: ArrayLike | None = None) -> float:
    """Normalised Gini: the prediction's Gini over the perfect order's; 1 is perfect, 0 is chance.

    A Gini is the area between the cumulative gain curve and the diagonal; the curve is linear
    within a tie group. That area is proportional to cov(y, midrank) (Lerman and Yitzhaki 1984, "A
    note on the calculation and interpretation of the Gini index"), so the quotient is the Gini
    correlation cov(y, rank(ŷ)) / cov(y, rank(y)) of Schechtman and Yitzhaki (1987, "A measure of
    association based on Gini's mean difference"). NaN if `actual` is constant; a constant
    prediction has 0.
    """
    outcome, forecast, w = _prepare(actual, predicted, weights)
    if outcome.is_constant(w):
        return math.nan
    spend = w * outcome.values
    return _ratio(_dot(spend, forecast.midranks(w)), _dot(spend, outcome.midranks(w)))


def mae(actual: Values, predicted: Values, weights: ArrayLike | None = None) -> float:
    """Mean absolute error, in money; NaN without customers."""
    outcome, forecast, w = _prepare(actual, predicted, weights)
    return _mean(np.abs(outcome.values - forecast.values), w)


def r2(actual: Values, predicted: Values, weights: ArrayLike | None = None) -> float:
    """1 − squared error / squared deviation from the mean, up to 1; NaN if `actual` is constant."""
    outcome, forecast, w = _prepare(actual, predicted, weights)
    if outcome.is_constant(w):
        return math.nan
    errors = outcome.values - forecast.values
    deviations = outcome.values - _mean(outcome.values, w)
    return 1 - _ratio(_dot(w * errors, errors), _dot(w * deviations, deviations))


def d2_tweedie(
    actual: Values,
    predicted: Values,
    weights: ArrayLike | None = None,
    *,
    power: float = 1.5,
    floor: float = 0.01,
) -> float:
    """Share of the Tweedie deviance that the prediction explains: 1 is perfect, 0 the mean's, NaN
    if `actual` is all zero or constant.

    Jørgensen (1987, "Exponential dispersion models"), 1 < power < 2: a proper score of the mean of
    spend that is zero for many and heavy-tailed for the rest, so it sees ranking and total at once.
    A prediction below `floor` of the mean spend counts as that, else a rule that says 0 is
    infinitely wrong.
    """
    outcome, forecast, w = _prepare(actual, predicted, weights)
    mean = _mean(outcome.values, w)
    if outcome.is_constant(w) or not mean > 0:
        return math.nan

    def deviance(mu: Floats) -> float:
        y = outcome.values
        own = y ** (2 - power) / ((1 - power) * (2 - power))
        terms = own - y * mu ** (1 - power) / (1 - power) + mu ** (2 - power) / (2 - power)
        return _dot(w, terms)

    ours = deviance(np.maximum(forecast.values, floor * mean))
    return 1 - _ratio(ours, deviance(np.full_like(outcome.values, mean)))


def bias(actual: Values, predicted: Values, weights: ArrayLike | None = None) -> float:
    """Σpredicted / Σactual − 1: +0.2 promises a fifth too much; NaN if the outcomes add up to 0."""
    outcome, forecast, w = _prepare(actual, predicted, weights)
    return _ratio(_dot(w, forecast.values), _dot(w, outcome.values)) - 1


def _spend_up_to(by: Column, rows: Floats, weights: Floats, customers: Floats) -> Floats:
    """Sum of weighted `rows` over the first `customers` in ascending order of `by`, ties shared.

    The point where a tie group is cut takes the same part of its sum as of its customers.
    """
    counted = np.concatenate([[0.0], np.cumsum(by.group_sums(weights))])
    summed = np.concatenate([[0.0], np.cumsum(by.group_sums(weights * rows))])
    return np.asarray(np.interp(customers, counted, summed), dtype=np.float64)


def decile_mape(actual: Values, predicted: Values, weights: ArrayLike | None = None) -> float:
    """Mean over ten predicted deciles of |mean predicted − mean actual| / mean actual; 0 is best.

    Deciles hold exactly a tenth of the customers; a tie group that a limit cuts is split in
    proportion, each part with the group's mean outcome. A decile whose outcomes are all 0 has no
    relative error and is left out of the mean; NaN where that leaves none.
    """
    outcome, forecast, w = _prepare(actual, predicted, weights)
    limits = w.sum() * np.arange(11) / 10  # multiply first: whole limits stay whole
    spent = np.diff(_spend_up_to(forecast, outcome.values, w, limits))
    promised = np.diff(_spend_up_to(forecast, forecast.values, w, limits))
    counted = spent != 0
    if not counted.any():
        return math.nan
    return float(np.mean(np.abs(promised - spent)[counted] / spent[counted]))


def top_capture(actual: Values, predicted: Values, weights: ArrayLike | None = None) -> float:
    """Share of all spend that the tenth of customers with the highest predictions made, 0 to 1.

    Ties at the limit are shared, so a constant prediction has 0.1. NaN if the outcomes add up to 0.
    """
    outcome, forecast, w = _prepare(actual, predicted, weights)
    below = _spend_up_to(forecast, outcome.values, w, np.array([w.sum() * 9 / 10]))
    return 1 - _ratio(float(below[0]), _dot(w, outcome.values))


def auc(actual: Values, predicted: Values, weights: ArrayLike | None = None) -> float:
    """Probability that a buyer (`actual` > 0) is ranked above a non-buyer, a tie counting one half.

    From Mann and Whitney's U. NaN if all or none bought.
    """
    outcome, forecast, w = _prepare(actual, predicted, weights)
    bought = w * (outcome.values > 0)
    buyers = float(bought.sum())
    pairs = buyers * (float(w.sum()) - buyers)
    return _ratio(_dot(bought, forecast.midranks(w)), pairs) + 0.5


def brier(actual: Values, probability: Values, weights: ArrayLike | None = None) -> float:
    """Mean squared distance of the probability to buy from 1 (`actual` > 0) or 0; 0 is best."""
    outcome, forecast, w = _prepare(actual, probability, weights)
    _check_probability(forecast)
    return _mean((forecast.values - (outcome.values > 0)) ** 2, w)


def calibration_slope(
    actual: Values, probability: Values, weights: ArrayLike | None = None
) -> float:
    """Slope of `actual` > 0 on logit p in logistic regression: 1 is calibrated, 0.7 overconfident.

    Cox (1958), "Two further applications of a model for binary regression"; with an intercept.
    Probabilities are clipped to [1e-6, 1 − 1e-6]. NaN if the fit does not exist: all or none
    bought, p is constant, or p separates buyers from the others without overlap.
    """
    outcome, forecast, w = _prepare(actual, probability, weights)
    _check_probability(forecast)
    clipped = np.clip(forecast.groups, LOGIT_CLIP, 1 - LOGIT_CLIP)
    logit = np.log(clipped) - np.log1p(-clipped)
    size = forecast.group_sums(w)
    buyers = forecast.group_sums(w * (outcome.values > 0))
    with_buyers, with_others = logit[buyers > 0], logit[size > buyers]
    if not len(with_buyers) or not len(with_others):
        return math.nan
    if with_buyers[0] >= with_others[-1] or with_others[0] >= with_buyers[-1]:
        return math.nan
    present = size > 0
    return _logistic_slope(logit[present], size[present], buyers[present])


def _logistic_slope(x: Floats, size: Floats, successes: Floats) -> float:
    """Maximum-likelihood slope of `successes` of `size` on x, by Newton with halved steps."""
    centre = _mean(x, size)
    scale = math.sqrt(_mean((x - centre) ** 2, size))  # so that a narrow x is no harder to fit
    z = (x - centre) / scale

    def fit(intercept: float, slope: float) -> tuple[float, Floats]:
        """Negative log likelihood and fitted probabilities, without overflow."""
        eta = intercept + slope * z
        small = np.exp(-np.abs(eta))
        loss = _dot(size, np.log1p(small) + np.maximum(eta, 0)) - _dot(successes, eta)
        return loss, np.where(eta > 0, 1.0, small) / (1 + small)

    rate = float(successes.sum() / size.sum())
    intercept, slope = math.log(rate / (1 - rate)), 0.0
    loss, fitted = fit(intercept, slope)
    for _ in range(NEWTON_STEPS):
        residual, variance = successes - size * fitted, size * fitted * (1 - fitted)
        cross = _dot(variance, z)
        curvature = np.array([[variance.sum(), cross], [cross, _dot(variance, z * z)]])
        step = np.linalg.solve(curvature, np.array([residual.sum(), _dot(residual, z)]))
        if np.abs(step).max() < NEWTON_TOLERANCE * (1 + abs(intercept) + abs(slope)):
            return slope / scale
        proposed = fit(intercept + step[0], slope + step[1])
        while proposed[0] > loss + 1e-12 * abs(loss):  # the slack is rounding, at the optimum
            step = step / 2
            proposed = fit(intercept + step[0], slope + step[1])
        intercept, slope = intercept + float(step[0]), slope + float(step[1])
        loss, fitted = proposed
    return math.nan


def quantile_coverage(actual: Values, quantile: Values, weights: ArrayLike | None = None) -> float:
    """Share of customers whose outcome is at or below their predicted quantile.

    With 83 % of outcomes at 0, an honest p10 is 0 and has a coverage of 0.83, not 0.1.
    """
    outcome, forecast, w = _prepare(actual, quantile, weights)
    return _mean((outcome.values <= forecast.values).astype(np.float64), w)


def interval_coverage(
    actual: Values, lower: Values, upper: Values, weights: ArrayLike | None = None
) -> float:
    """Share of customers whose outcome lies in [lower, upper], both ends included."""
    outcome, low, w = _prepare(actual, lower, weights)
    _, high, _ = _prepare(actual, upper, weights)
    inside = (low.values <= outcome.values) & (outcome.values <= high.values)
    return _mean(inside.astype(np.float64), w)


def pinball(
    actual: Values, quantile: Values, weights: ArrayLike | None = None, *, level: float
) -> float:
    """Mean pinball loss of the quantile at `level` (between 0 and 1), in money; 0 is best.

    Koenker and Bassett (1978): level · shortfall, or (1 − level) · excess.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level:g}; expected between 0 and 1")
    outcome, forecast, w = _prepare(actual, quantile, weights)
    short = outcome.values - forecast.values
    return _mean(np.maximum(level * short, (level - 1) * short), w)


MONEY_METRICS: Mapping[str, PairMetric] = MappingProxyType(
    {"mae": mae, "r2": r2, "d2_tweedie": d2_tweedie, "decile_mape": decile_mape, "bias": bias}
)
RANKING_METRICS: Mapping[str, PairMetric] = MappingProxyType(
    {"spearman": spearman, "ngini": ngini, "top_capture": top_capture}
)
PROBABILITY_METRICS: Mapping[str, PairMetric] = MappingProxyType(
    {"brier": brier, "calibration_slope": calibration_slope}
)
