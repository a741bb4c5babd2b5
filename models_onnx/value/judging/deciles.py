"""Customers in the order of their predicted value, and what each tenth of them brought."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.arrays import Floats

TIERS = ("high", "medium", "low")
TIER_ENDS = (0.2, 0.5)  # as the default of cva_tier_shares: 20, 30 and 50 %


@dataclass(frozen=True)
class Decile:
    """A tenth of the customers, 1 the best by prediction; values are means in money a customer.

    `lift` is the actual mean over the shop's, `capture` the share of all actual spend that this
    tenth and those above it made; NaN where nobody spent. `purchase_probability` is None for a
    model without one. `as_of_date` None: means over the dates.
    """

    as_of_date: date | None
    model: str
    decile: int
    customers: int
    predicted_value: float
    actual_value: float
    lift: float
    capture: float
    purchase_probability: float | None
    buyers_rate: float


def value_order(predicted: Floats, customer_id: NDArray[Any] | None) -> NDArray[np.intp]:
    """Row numbers from the highest prediction down; ties by customer_id, else by position."""
    if customer_id is None:
        return np.argsort(-predicted, kind="stable")
    return np.lexsort((customer_id.astype(str), -predicted))


def tier_masks(predicted: Floats, customer_id: NDArray[Any] | None) -> dict[str, NDArray[np.bool_]]:
    """The rows of each value tier: the best 20 %, the next 30 %, the rest."""
    count = len(predicted)
    place = np.empty(count, dtype=np.intp)
    place[value_order(predicted, customer_id)] = np.arange(count)
    tier = np.searchsorted(np.array(TIER_ENDS) * count, place, side="right")
    return {name: tier == k for k, name in enumerate(TIERS)}


def measure_deciles(
    day: date,
    model: str,
    customer_id: NDArray[Any],
    actual: Floats,
    predicted: Floats,
    probability: Floats | None,
) -> list[Decile]:
    """The tenths of one model's prediction on one date, the best first; empty ones left out."""
    order = value_order(predicted, customer_id)
    total, size = float(actual.sum()), len(actual)
    ends = np.arange(11) * size // 10
    found, captured = [], 0.0
    for k in range(10):
        rows = order[ends[k] : ends[k + 1]]
        if not len(rows):
            continue
        captured += float(actual[rows].sum())
        mean = float(actual[rows].mean())
        found.append(
            Decile(
                as_of_date=day,
                model=model,
                decile=k + 1,
                customers=len(rows),
                predicted_value=float(predicted[rows].mean()),
                actual_value=mean,
                lift=mean * size / total if total > 0 else float("nan"),
                capture=captured / total if total > 0 else float("nan"),
                purchase_probability=None
                if probability is None
                else float(probability[rows].mean()),
                buyers_rate=float((actual[rows] > 0).mean()),
            )
        )
    return found


def mean_deciles(deciles: Iterable[Decile]) -> list[Decile]:
    """The means over the dates, by model and decile; `customers` is rounded.

    The probability is None where a model has none on any of the dates.
    """
    groups: dict[tuple[str, int], list[Decile]] = {}
    for decile in deciles:
        groups.setdefault((decile.model, decile.decile), []).append(decile)
    return [
        Decile(
            as_of_date=None,
            model=model,
            decile=place,
            customers=round(_mean([d.customers for d in group])),
            predicted_value=_mean([d.predicted_value for d in group]),
            actual_value=_mean([d.actual_value for d in group]),
            lift=_mean([d.lift for d in group]),
            capture=_mean([d.capture for d in group]),
            purchase_probability=_mean_probability(group),
            buyers_rate=_mean([d.buyers_rate for d in group]),
        )
        for (model, place), group in groups.items()
    ]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _mean_probability(group: Sequence[Decile]) -> float | None:
    told = [d.purchase_probability for d in group if d.purchase_probability is not None]
    return _mean(told) if len(told) == len(group) else None
