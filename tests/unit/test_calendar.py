"""Known events: their factors, given or learned, and what they do to the total."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.data.calendar import Calendar, Event
from cva_sql.models_onnx.value.data.shop_past import ShopSales
from cva_sql.models_onnx.value.total.forecast import forecast_total
from cva_sql.models_onnx.value.total.windows import PastWindow

FIRST = date(2022, 1, 1)
EASTERS = (date(2022, 4, 17), date(2023, 4, 9), date(2024, 3, 31))


def daily(days: int, events: dict[date, float]) -> Floats:
    """100 a day, half of it on Sundays, times the events' factors."""
    when = [FIRST + timedelta(days=k) for k in range(days)]
    return np.array([(50.0 if d.weekday() == 6 else 100.0) * events.get(d, 1.0) for d in when])


def test_a_factor_is_learned_from_former_days_beside_the_same_weekday() -> None:
    amount = daily(700, dict.fromkeys(EASTERS, 8.0))
    found = Calendar(tuple(Event(day, "Easter") for day in EASTERS)).factors(FIRST, amount)
    assert found.by_day[EASTERS[2]] == pytest.approx(8.0 ** (2 / 3))  # two seen, one of factor 1
    assert found.unknown == ()
    once = Calendar(tuple(Event(day, "Easter") for day in EASTERS)).factors(FIRST, amount[:300])
    assert once.by_day[EASTERS[2]] == pytest.approx(8.0 ** (1 / 2))


def test_a_factor_that_is_given_is_taken_and_several_of_a_day_multiply() -> None:
    day = date(2024, 1, 10)
    events = (Event(day, "sale", 3.0), Event(day, "opening", 2.0), Event(day, "closed till", 0.5))
    found = Calendar(events).factors(FIRST, daily(365, {}))
    assert found.by_day == {day: pytest.approx(3.0)}
    assert found.mean(day, 10) == pytest.approx(1.2)
    assert found.mean(day + timedelta(days=1), 10) == 1.0


def test_an_event_that_nothing_is_known_of_is_a_usual_day_and_said() -> None:
    events = (Event(date(2024, 1, 10), "new"), Event(FIRST, "at the very start"))
    found = Calendar(events).factors(FIRST, daily(365, {}))
    assert found.by_day[date(2024, 1, 10)] == 1.0
    assert found.unknown == ("new",)


def test_a_moving_event_is_taken_out_of_the_past_and_put_into_the_time_to_come() -> None:
    """Easter falls into the window this year and fell out of it in the years before."""
    as_of, days = date(2024, 3, 1), 31
    sales = ShopSales(FIRST, daily(790, dict.fromkeys(EASTERS, 40.0)), np.full(790, 3))
    cutoffs = [as_of - timedelta(days=31 * k) for k in range(1, 9)]
    calendar = Calendar(tuple(Event(day, "Easter") for day in EASTERS))
    events = calendar.factors(FIRST, sales.before(as_of).amount)
    past = [PastWindow(c, sales.total(c, 31), 93.0 * 31) for c in cutoffs]
    blind = forecast_total(as_of, 31, days, 93.0 * days, sales.before(as_of), past)
    usual = sales.before(as_of).without(events)
    known = forecast_total(as_of, 31, days, 93.0 * days, usual, past).with_events(events)
    actual = float(daily(821, dict.fromkeys(EASTERS, 40.0))[790:821].sum())
    assert abs(np.log(known.total / actual)) < 0.5 * abs(np.log(blind.total / actual))
    assert known.events == pytest.approx(1 + (40 ** (2 / 3) - 1) / 31)


def test_two_events_of_a_day_do_not_count_its_sales_twice() -> None:
    days = (date(2022, 11, 25), date(2023, 11, 25))
    amount = daily(720, dict.fromkeys(days, 3.0))
    sale = tuple(Event(day, "Black Friday") for day in (*days, date(2024, 11, 29)))
    week = tuple(Event(day, "sale week") for day in days)
    both = Calendar((*sale, *week)).factors(FIRST, amount)
    assert both.by_day[date(2024, 11, 29)] == 1.0
    assert both.unknown == ("Black Friday",)
    known = tuple(Event(day, "sale week", 1.5) for day in days)
    beside = Calendar((*sale, *known)).factors(FIRST, amount)
    assert beside.by_day[date(2024, 11, 29)] == pytest.approx(2.0 ** (2 / 3))


def test_a_closed_day_takes_its_share_of_the_time_to_come() -> None:
    closed = Calendar((Event(date(2022, 3, 1), "closed", 0.0), Event(date(2024, 3, 1), "c", 0.0)))
    found = closed.factors(FIRST, daily(720, {date(2022, 3, 1): 0.0}))
    assert found.mean(date(2024, 2, 25), 10) == pytest.approx(0.9)
    assert np.isfinite(found.taken_out(FIRST, daily(720, {}))).all()
