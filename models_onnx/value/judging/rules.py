"""Reference rules: what a shop could compute without a model, for every model to beat.

Each rule turns feature columns into expected spend over the horizon. Customers without an order
(null `days_since_last_order`) get 0, whatever their other columns hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.judging.columns import column

DECAY_DAYS = 180.0  # the time constant that `decayed_spend` was summed with
RECENCY = "days_since_last_order"
COLUMNS = ("historic_value", "spend_horizon_1", "decayed_spend", RECENCY, "order_days_count")


@dataclass(frozen=True)
class Buyers:
    """Feature columns of the customers with an order, complete, and the two spans in days."""

    features: Mapping[str, Floats]
    horizon_days: int
    history_days: float


def past_spend(buyers: Buyers) -> Floats:
    """Spend goes on at the rate that it had over the shop's whole history."""
    return buyers.features["historic_value"] * (buyers.horizon_days / buyers.history_days)


def last_window(buyers: Buyers) -> Floats:
    """The next horizon brings what the last one did."""
    return buyers.features["spend_horizon_1"]


def decayed_spend(buyers: Buyers) -> Floats:
    """Σ amount·exp(−age/180 days) · horizon/180: a rate over a memory of 180 days."""
    return buyers.features["decayed_spend"] * (buyers.horizon_days / DECAY_DAYS)


def quintile_scores(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """1 (lowest fifth) to 5 of each value by its midrank: tied values share a score."""
    if not len(values):
        return np.empty(0, dtype=np.int64)
    shares = column(values).midranks(np.ones(len(values))) / len(values) + 0.5
    return np.minimum(np.floor(5 * shares), 4).astype(np.int64) + 1


def rfm_quintiles(buyers: Buyers) -> Floats:
    """Mean past-spend prediction of the customers with the same sum of quintile scores (3–15)."""
    features = buyers.features
    score = (
        quintile_scores(-features[RECENCY])
        + quintile_scores(features["order_days_count"])
        + quintile_scores(features["historic_value"])
    )
    customers = np.bincount(score, minlength=16)
    spend = np.bincount(score, weights=past_spend(buyers), minlength=16)
    return np.asarray((spend / np.maximum(customers, 1))[score], dtype=np.float64)


@dataclass(frozen=True)
class Rule:
    """A reference rule: its function and one line that says what it does."""

    predict: Callable[[Buyers], Floats]
    description: str


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "past_spend": Rule(past_spend, "all past spend, scaled from the shop's history"),
        "last_window": Rule(last_window, "spend in the last window as long as the horizon"),
        "decayed_spend": Rule(decayed_spend, "past spend, faded by exp(−age / 180 days)"),
        "rfm_quintiles": Rule(rfm_quintiles, "past spend averaged over equal RFM quintile sums"),
    }
)


def _nullable(features: Mapping[str, NDArray[np.generic]], name: str) -> Floats:
    """The column as float64, nulls as NaN, also those of a masked array from DuckDB."""
    if name not in features:
        raise ValueError(f"features lack {name}; expected {', '.join(COLUMNS)}")
    return np.ma.filled(np.ma.asarray(features[name]).astype(np.float64), np.nan)


def rule_predictions(
    features: Mapping[str, NDArray[np.generic]], *, horizon_days: int, history_days: float
) -> dict[str, NDArray[np.float64]]:
    """Expected spend over the horizon by every rule, by rule name, one entry a customer.

    `history_days` runs from the shop's first order to the scored date. `decayed_spend` is the
    feature Σ amount·exp(−age/180), not yet scaled. Raises ValueError for a missing column, a null
    in the row of a customer with orders, or a span that is not positive.
    """
    if horizon_days <= 0 or history_days <= 0:
        raise ValueError(f"horizon {horizon_days}, history {history_days:g} days; expected above 0")
    columns = {name: _nullable(features, name) for name in COLUMNS}
    has_ordered = np.isfinite(columns[RECENCY])
    complete = {name: column(c[has_ordered], name).values for name, c in columns.items()}
    buyers = Buyers(complete, horizon_days, history_days)
    predictions = {}
    for name, rule in RULES.items():
        predictions[name] = np.zeros(len(has_ordered))
        predictions[name][has_ordered] = rule.predict(buyers)
    return predictions
