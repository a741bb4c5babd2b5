"""What is stated of how far the forecast of a total may be off."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from cva_sql.models_onnx.value.data.shop_past import ShopSales, steady_sales
from cva_sql.models_onnx.value.total.clock import Clock
from cva_sql.models_onnx.value.total.deviation import (
    LEAST_DEVIATION,
    past_errors,
    prior_deviation,
    shared_deviation,
)
from cva_sql.models_onnx.value.total.forecast import TotalForecast, forecast_total
from cva_sql.models_onnx.value.total.windows import PastWindow

FIRST, AS_OF = date(2023, 1, 1), date(2025, 7, 1)
DAYS = 90


def steady_shop() -> ShopSales:
    """100 a day and five new customers a day, for two and a half years."""
    days = (AS_OF - FIRST).days
    return ShopSales(FIRST, np.full(days, 100.0), np.full(days, 5, dtype=np.int64))


def past(actual: float = 7200.0) -> list[PastWindow]:
    cutoffs = [AS_OF - timedelta(days=DAYS + 30 * k) for k in range(9)]
    return [PastWindow(cutoff, actual, 7200.0) for cutoff in cutoffs]


def forecast(windows: list[PastWindow], sales: ShopSales) -> TotalForecast:
    return forecast_total(AS_OF, DAYS, DAYS, 7200.0, sales, windows)


def test_a_shop_that_was_always_told_right_states_a_small_deviation() -> None:
    assert forecast(past(), steady_shop()).standard_deviation == LEAST_DEVIATION
    noisy = [replace(one, noise=0.1**2) for one in past()]  # luck might have hidden an error
    assert LEAST_DEVIATION < forecast(noisy, steady_shop()).standard_deviation < 0.1


def test_a_shop_with_wild_errors_states_a_large_one() -> None:
    wild = [replace(one, actual=7200.0 * (0.5, 1.0, 2.0)[k // 3]) for k, one in enumerate(past())]
    assert forecast(wild, steady_shop()).standard_deviation > 0.3


def test_a_young_shop_states_what_is_assumed_of_any() -> None:
    day = FIRST + timedelta(days=60)
    found = forecast_total(day, 20, 90, 5000.0, steady_sales(FIRST, day), [])
    assert found.standard_deviation > prior_deviation() > 0.15


def test_the_luck_of_customers_is_not_counted_twice() -> None:
    errors = np.array([0.2, -0.25, 0.15, -0.2])
    by_luck = shared_deviation(errors, np.full(4, 0.2**2), 4.0)
    assert by_luck < 0.6 * shared_deviation(errors, np.zeros(4), 4.0)


def test_more_errors_of_a_size_bring_the_deviation_there() -> None:
    for size in (0.02, 1.0):
        told = [shared_deviation(np.full(n, size), np.zeros(n), float(n)) for n in (0, 2, 8, 32)]
        assert np.all(np.diff(np.abs(np.log(np.array(told) / size))) < 0)
        assert told[-1] == pytest.approx(size, rel=0.15)


def test_the_deviation_rises_with_the_errors() -> None:
    told = [shared_deviation(np.full(5, size), np.full(5, 0.001), 2.0) for size in (0, 0.1, 0.3, 1)]
    assert np.all(np.diff(told) > 0)


def test_windows_that_overlap_count_as_many_as_their_days_fill() -> None:
    clock = Clock(AS_OF, DAYS, steady_shop(), tuple(past()))
    errors, noise, windows = past_errors(clock)
    assert len(errors) == len(noise) == 9
    assert windows == pytest.approx((DAYS + 8 * 30) / DAYS)


def test_a_forecast_of_a_shop_that_had_just_opened_is_not_held_against_it() -> None:
    opened = AS_OF - timedelta(days=DAYS + 8 * 30 + 30)
    days = (AS_OF - opened).days
    sales = ShopSales(opened, np.full(days, 100.0), np.full(days, 5, dtype=np.int64))
    errors, _, windows = past_errors(Clock(AS_OF, DAYS, sales, tuple(past())))
    assert len(errors) == 6  # the three oldest had no window complete before them
    assert windows == pytest.approx((DAYS + 5 * 30) / DAYS)


def test_past_forecasts_know_nothing_of_what_came_later() -> None:
    windows = past()
    found = past_errors(Clock(AS_OF, DAYS, steady_shop(), tuple(windows)))[0]
    later = [replace(windows[0], actual=1e6), *windows[1:]]
    moved = past_errors(Clock(AS_OF, DAYS, steady_shop(), tuple(later)))[0]
    assert moved[0] > found[0] + 1
    assert moved[1:].tolist() == found[1:].tolist()
