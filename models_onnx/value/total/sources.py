"""Two forecasts of a total, and the one that is made of them.

One takes what buy-till-you-die expects, the season of the same window in former years and the
drift of its own past errors. The other takes the shop's sales in the same window a year ago, its
growth since, and the share of sales that returning customers make. They are weighed by how wrong
each was, or may be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from cva_sql.models_onnx.value.total.clock import (
    YEAR,
    Clock,
    season_ahead,
    season_of_past,
    shrink_season,
)

DRIFT_PRIOR = 1.0  # cutoffs without an error that the drift is shrunk by
DEVIATION_PRIOR = 0.2  # in logs; what is assumed of an error before any has been seen
GROWTH_DEVIATION = 0.12  # in logs: how well a year's growth is known
GROWTH_FADES = 0.3  # of its log, as a deviation: the faster a shop grew, the less it goes on so
UNKNOWN_GROWTH_DEVIATION = 0.2  # the same where there is no second year to see any
# In logs, for the weights: how far one former year's season misses the next one's, and a season
# nobody has seen yet.
SEASON_DEVIATION, UNSEEN_SEASON_DEVIATION = 0.12, 0.15


@dataclass(frozen=True)
class Combined:
    """The log of a total and of its parts; `former` is the log total by last year's sales.

    `weight` is the share of `former`, 0 where it is None.
    """

    total: float
    season: float
    drift: float
    former: float | None
    weight: float


def combine(clock: Clock, days: int, expected: float) -> Combined:
    """The two forecasts for `days` from the clock's date on in one; `expected` is above 0."""
    openness = clock.openness(clock.as_of)
    season = openness * shrink_season(season_ahead(clock, days), clock.noise)
    drift, variance = _drift(clock, openness)
    is_seen = clock.as_of - timedelta(days=YEAR) >= clock.sales.first
    variance += (SEASON_DEVIATION if is_seen else UNSEEN_SEASON_DEVIATION) ** 2
    by_lifetimes = math.log(expected) + season + drift
    by_year = _by_former_year(clock, days)
    if by_year is None or not openness > 0:
        return Combined(by_lifetimes, season, drift, None, 0.0)
    former, former_variance = by_year
    before = clock.as_of - timedelta(days=YEAR + clock.label_days)
    weight = openness * clock.trust(before) * variance / (variance + former_variance)
    total = (1 - weight) * by_lifetimes + weight * former
    return Combined(total, season, drift, former, weight)


def _drift(clock: Clock, openness: float) -> tuple[float, float]:
    """(log drift, variance of its error) from the past windows' log errors, season taken out.

    In an open shop half of the drift is gone a horizon later, since new customers make the shop.
    A drift is shrunk by how few cutoffs have shown it and by their noise, which in a small shop is
    larger than any drift.
    A cohort that has closed by now has no season to take out, however open it once looked: its
    sales fall as it leaves. The variance is that of a forecast of each window by the windows
    complete before it.
    """
    errors = {
        window.cutoff: math.log(window.actual / window.expected)
        - min(openness, clock.openness(window.cutoff))
        * shrink_season(season_of_past(clock, window.cutoff), clock.noise)
        for window in clock.past
    }

    def drift(cutoffs: Sequence[date], at: date) -> float:
        if not cutoffs:
            return 0.0
        weights = clock.weights(cutoffs, clock.label_days)
        mean = float(np.average([errors[cutoff] for cutoff in cutoffs], weights=weights))
        share = 1 / (1 + DRIFT_PRIOR / len(cutoffs) + clock.noise / DEVIATION_PRIOR**2)
        return (1 - 0.5 * openness) * mean * share

    label = timedelta(days=clock.label_days)
    tested = []
    for cutoff in errors:
        known = [other for other in errors if other + label <= cutoff]
        if known:
            tested.append((cutoff, (errors[cutoff] - drift(known, cutoff)) ** 2))
    weights = clock.weights([cutoff for cutoff, _ in tested], 2 * clock.label_days)
    seen = float(np.sum(weights * np.array([square for _, square in tested])))
    variance = (seen + DEVIATION_PRIOR**2) / (float(weights.sum()) + 1.0)
    return drift(list(errors), clock.as_of), variance


def _by_former_year(clock: Clock, days: int) -> tuple[float, float] | None:
    """(log total, variance) by sales in the same window a year ago, growth and returning share."""
    year = timedelta(days=YEAR)
    if clock.as_of - year < clock.sales.first or not clock.past or days > YEAR:
        return None
    former = clock.sales.total(clock.as_of - year, days)
    shares = [
        (window.cutoff, window.actual / shop)
        for window in clock.past
        if (shop := clock.sales.total(window.cutoff, clock.label_days)) > 0
    ]
    if not former > 0 or not shares:
        return None
    weights = clock.weights([cutoff for cutoff, _ in shares], clock.label_days)
    logs = np.log([share for _, share in shares])
    share = float(np.average(logs, weights=weights))
    variance = float(np.average((logs - share) ** 2, weights=weights))
    extrapolation = days / clock.label_days  # new customers make more of a longer window
    share, variance = share * extrapolation, variance * extrapolation**2
    growth, deviation = log_growth(clock)
    return math.log(former) + growth + share, variance + deviation**2 + 2 * clock.noise


def log_growth(clock: Clock) -> tuple[float, float]:
    """(log growth over a year, its standard deviation) by two label lengths, or by one."""
    for days in (2 * clock.label_days, clock.label_days):
        start = clock.as_of - timedelta(days=days)
        former = start - timedelta(days=YEAR)
        if former < clock.sales.first:
            continue
        now, then = clock.sales.total(start, days), clock.sales.total(former, days)
        if now > 0 and then > 0:
            growth = math.log(now / then)
            return growth, math.hypot(GROWTH_DEVIATION, GROWTH_FADES * growth)
    return 0.0, UNKNOWN_GROWTH_DEVIATION
