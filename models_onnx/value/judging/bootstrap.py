"""Metrics with 95 % bootstrap intervals, for one date or several."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.judging.columns import Column, Values, column
from cva_sql.models_onnx.value.judging.deciles import tier_masks
from cva_sql.models_onnx.value.judging.metrics import (
    MONEY_METRICS,
    PROBABILITY_METRICS,
    RANKING_METRICS,
    PairMetric,
    auc,
    interval_coverage,
    pinball,
    quantile_coverage,
)
from cva_sql.udfs.cores import cores

INTERVAL = (2.5, 97.5)  # percentiles of the bootstrap replicates
Estimate: TypeAlias = Callable[[Floats | None], float]
T = TypeVar("T")


@dataclass(frozen=True)
class Metric:
    """A metric's value and its 95 % bootstrap interval; NaN where undefined."""

    name: str
    value: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Sample:
    """One date's outcomes and predictions, one entry a customer.

    auc takes `probability` where there is one, else the order of `predicted`. `quantiles` maps
    levels (0.1) to columns. `customer_id` tells which rows of several dates are one customer;
    without it they are taken by position.
    """

    actual: Values
    predicted: Values
    probability: Values | None = None
    quantiles: Mapping[float, Values] = field(default_factory=dict)
    customer_id: NDArray[Any] | None = None

    def select(self, mask: NDArray[np.bool_]) -> Sample:
        """The customers of a mask."""

        def of(values: Any) -> Any:
            return None if values is None else np.asarray(values)[mask]

        return Sample(
            of(self.actual),
            of(self.predicted),
            of(self.probability),
            {level: of(values) for level, values in self.quantiles.items()},
            of(self.customer_id),
        )


def _bind(metric: Callable[..., float], *columns: Column, **options: float) -> Estimate:
    """`metric` of these columns as a function of the weights alone."""
    return lambda weights: metric(*columns, weights, **options)


def _estimates(sample: Sample) -> dict[str, Estimate]:
    """Every metric that the sample's columns allow."""
    outcome, money = column(sample.actual, "actual"), column(sample.predicted, "predicted")
    probability = None if sample.probability is None else column(sample.probability, "probability")
    pairs = {**RANKING_METRICS, **MONEY_METRICS}
    estimates = {name: _bind(metric, outcome, money) for name, metric in pairs.items()}
    estimates["auc"] = _bind(auc, outcome, money if probability is None else probability)
    if probability is not None:
        estimates |= {
            n: _bind(metric, outcome, probability) for n, metric in PROBABILITY_METRICS.items()
        }
    limits = {level: column(q, f"p{100 * level:g}") for level, q in sample.quantiles.items()}
    for level, limit in limits.items():
        estimates[f"coverage_p{100 * level:g}"] = _bind(quantile_coverage, outcome, limit)
        estimates[f"pinball_p{100 * level:g}"] = _bind(pinball, outcome, limit, level=level)
    estimates |= _coverage_by_group(outcome, money, limits, sample.customer_id)
    if len(limits) > 1:
        low, high = min(limits), max(limits)
        name = f"coverage_p{100 * low:g}_p{100 * high:g}"
        estimates[name] = _bind(interval_coverage, outcome, limits[low], limits[high])
    return estimates


def _coverage_by_group(
    outcome: Column, money: Column, limits: Mapping[float, Column], ids: NDArray[Any] | None
) -> dict[str, Estimate]:
    """Shares at or below each quantile in parts of the customers, NaN in an empty one.

    `_positive` are those whose highest quantile is above 0, the others have a claim that nobody can
    miss; `_high`, `_medium` and `_low` are the value tiers, `_positive_high` what both hold.
    """
    if not limits:
        return {}
    is_positive = limits[max(limits)].values > 0
    groups = {"positive": is_positive}
    for name, mask in tier_masks(money.values, ids).items():
        groups |= {name: mask, f"positive_{name}": mask & is_positive}
    return {
        f"coverage_p{100 * level:g}_{name}": _share_within(outcome.values <= limit.values, mask)
        for level, limit in limits.items()
        for name, mask in groups.items()
    }


def _share_within(is_covered: NDArray[np.bool_], mask: NDArray[np.bool_]) -> Estimate:
    hits = (is_covered & mask).astype(np.float64)
    counted = mask.astype(np.float64)

    def estimate(weights: Floats | None) -> float:
        w = np.ones(len(hits)) if weights is None else weights
        size = float(w @ counted)
        return float(w @ hits) / size if size > 0 else math.nan

    return estimate


def _draw(measure: Callable[[Floats], T], customers: int, replicates: int, seed: int) -> list[T]:
    """`measure` of how often each customer is drawn, by replicate; none without customers.

    A replicate a core at a time: the draws and the order are those of one after the other.
    """
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(seed)
    drawn, waiting = list[T](), deque[Future[T]]()
    at_once = cores()
    # Short products that two threads share took 40 times as long on a machine with other work.
    with threadpool_limits(1), ThreadPoolExecutor(at_once) as pool:
        for _ in range(replicates if customers else 0):
            picks = rng.integers(0, customers, customers)
            counts = np.bincount(picks, minlength=customers).astype(np.float64)
            waiting.append(pool.submit(measure, counts))
            if len(waiting) > at_once:  # no more draws in memory than cores work on
                drawn.append(waiting.popleft().result())
        drawn += [one.result() for one in waiting]
    return drawn


