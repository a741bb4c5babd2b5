"""The forecast of what known customers spend together."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta

import duckdb
import numpy as np
import pytest

from cva_sql.models_onnx.value.data.shop_past import ShopSales, read_shop_past, steady_sales
from cva_sql.models_onnx.value.total.forecast import TotalForecast, forecast_total
from cva_sql.models_onnx.value.total.windows import PastWindow, past_window

FIRST = date(2023, 1, 1)
DAYS = 90


def seasonal_shop(days: int, *, is_open: bool = True, growth: float = 0.0) -> ShopSales:
    """100 a day, half as much again in the fourth quarter; five new customers a day if open."""
    when = np.array([(FIRST + timedelta(days=k)).timetuple().tm_yday for k in range(days)])
    season = np.where(when > 274, 1.5, 1.0)
    amount = 100 * season * np.exp(growth * np.arange(days) / 365)
    new = np.full(days, 5) if is_open else np.where(np.arange(days) < 90, 5, 0)
    return ShopSales(FIRST, amount, new.astype(np.int64))


def windows(
    sales: ShopSales, as_of: date, *, share: float = 0.8, known: float = 1.0
) -> list[PastWindow]:
    """Nine cutoffs whose customers make `share` of sales; expected is 100 · share a day · known."""
    cutoffs = [as_of - timedelta(days=DAYS + 30 * k) for k in range(9)]
    expected = 100 * share * DAYS * known
    return [PastWindow(o, share * sales.total(o, DAYS), expected) for o in cutoffs if o > FIRST]


def forecast(sales: ShopSales, as_of: date, past: list[PastWindow]) -> TotalForecast:
    return forecast_total(as_of, DAYS, DAYS, 100 * 0.8 * DAYS, sales, past)


def test_with_nothing_to_learn_from_the_total_is_what_was_expected() -> None:
    found = forecast_total(date(2023, 6, 1), 30, 90, 5000.0, steady_sales(FIRST, FIRST), [])
    assert found.total == pytest.approx(5000.0)
    assert found.factor == pytest.approx(1.0)
    assert found.standard_deviation >= 0.2


def test_nothing_expected_gives_a_total_of_zero_and_a_factor_of_one() -> None:
    found = forecast_total(date(2023, 6, 1), 30, 90, 0.0, steady_sales(FIRST, FIRST), [])
    assert found.total == 0
    assert found.factor == 1.0


def test_two_years_show_the_season_to_come() -> None:
    sales = seasonal_shop(1400)
    for as_of, season in ((date(2025, 10, 1), 1.5), (date(2026, 1, 1), 1.0)):
        found = forecast(sales, as_of, windows(sales, as_of))
        assert found.total == pytest.approx(season * 100 * 0.8 * DAYS, rel=0.12), as_of


def test_a_closed_cohort_has_no_season_but_a_drift() -> None:
    sales, as_of = seasonal_shop(1400, is_open=False), date(2025, 7, 1)
    past = [replace(window, actual=0.7 * window.expected) for window in windows(sales, as_of)]
    found = forecast(sales, as_of, past)
    assert found.season == 1.0
    assert found.weight == 0.0
    assert found.drift == pytest.approx(0.7, abs=0.05)  # nine windows leave a tenth of doubt


def test_a_cohort_that_looked_open_a_year_ago_is_not_given_a_season() -> None:
    days = 430
    amount = np.where(np.arange(days) < 90, 500.0, 100.0)  # everybody's first orders, then the rest
    new = np.where(np.arange(days) < 90, 50, 0).astype(np.int64)
    sales, as_of = ShopSales(FIRST, amount, new), FIRST + timedelta(days=425)
    past = [replace(window, actual=window.expected) for window in windows(sales, as_of)]
    found = forecast(sales, as_of, past)
    assert found.season == 1.0
    assert found.drift == pytest.approx(1.0, abs=1e-9)


def test_the_noise_of_a_window_is_that_of_who_bought() -> None:
    everyone = past_window(FIRST, np.full(400, 50.0), np.full(400, 40.0))
    assert (everyone.actual, everyone.expected, everyone.noise) == (20_000.0, 16_000.0, 0.0)
    random = np.random.default_rng(1)
    spends = [random.exponential(50.0, 400) for _ in range(500)]
    told = np.mean([past_window(FIRST, spend, np.full(400, 50.0)).noise for spend in spends])
    assert told == pytest.approx(np.var(np.log([spend.sum() for spend in spends])), rel=0.2)
    one = past_window(FIRST, np.array([9.0, 0.0, 0.0]), np.ones(3))
    assert one.noise < past_window(FIRST, np.zeros(3), np.ones(3)).noise == 1.0


def test_a_noisy_shop_is_given_less_of_a_drift_and_of_a_season() -> None:
    sales, as_of = seasonal_shop(1400), date(2025, 10, 1)
    past = [replace(window, actual=1.5 * window.actual) for window in windows(sales, as_of)]
    found = [forecast(sales, as_of, [replace(w, noise=n) for w in past]) for n in (0.0, 0.1, 1.0)]
    for name in ("drift", "season", "weight"):
        assert [getattr(one, name) for one in found] == sorted(
            [getattr(one, name) for one in found], reverse=True
        )
    assert found[-1].drift == pytest.approx(1.0, abs=0.03)


def opened_shop(days: int) -> ShopSales:
    """Wins five customers a day from its first day on; sales grow with them."""
    return ShopSales(FIRST, 2.0 * np.arange(1, days + 1), np.full(days, 5, dtype=np.int64))


@pytest.mark.parametrize("days", [366, 420])
def test_the_opening_of_a_shop_is_not_a_season(days: int) -> None:
    sales, as_of = opened_shop(days), FIRST + timedelta(days=days - 1)
    past = [replace(w, expected=w.actual) for w in windows(sales, as_of)]
    found = forecast_total(as_of, DAYS, DAYS, 50_000.0, sales, past)
    assert found.total == pytest.approx(50_000.0, rel=0.15)


def test_a_longer_horizon_never_has_less() -> None:
    sales, as_of = ShopSales(FIRST, np.full(1400, 100.0), np.full(1400, 5)), date(2026, 7, 1)
    past = windows(sales, as_of)
    totals = [
        forecast_total(as_of, DAYS, days, 60.0 * days, sales, past).total
        for days in (90, 365, 400, 730)
    ]
    assert totals == sorted(totals)


def test_a_shop_that_stopped_is_promised_less() -> None:
    sales, as_of = seasonal_shop(1400), date(2026, 7, 1)
    past = windows(sales, as_of)
    stopped = [replace(past[0], actual=0.0), *past[1:]]
    assert forecast(sales, as_of, stopped).total < forecast(sales, as_of, past).total


def test_growth_is_carried_on() -> None:
    sales, as_of = seasonal_shop(1400, growth=0.2), date(2026, 1, 1)
    past = windows(sales, as_of, known=1.6)
    found = forecast(sales, as_of, past)
    former = sales.total(as_of - timedelta(days=365), DAYS)
    assert found.former_year == pytest.approx(0.8 * former * math.exp(0.2), rel=0.02)


def test_sales_from_the_date_on_are_not_looked_at() -> None:
    sales, as_of = seasonal_shop(1400), date(2025, 7, 1)
    past = windows(sales, as_of)
    later = (as_of - FIRST).days
    amount = sales.amount.copy()
    amount[later:] = 1e9
    assert forecast(replace(sales, amount=amount), as_of, past) == forecast(sales, as_of, past)


def shop_with(orders: list[tuple[str, str, float]]) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("create schema t_cva")
    con.execute(
        "create table t_cva.int_cva__orders_valid (customer_id varchar, order_date date, "
        "amount decimal(18, 4), cancelled_at timestamp)"
    )
    con.executemany("insert into t_cva.int_cva__orders_valid values (?, ?, ?, null)", orders)
    return con


ORDERS = [(f"c{i}", f"2024-01-{1 + i:02d}", 10.0 + i) for i in range(20)]


def test_sales_and_first_orders_are_counted_by_day() -> None:
    with shop_with([*ORDERS, ("c0", "2024-01-03", 5.0)]) as con:
        past = read_shop_past(con, "t", date(2024, 1, 11))
    assert past is not None
    assert past.outliers == ()
    assert past.sales.first == date(2024, 1, 1)
    assert past.sales.total(date(2024, 1, 1), 30) == sum(10.0 + i for i in range(10)) + 5
    assert past.sales.new_customers.tolist() == [1] * 10


@pytest.mark.parametrize("spend", [1e9, 1000.0])
def test_a_customer_far_above_all_others_is_named_and_left_out(spend: float) -> None:
    with shop_with([*ORDERS, ("typo", "2024-01-05", spend)]) as con:
        past = read_shop_past(con, "t", date(2024, 2, 1))
    assert past is not None
    assert [outlier.customer_id for outlier in past.outliers] == ["typo"]
    assert past.sales.total(date(2024, 1, 5), 1) == 14.0


def test_an_outlier_of_later_is_not_known_yet() -> None:
    with shop_with([*ORDERS, ("typo", "2024-03-05", 1e9)]) as con:
        past = read_shop_past(con, "t", date(2024, 2, 1))
        assert read_shop_past(con, "t", date(2020, 1, 1)) is None
    assert past is not None
    assert past.outliers == ()
