"""From rows of past dates to fitted members: what is learned from, and by whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats, logit
from cva_sql.models_onnx.value.data.cutoffs import Plan
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.data.preprocessing import fit_log_scale, fit_preprocessing
from cva_sql.models_onnx.value.data.shop_past import (
    ShopPast,
    outlier_place,
    outlier_times,
    steady_sales,
)
from cva_sql.models_onnx.value.estimators.lifetimes import (
    COLUMNS,
    INPUTS,
    ORDERS,
    Lifetimes,
    expect,
    fit_lifetimes,
)
from cva_sql.models_onnx.value.estimators.linear import fit_logit_linear
from cva_sql.models_onnx.value.members.contract import Examples, Member, Rows
from cva_sql.models_onnx.value.members.purchase import PurchaseModel
from cva_sql.models_onnx.value.members.registry import all_members
from cva_sql.models_onnx.value.members.rules import PLAINEST, RuleFit, rules_for
from cva_sql.models_onnx.value.model.ensemble import Members, Shrinkage, shrinkage_by
from cva_sql.models_onnx.value.preparation.cold_start import (
    AGE,
    LEAST,
    MOST,
    ColdStart,
    fit_cold_start,
)
from cva_sql.models_onnx.value.preparation.directions import column_signs
from cva_sql.models_onnx.value.preparation.rows import (
    SPEND_FLOOR,
    Constants,
    Preparation,
    Prepared,
    concatenate,
)
from cva_sql.models_onnx.value.total.calibration import logit_shift
from cva_sql.models_onnx.value.total.forecast import TotalForecast, forecast_total
from cva_sql.models_onnx.value.total.windows import PastWindow, past_window

# Fewer examples than this, or fewer buyers than a tenth of it, and
MIN_ROWS = 200  # no model is judged, so a rule scores
MIN_FIT_ROWS = 50  # nothing is fitted, not even the total
MIN_COLD_ROWS = 50  # fewer customers without an order, and a guess serves
COLD_SHARE = 0.01  # that guess, of what a customer with orders spends or how often one buys


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


def fit_members(
    learning: Learning,
    dates: Sequence[date],
    as_of: date,
    horizon: int,
    rule: str = PLAINEST,
) -> Members:
    """All members on the examples of these dates, for rows of `as_of`; newer ones weigh more.

    The ensemble leans on `rule`, by how few customers had come back by `as_of`.
    """
    rows = learning.at(dates)
    preprocessing = fit_preprocessing(rows.numbers, rows.categories, _needed(rows))
    constants = fit_constants(rows, learning.plan.label_days)
    preparation = learning.prepare(
        preprocessing,
        learning.lifetimes[as_of],
        constants,
        learning.plan.label_days,
        rows.target,
    )
    parts = [(day, part) for day in dates if len(part := learning.at([day]))]
    prepared = learning.stack(preparation, parts)
    value = np.concatenate([part.label_value for _, part in parts])
    age = np.concatenate([np.full(len(part), (as_of - day).days) for day, part in parts])
    weight = 0.5 ** (age / (2.0 * learning.plan.label_days))
    sizes = [len(part) for _, part in parts]
    far = replace(preparation, horizon_days=horizon)
    shrinkage = shrinkage_by(learning.repeat_customers[as_of], rule)
    return _fit_members(far, prepared, value, weight, sizes, rows.terms.monotone, shrinkage)


def _needed(rows: Dataset) -> set[str]:
    """The features that stay in the matrix whether they vary or not."""
    needed = {*INPUTS, rows.target.decayed}
    for member in all_members():
        for name in member.needs:
            if name not in rows.numbers:
                raise ValueError(f"member {member.name} needs feature {name}, which is not there")
        needed |= set(member.needs)
    rules = rules_for(rows.numbers, rows.target)
    return needed.union(*(rule.needs for rule in rules.values()))


def _fit_members(
    preparation: Preparation,
    rows: Prepared,
    value: Floats,
    weight: Floats,
    sizes: Sequence[int],
    monotone: Mapping[str, int],
    shrinkage: Shrinkage,
) -> Members:
    """`sizes` are the numbers of rows by date, in order: a date's total is no member's task."""
    bought = (value > 0).astype(np.float64)
    ends = np.cumsum(sizes)[:-1]
    unit = preparation.constants.mean_spend
    spend_offset, spend_mean, logit_offset, logit_mean = [], [], [], []
    for y, buys, own, own_logit in zip(
        *(np.split(c, ends) for c in (value, bought, rows.log_spend, rows.logit_purchase)),
        strict=True,
    ):
        mean = np.log(max(float(y.mean()), SPEND_FLOOR * unit))
        spend_offset.append(own + (mean - np.log(np.exp(own).mean())))
        spend_mean.append(np.full(len(y), mean))
        rate = float(np.clip(buys.mean(), 0.5 / len(y), 1 - 0.5 / len(y)))
        logit_offset.append(own_logit + logit_shift(own_logit, rate))
        logit_mean.append(np.full(len(y), float(logit(np.array(rate)))))
    log_scale = fit_log_scale(rows.matrix, weight, logs=len(COLUMNS))
    z = log_scale.transform(rows.matrix)
    signs = column_signs(preparation.preprocessing, monotone)
    plain = fit_logit_linear(z, bought, weight, np.concatenate(logit_mean), signs)
    average = float(np.average(np.concatenate(logit_mean), weights=weight))
    purchase = PurchaseModel(
        fit_logit_linear(z, bought, weight, np.concatenate(logit_offset), signs),
        replace(plain, intercept=plain.intercept + average),
    )
    examples = Examples(
        Rows(rows, z, preparation.preprocessing),
        value,
        weight,
        unit,
        np.concatenate(spend_offset),
        np.concatenate(spend_mean),
        purchase,
        monotone,
    )
    makers: dict[str, Member | RuleFit] = {member.name: member for member in all_members()}
    makers |= rules_for(preparation.preprocessing.numbers, preparation.target)
    fitted = {name: maker.fit(examples) for name, maker in makers.items()}
    return Members(preparation, log_scale, purchase, fitted, shrinkage)


def fit_constants(rows: Dataset, label_days: int) -> Constants:
    """What is frozen about the shop, by the rows that are learned from."""
    is_cold = np.isnan(rows.numbers["t_days"])
    warm_mean = float(rows.label_value[~is_cold].mean()) if (~is_cold).any() else 0.0
    warm_rate = float((rows.label_value[~is_cold] > 0).mean()) if (~is_cold).any() else 0.0
    guess = float(np.clip(COLD_SHARE * warm_rate, LEAST, MOST))
    cold = ColdStart(COLD_SHARE * warm_mean, guess)
    if is_cold.sum() >= MIN_COLD_ROWS:
        age = None if AGE in rows.terms.monotone else rows.numbers.get(AGE)
        known = None if age is None else age[is_cold].astype(np.float64)
        cold = fit_cold_start(rows.label_value[is_cold], known)
    newest = rows.as_of_date == rows.as_of_date.max()  # each customer once
    largest = np.sort(rows.numbers[rows.target.decayed][newest].astype(np.float64))[::-1]
    place = min(len(largest), outlier_place(len(largest))) - 1
    return Constants(
        label_days=label_days,
        mean_spend=float(rows.label_value.mean()) or 1.0,
        cold=cold,
        decayed_cap=outlier_times(len(largest)) * float(largest[place]),
    )


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