def _interval(name: str, point: float, drawn: Sequence[float]) -> Metric:
    """Replicates in which a metric is undefined do not count; without any, the interval is NaN."""
    defined = [value for value in drawn if math.isfinite(value)]
    lower, upper = math.nan, math.nan
    if defined and math.isfinite(point):
        lower, upper = (float(limit) for limit in np.percentile(defined, INTERVAL))
    return Metric(name, point, lower, upper)


def evaluate_dates(
    samples: Sequence[Sample], *, replicates: int = 200, seed: int = 0
) -> tuple[list[dict[str, Metric]], dict[str, Metric]]:
    """All metrics by name: one dict a date, and one of the means over the dates.

    Customers are resampled with all their dates, `replicates` times (0: no intervals), the same way
    for the same seed. The means have `abs_bias`, the mean of |bias|, beside the mean bias.
    """
    estimates = [_estimates(sample) for sample in samples]
    codes, customers = _customer_codes(samples)
    points = [{n: e(None) for n, e in estimate.items()} for estimate in estimates]

    def measure(counts: Floats) -> list[dict[str, float]]:
        return [
            {n: e(counts[code]) for n, e in estimate.items()}
            for estimate, code in zip(estimates, codes, strict=True)
        ]

    drawn = _draw(measure, customers, replicates, seed)
    by_date = [
        {n: _interval(n, value, [draw[i][n] for draw in drawn]) for n, value in point.items()}
        for i, point in enumerate(points)
    ]
    mean_point = _mean_over_dates(points)
    mean_drawn = [_mean_over_dates(draw) for draw in drawn]
    means = {
        n: _interval(n, value, [draw[n] for draw in mean_drawn]) for n, value in mean_point.items()
    }
    return by_date, means


def _customer_codes(samples: Sequence[Sample]) -> tuple[list[NDArray[np.intp]], int]:
    ids = [
        np.arange(len(np.asarray(column(s.actual, "actual").values)))
        if s.customer_id is None
        else s.customer_id.astype(str)
        for s in samples
    ]
    if not ids:
        return [], 0
    distinct, codes = np.unique(np.concatenate(ids), return_inverse=True)
    ends = np.cumsum([len(part) for part in ids])[:-1]
    return np.split(codes, ends), len(distinct)


def _mean_over_dates(dates: Sequence[Mapping[str, float]]) -> dict[str, float]:
    if not dates:
        return {}
    # A date on which a rule scores has no figures of probabilities.
    names = [name for name in dates[0] if all(name in date for date in dates)]
    means = {name: float(np.mean([date[name] for date in dates])) for name in names}
    means["abs_bias"] = float(np.mean([abs(date["bias"]) for date in dates]))
    return means


def mean_differences(
    base: Sequence[Sample],
    others: Mapping[str, Sequence[Sample]],
    names: Sequence[str],
    *,
    replicates: int = 200,
    seed: int = 0,
) -> dict[str, dict[str, Metric]]:
    """Each other's mean over the dates less `base`'s, by its name and metric, with 95 % intervals.

    As `paired_difference`, but a customer is drawn with all their dates, as in `evaluate_dates`:
    rows of one customer are no independent witnesses. `abs_bias` is the mean of |bias|. A metric
    that a sample does not allow is NaN.
    """
    rows = {"": [_estimates(sample) for sample in base]}
    rows |= {other: [_estimates(sample) for sample in samples] for other, samples in others.items()}
    codes, customers = _customer_codes(base)

    def differences(counts: Floats | None) -> dict[tuple[str, str], float]:
        weights = [None if counts is None else counts[code] for code in codes]
        means = {
            other: [_mean_of(name, estimates, weights) for name in names]
            for other, estimates in rows.items()
        }
        return {
            (other, name): value - reference
            for other in others
            for name, value, reference in zip(names, means[other], means[""], strict=True)
        }

    point, drawn = differences(None), _draw(differences, customers, replicates, seed)
    return {
        other: {
            name: _interval(
                f"{name}_difference", point[other, name], [draw[other, name] for draw in drawn]
            )
            for name in names
        }
        for other in others
    }


def _mean_of(
    name: str, estimates: Sequence[Mapping[str, Estimate]], weights: Sequence[Floats | None]
) -> float:
    is_absolute = name == "abs_bias"
    values = []
    for estimate, w in zip(estimates, weights, strict=True):
        measure = estimate.get("bias" if is_absolute else name)
        value = math.nan if measure is None else measure(w)
        values.append(abs(value) if is_absolute else value)
    return float(np.mean(values))


def evaluate(sample: Sample, *, replicates: int = 200, seed: int = 0) -> dict[str, Metric]:
    """All metrics of one date by name, with 95 % bootstrap intervals."""
    return evaluate_dates([sample], replicates=replicates, seed=seed)[0][0]


def paired_difference(
    metric: PairMetric,
    actual: Values,
    first: Values,
    second: Values,
    *,
    replicates: int = 200,
    seed: int = 0,
) -> Metric:
    """`metric` of `first` less that of `second`, on the same customers, with its 95 % interval.

    Both are computed on each resample, so what the customers have in common cancels: an interval
    that leaves out 0 supports "first above second", where two separate intervals may overlap.
    """
    outcome = column(actual, "actual")
    one, other = column(first, "first"), column(second, "second")

    def difference(weights: Floats | None) -> float:
        return metric(outcome, one, weights) - metric(outcome, other, weights)

    drawn = _draw(difference, len(outcome.values), replicates, seed)
    name = f"{getattr(metric, '__name__', 'metric')}_difference"
    return _interval(name, difference(None), drawn)
