"""How much the customers of today will spend together: a forecast of its own.

Who spends how much and what all spend together are two problems: a model of customers knows nothing
of Christmas. Two forecasts of the total are made. One takes what buy-till-you-die expects, the
season of the same window in former years and the drift of its own past errors. The other takes the
shop's sales in the same window a year ago, its growth since, and the share of sales that returning
customers make. They are weighed by how wrong each was, or may be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.data.calendar import DayFactors
from cva_sql.models_onnx.value.data.shop_past import ShopSales
from cva_sql.models_onnx.value.total.windows import PastWindow

YEAR = 365
YEARS = 3  # of seasons that are averaged
SEASON_NOISE = 0.08  # in logs: a smaller season is as likely the luck of one year
OPEN_SHARE = 0.25  # of a year's new customers in its last half, from which a shop counts as open
DRIFT_PRIOR = 1.0  # cutoffs without an error that the drift is shrunk by
DEVIATION_PRIOR = 0.2  # in logs; what is assumed of an error before any has been seen
GROWTH_DEVIATION = 0.12  # in logs: how well a year's growth is known
GROWTH_FADES = 0.3  # of its log, as a deviation: the faster a shop grew, the less it goes on so
UNKNOWN_GROWTH_DEVIATION = 0.2  # the same where there is no second year to see any
# In logs: how far one former year's season misses the next one's, and a season nobody has seen yet.
# Past errors do not show it: their windows overlap in the same season.
SEASON_DEVIATION, UNSEEN_SEASON_DEVIATION = 0.12, 0.15
# A first year of records ends with many new customers where the shop has opened with them, and with
# few where it was there before: only then is a slow start a season. Shares of the year's new
# customers in its last half; Online Retail II has 0.37, a shop that wins as many every day 0.5.
OPENING_SHARE, RECORDS_SHARE = 0.5, 0.35
LEAST_ACTUAL = 0.05  # of what was expected: a window without any sale has no logarithm
LEAST_DEVIATION = 0.05  # nobody knows a shop's next quarter better


@dataclass(frozen=True)
class TotalForecast:
    """The total that known customers are forecast to spend, with the standard deviation of its log.

    `season` and `drift` are factors on what was `expected`; `former_year` is the total by last
    year's sales, None where that is not known, and `weight` its share in the log of `total`.
    All of it is without the calendar's events, but for `total`, which has them by factor `events`.
    `unknown_events` have no factor, nor a former day to learn one from.
    """

    as_of: date
    days: int
    total: float
    standard_deviation: float
    expected: float
    season: float
    drift: float
    former_year: float | None
    weight: float
    events: float = 1.0
    unknown_events: tuple[str, ...] = ()

    def with_events(self, events: DayFactors) -> TotalForecast:
        """With the calendar's events on its days."""
        factor = events.mean(self.as_of, self.days)
        return replace(
            self, total=self.total * factor, events=factor, unknown_events=events.unknown
        )

    @property
    def factor(self) -> float:
        """`total` over `expected`, 1 where nothing is expected."""
        return self.total / self.expected if self.expected > 0 and self.total > 0 else 1.0

    def times(self, unit: float) -> TotalForecast:
        """The same in another unit, of which each of its own is `unit`."""
        if unit == 1.0:
            return self
        former = None if self.former_year is None else self.former_year * unit
        return replace(
            self, total=self.total * unit, expected=self.expected * unit, former_year=former
        )


@dataclass(frozen=True)
class Clock:
    """One date to look from: sales before it and windows whose labels were complete by it."""

    as_of: date
    label_days: int
    sales: ShopSales
    past: tuple[PastWindow, ...]

    @property
    def noise(self) -> float:
        """That of a window, the mean over the past ones; they overlap, so it is not less of all."""
        return float(np.mean([window.noise for window in self.past])) if self.past else 0.0

    def openness(self, day: date) -> float:
        """0 for a closed cohort, 1 for a shop that goes on winning customers.

        In a closed cohort the sales of all say nothing of a season: they fall as it leaves.
        """
        return min(1.0, self.sales.late_share_of_new(day) / OPEN_SHARE)

    def trust(self, year_start: date) -> float:
        """How far a year's shape is season: 1 where all of it and more is on record.

        `year_start` is where that year would start to have the window in its middle. Without it
        the opening of a shop would be read as a season: see OPENING_SHARE.
        """
        if year_start >= self.sales.first:
            return 1.0
        late = self.sales.late_share_of_new(self.as_of)
        return float(np.clip((OPENING_SHARE - late) / (OPENING_SHARE - RECORDS_SHARE), 0.0, 1.0))

    def weights(self, days: Sequence[date], half_life: float) -> Floats:
        """0.5^(age / half-life) of each date."""
        return np.array([0.5 ** ((self.as_of - day).days / half_life) for day in days])


