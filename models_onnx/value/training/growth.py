"""How a customer's value grows with the days looked ahead, beyond the horizon and within it.

What buy till you die expects of a customer in t days is P(alive) times a function of how often and
since when the customer bought: Batislam, Denizel, Filiztekin (2007), equation 13, and with stages
`forecasts.expected_orders`. Over that of the horizon P(alive) cancels, so one table by frequency
and age has the growth of all customers. Seasons of the shop's past year and known events go with
the days.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.estimators.btyd import DropoutModel
from cva_sql.models_onnx.value.estimators.forecasts import (
    expected_orders,
    purchase_probability,
)
from cva_sql.models_onnx.value.total.calibration import Outcome
from cva_sql.models_onnx.value.total.season import season_by_window
from cva_sql.models_onnx.value.training.learning import Learning
from cva_sql.udfs.growth import EVENT_WINDOWS

# Least frequency and age (days) of a group; within one the growth differs by a few percent.
FREQUENCIES = (0, 1, 2, 3, 4, 6, 9, 13, 19, 28, 42, 65, 100)
AGES = (0, 30, 60, 120, 240, 365, 730, 1460, 2920)
DAYS = (7, 14, 28, 45, 60, 90, 120, 150, 180, 240, 300, 365, 455, 545, 730, 912, 1095, 1460, 1825,
        2555, 3650)  # fmt: skip
WINDOWS = EVENT_WINDOWS  # of a year, for seasons as for events
YEARS_OF_EVENTS = 3
POWER = 1.5  # of the variance of spend in its mean


def growth_facts(learning: Learning, outcomes: Sequence[Outcome], slope: float) -> dict[str, Any]:
    """What a manifest says of growth: tables (frequencies, ages, days), season and spread."""
    plan = learning.plan
    dropout = learning.lifetimes[plan.as_of].dropout
    orders, probability = _tables(dropout)
    sales = learning.shop.sales.before(plan.as_of)
    events = learning.shop.calendar.factors(sales.first, sales.amount)
    past = tuple(learning.windows[day] for day in plan.trained_before(plan.as_of))
    season = season_by_window(plan.as_of, plan.label_days, sales.without(events), past, WINDOWS)
    edges = [round(365 * k / WINDOWS) for k in range(WINDOWS * YEARS_OF_EVENTS + 1)]
    return {
        "frequencies": list(FREQUENCIES),
        "ages": list(AGES),
        "days": list(DAYS),
        "orders": orders,
        "probability": probability,
        "season": season,
        "events": [
            events.mean(plan.as_of + timedelta(days=start), end - start)
            for start, end in pairwise(edges)
        ]
        if events.by_day
        else [],
        "dispersion": dispersion(outcomes, slope),
    }


def _tables(dropout: DropoutModel) -> tuple[list[Any], list[Any]]:
    """Expected orders and the probability of one, of a customer alive, by group and DAYS."""
    frequency = np.array([_middle(FREQUENCIES, k) for k in range(len(FREQUENCIES))])
    age = np.array([_middle(AGES, k) for k in range(len(AGES))])
    x = np.repeat(frequency, len(age))
    T = np.maximum(np.tile(age, len(frequency)), 1.0)
    # Half of the own gap ago: with stages it matters when the last order was.
    t_x = T - T / (2 * (x + 1))

    def table(expected: Any) -> list[Any]:
        by_day = np.stack([expected(dropout, x, t_x, T, days) for days in DAYS], axis=-1)
        shape = (len(frequency), len(age), len(DAYS))
        return [
            [[float(f"{n:.6g}") for n in row] for row in part] for part in by_day.reshape(shape)
        ]

    return table(expected_orders), table(purchase_probability)


def _middle(edges: Sequence[int], k: int) -> float:
    """What stands for a group: a single number's own, else the middle of its logs."""
    low = edges[k]
    high = edges[k + 1] - 1 if k + 1 < len(edges) else 2 * low
    return float(low) if high <= low else float(np.sqrt((low + 1.0) * (high + 1.0)) - 1.0)


def dispersion(outcomes: Sequence[Outcome], slope: float) -> float | None:
    """φ of Var(spend) = φ·mean^POWER on validation dates, their totals made alike; None unknown."""
    squares, means = 0.0, 0.0
    for outcome in outcomes:
        total = float(outcome.actual.sum())
        if not total > 0:
            continue
        told: Floats = np.exp(slope * (outcome.linear_predictor - outcome.linear_predictor.max()))
        mean = told * (total / told.sum())
        squares += float(((outcome.actual - mean) ** 2).sum())
        means += float((mean**POWER).sum())
    return squares / means if means > 0 else None
