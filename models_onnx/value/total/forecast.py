"""How much the customers of today will spend together: a forecast of its own.

Who spends how much and what all spend together are two problems: a model of customers knows nothing
of Christmas. Two forecasts of the total are made and weighed (`sources.py`); how wrong the result
may be is judged by what it would have said before (`deviation.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from cva_sql.models_onnx.value.data.calendar import DayFactors
from cva_sql.models_onnx.value.data.shop_past import ShopSales
from cva_sql.models_onnx.value.total.clock import Clock
from cva_sql.models_onnx.value.total.deviation import prior_deviation, stated_deviation
from cva_sql.models_onnx.value.total.sources import combine
from cva_sql.models_onnx.value.total.windows import PastWindow

LEAST_ACTUAL = 0.05  # of what was expected: a window without any sale has no logarithm


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
            as_of, horizon_days, 0.0, prior_deviation(), expected, 1.0, 1.0, None, 0.0
        )
    found = combine(clock, horizon_days, expected)
    return TotalForecast(
        as_of=as_of,
        days=horizon_days,
        total=math.exp(found.total),
        standard_deviation=stated_deviation(clock, found.season),
        expected=expected,
        season=math.exp(found.season),
        drift=math.exp(found.drift),
        former_year=None if found.former is None else math.exp(found.former),
        weight=found.weight,
    )