def forecast_total(
    as_of: date,
    label_days: int,
    horizon_days: int,
    expected: float,
    sales: ShopSales,
    past: Sequence[PastWindow],
) -> TotalForecast:
    """The total for `horizon_days` from `as_of` on of the customers known by then.

    `expected` is buy-till-you-die's total for the horizon. `past` are windows of `label_days` that
    end by `as_of`; sales from `as_of` on are not looked at. With nothing to learn from, the total
    is what was expected.
    """
    usable = [
        replace(window, actual=max(window.actual, LEAST_ACTUAL * window.expected))
        for window in past
        if window.expected > 0
    ]
    clock = Clock(as_of, label_days, sales.before(as_of), tuple(usable))
    if not expected > 0:
        return TotalForecast(
            as_of, horizon_days, 0.0, DEVIATION_PRIOR, expected, 1.0, 1.0, None, 0.0
        )
    openness = clock.openness(as_of)
    season = openness * shrink_season(_season_ahead(clock, horizon_days), clock.noise)
    drift, variance = _drift(clock, openness)
    is_seen = as_of - timedelta(days=YEAR) >= sales.first
    variance += (SEASON_DEVIATION if is_seen else UNSEEN_SEASON_DEVIATION) ** 2
    by_lifetimes = math.log(expected) + season + drift
    total, weight, former = by_lifetimes, 0.0, None
    by_year = _by_former_year(clock, horizon_days)
    if by_year is not None and openness > 0:
        former, former_variance = by_year
        before = as_of - timedelta(days=YEAR + label_days)
        weight = openness * clock.trust(before) * variance / (variance + former_variance)
        total = (1 - weight) * by_lifetimes + weight * former
        variance = (1 - weight) ** 2 * variance + weight**2 * former_variance
    return TotalForecast(
        as_of=as_of,
        days=horizon_days,
        total=math.exp(total),
        standard_deviation=max(math.sqrt(variance), LEAST_DEVIATION),
        expected=expected,
        season=math.exp(season),
        drift=math.exp(drift),
        former_year=None if former is None else math.exp(former),
        weight=weight,
    )


def shrink_season(season: float, noise: float) -> float:
    """A season's log less what noise would make of none: s³ / (s² + SEASON_NOISE² + noise)."""
    return season**3 / (season**2 + SEASON_NOISE**2 + noise)


def _season_ahead(clock: Clock, days: int) -> float:
    """log(sales of the window / sales of as many days of the year around it), mean over the years.

    The year is centred on the window where that much is known, so that growth cancels.
    """
    seasons: list[float] = []
    if days > YEAR:  # has every season in it
        return 0.0
    for years in range(1, YEARS + 1):
        start = clock.as_of - timedelta(days=YEAR * years)
        if start < clock.sales.first:
            break
        centred = start + timedelta(days=days // 2 - YEAR // 2)
        centred = min(centred, clock.as_of - timedelta(days=YEAR))
        if years == 1:
            trust = clock.trust(centred)
            year_start = centred if centred >= clock.sales.first else start
            seasons += [trust * index for index in log_index(clock, start, days, year_start)]
        elif centred >= clock.sales.first:
            seasons += log_index(clock, start, days, centred)
        else:
            break
    return float(np.mean(seasons)) if seasons else 0.0


def log_index(clock: Clock, start: date, days: int, year_start: date) -> list[float]:
    """log(sales per day of the window / of the year), nothing where there were none."""
    window = clock.sales.total(start, days) / days
    year = clock.sales.total(year_start, YEAR) / YEAR
    return [math.log(window / year)] if window > 0 and year > 0 else []


def _season_of_past(clock: Clock, cutoff: date) -> float:
    """The log index of a window that is over, by the year around it; 0 without a year."""
    latest = clock.as_of - timedelta(days=YEAR)
    if latest < clock.sales.first:
        return 0.0
    centred = cutoff + timedelta(days=clock.label_days // 2 - YEAR // 2)
    year_start = min(max(centred, clock.sales.first), latest)
    index = sum(log_index(clock, cutoff, clock.label_days, year_start))
    return clock.trust(centred) * index


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
        * shrink_season(_season_of_past(clock, window.cutoff), clock.noise)
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
