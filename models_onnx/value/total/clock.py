"""One date to look from, and what the shop's sales before it say of a season."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.data.shop_past import ShopSales
from cva_sql.models_onnx.value.total.windows import PastWindow

YEAR = 365
YEARS = 3  # of seasons that are averaged
SEASON_NOISE = 0.08  # in logs: a smaller season is as likely the luck of one year
OPEN_SHARE = 0.25  # of a year's new customers in its last half, from which a shop counts as open
# A first year of records ends with many new customers where the shop has opened with them, and with
# few where it was there before: only then is a slow start a season. Shares of the year's new
# customers in its last half; Online Retail II has 0.37, a shop that wins as many every day 0.5.
OPENING_SHARE, RECORDS_SHARE = 0.5, 0.35


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


def shrink_season(season: float, noise: float) -> float:
    """A season's log less what noise would make of none: s³ / (s² + SEASON_NOISE² + noise)."""
    return season**3 / (season**2 + SEASON_NOISE**2 + noise)


def season_ahead(clock: Clock, days: int) -> float:
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


def season_of_past(clock: Clock, cutoff: date) -> float:
    """The log index of a window that is over, by the year around it; 0 without a year."""
    latest = clock.as_of - timedelta(days=YEAR)
    if latest < clock.sales.first:
        return 0.0
    centred = cutoff + timedelta(days=clock.label_days // 2 - YEAR // 2)
    year_start = min(max(centred, clock.sales.first), latest)
    index = sum(log_index(clock, cutoff, clock.label_days, year_start))
    return clock.trust(centred) * index
