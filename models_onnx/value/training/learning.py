"""From rows of past dates to fitted members: what is learned from, and by whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.data.cutoffs import Plan
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.data.shop_past import (
    ShopPast,
    steady_sales,
)
from cva_sql.models_onnx.value.estimators.lifetimes import (
    ORDERS,
    Lifetimes,
    expect,
    fit_lifetimes,
)
from cva_sql.models_onnx.value.preparation.rows import (
    Preparation,
    Prepared,
    concatenate,
)
from cva_sql.models_onnx.value.total.forecast import TotalForecast, forecast_total
from cva_sql.models_onnx.value.total.windows import PastWindow, past_window

# Fewer examples than this, or fewer buyers than a tenth of it, and
MIN_ROWS = 200  # no model is judged, so a rule scores
MIN_FIT_ROWS = 50  # nothing is fitted, not even the total


@dataclass(frozen=True)
class Learning:
    """Rows to learn from with what was fitted to the customers of each date.

    `rows` are those of the plan's cutoffs and date, outliers left out, with labels in multiples of
    `unit`: what a unit of spend is in the target. `windows` are what the label after each cutoff
    brought, `repeat_customers` how many had come back by a date. `prepare` makes the preparation of
    rows, for a back-test that takes something away from it.
    """

    rows: Dataset
    plan: Plan
    shop: ShopPast
    lifetimes: Mapping[date, Lifetimes]
    windows: Mapping[date, PastWindow]
    repeat_customers: Mapping[date, int]
    unit: float = 1.0
    prepare: Callable[..., Preparation] = Preparation

    def at(self, dates: Sequence[date]) -> Dataset:
        """The examples of these dates."""
        return self.rows.at(dates, self.plan.label_days)

    def stack(self, preparation: Preparation, parts: Sequence[tuple[date, Dataset]]) -> Prepared:
        """Rows of several dates as the members see them, each by the lifetimes of its date."""
        return concatenate(
            [replace(preparation, lifetimes=self.lifetimes[day]).apply(rows) for day, rows in parts]
        )


def prepare_learning(data: Dataset, plan: Plan) -> Learning:
    """Leaves the outliers out and fits buy-till-you-die to the customers of each date."""
    shop = data.shops.get(plan.as_of) or ShopPast(steady_sales(plan.cutoffs[-1], plan.as_of))
    rows = data.without_customers([outlier.customer_id for outlier in shop.outliers])
    unit = rows.at(plan.cutoffs, plan.label_days).unit
    rows = rows.in_units_of(unit)
    lifetimes, repeat_customers = {}, {}
    for day in (plan.as_of, *plan.cutoffs):
        numbers = rows.seen_from(day).numbers
        lifetimes[day] = fit_lifetimes(numbers, rows.terms.monotone)
        repeat_customers[day] = int(np.sum(numbers["frequency"] > 0))
    windows = {}
    for cutoff in plan.cutoffs:
        seen = rows.at([cutoff], plan.label_days)
        expected = _expected(lifetimes[cutoff], seen, plan.label_days)
        windows[cutoff] = past_window(cutoff, seen.label_value, expected)
    return Learning(rows, plan, shop, lifetimes, windows, repeat_customers, unit)


def _expected(lifetimes: Lifetimes, rows: Dataset, days: int) -> Floats:
    """What buy till you die expects of the target, (rows,), 0 for a customer without an order."""
    expected = getattr(expect(lifetimes, rows.numbers, days), rows.target.expected)
    return np.asarray(np.nan_to_num(expected) * _orders_a_day(rows))


def _expected_total(lifetimes: Lifetimes, rows: Dataset, days: int) -> float:
    return float(_expected(lifetimes, rows, days).sum())


def _orders_a_day(rows: Dataset) -> float:
    """Orders a purchase day, of which buy till you die knows nothing, where orders are the target.

    1 elsewhere, and where nobody has ordered.
    """
    if rows.target.expected != "orders":
        return 1.0
    days = float(np.nansum(rows.numbers["order_days_count"].astype(np.float64)))
    orders = float(np.nansum(rows.numbers[ORDERS].astype(np.float64)))
    return orders / days if orders > 0 and days > 0 else 1.0


def usable_dates(learning: Learning) -> Iterator[date]:
    """The cutoffs that can be judged, newest first: there is enough there, and before them."""
    plan = learning.plan
    for day in plan.cutoffs:
        if is_enough(learning.at(plan.trained_before(day))) and is_enough(learning.at([day])):
            yield day


def forecast_at(learning: Learning, cutoff: date) -> TotalForecast:
    """The total of the customers known on an cutoff for its label, by what was known then.

    In multiples of the unit of `learning`, though a unit of spend was another by then.
    """
    expected = learning.windows[cutoff].expected
    unit = learning.at(learning.plan.trained_before(cutoff)).unit
    return _forecast(learning, cutoff, learning.plan.label_days, expected, unit).times(unit)


def forecast_now(learning: Learning) -> TotalForecast:
    """The total of today's customers for the horizon, in the target's own unit."""
    plan = learning.plan
    now = learning.rows.seen_from(plan.as_of)
    expected = _expected_total(learning.lifetimes[plan.as_of], now, plan.horizon_days)
    return _forecast(learning, plan.as_of, plan.horizon_days, expected).times(learning.unit)


def _forecast(
    learning: Learning, day: date, days: int, expected: float, unit: float = 1.0
) -> TotalForecast:
    """The forecast of a usual time, with the events of the calendar, both as known on `day`.

    In multiples of `unit`, in which past windows are counted as well.
    """
    plan, sales = learning.plan, learning.shop.sales.before(day)
    events = learning.shop.calendar.factors(sales.first, sales.amount)
    past = []
    for cutoff in plan.trained_before(day):
        window = learning.windows[cutoff]
        usual = window.actual / (unit * events.mean(cutoff, plan.label_days))
        past.append(replace(window, actual=usual))
    usual_sales = sales.without(events)
    found = forecast_total(day, plan.label_days, days, expected, usual_sales, past)
    return found.with_events(events)


def is_enough(rows: Dataset) -> bool:
    """Whether these rows are enough to learn from or to judge by."""
    return _have(rows, MIN_ROWS)


def can_fit(rows: Dataset) -> bool:
    """Whether these rows are enough for buy till you die, a rule and their total."""
    return _have(rows, MIN_FIT_ROWS)


def _have(rows: Dataset, least: int) -> bool:
    return len(rows) >= least and int((rows.label_value > 0).sum()) >= least // 10
