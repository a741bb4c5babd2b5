"""Days that are known beforehand to sell more or less than usual: holidays, sales, closing days."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats

WEEKS = 4  # before and after an event whose same weekday says what is usual
LEAST_USUAL_DAYS = 3
LEAST_SALES = 0.05  # of a usual day: a day without any sale has no logarithm
PRIOR_DAYS = 1.0  # of factor 1, beside the event's former days


@dataclass(frozen=True)
class Event:
    """A day's event; without a `factor` that is to be learned from its former days."""

    day: date
    name: str
    factor: float | None = None


@dataclass(frozen=True)
class DayFactors:
    """By day what sales are over those of a usual one; `unknown` are events of which nothing is.

    Several events of one day multiply. Other days have 1.
    """

    by_day: Mapping[date, float] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    def mean(self, start: date, days: int) -> float:
        """The mean over the `days` from `start` on."""
        end = start + timedelta(days=days)
        inside = sum(factor - 1 for day, factor in self.by_day.items() if start <= day < end)
        return 1 + inside / days

    def taken_out(self, first: date, amount: Floats) -> Floats:
        """Sales by day from `first` on, as they would have been without the events."""
        plain = amount.copy()
        for day, factor in self.by_day.items():
            place = (day - first).days
            if 0 <= place < len(plain):
                plain[place] /= max(factor, LEAST_SALES)
        return plain


@dataclass(frozen=True)
class Calendar:
    """All events of a shop, past and to come."""

    events: tuple[Event, ...] = ()

    def factors(self, first: date, amount: Floats) -> DayFactors:
        """By what is known at the end of `amount`, the sales of each day from `first` on.

        A factor that is not given is the geometric mean over the event's former days, each over the
        mean of the same weekday in the four weeks before and after it, and one day of factor 1.
        Factors given of the same day are divided out first; a day of two events without one says
        nothing of either.
        """
        told = {(event.day - first).days for event in self.events}
        open_events = Counter(event.day for event in self.events if event.factor is None)
        given: dict[date, float] = {}
        for event in self.events:
            given[event.day] = given.get(event.day, 1.0) * (event.factor or 1.0)
        logs: dict[str, list[float]] = {}
        for event in self.events:
            logs.setdefault(event.name, [])
            if event.factor is None and open_events[event.day] == 1:
                seen = _log_factor((event.day - first).days, amount, told)
                logs[event.name] += [log - math.log(given[event.day]) for log in seen]
        by_day: dict[date, float] = {}
        for event in self.events:
            factor = event.factor
            if factor is None:
                seen = logs[event.name]
                factor = float(np.exp(sum(seen) / (len(seen) + PRIOR_DAYS)))
            by_day[event.day] = by_day.get(event.day, 1.0) * factor
        end = first + timedelta(days=len(amount))
        coming = {e.name for e in self.events if e.day >= end and e.factor is None}
        unknown = sorted(name for name in coming if not logs[name])
        return DayFactors(by_day, tuple(unknown))


def _log_factor(place: int, amount: Floats, told: set[int]) -> list[float]:
    """log of a day's sales over those of the same weekday around it; empty where not known."""
    if not 0 <= place < len(amount):
        return []
    around = [place + 7 * week for week in range(-WEEKS, WEEKS + 1) if week]
    usual = [amount[day] for day in around if 0 <= day < len(amount) and day not in told]
    mean = float(np.mean(usual)) if len(usual) >= LEAST_USUAL_DAYS else 0.0
    return [float(np.log(max(amount[place] / mean, LEAST_SALES)))] if mean > 0 else []
