"""Buy till you die, fitted to the customers of one date, and what it says of each of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.arrays import Floats, logit
from cva_sql.models_onnx.value.estimators.btyd import DropoutModel, fit_dropout
from cva_sql.models_onnx.value.estimators.forecasts import (
    expected_orders,
    p_alive,
    purchase_probability,
)
from cva_sql.models_onnx.value.estimators.gamma_gamma import SpendModel, expected_mean, fit_spend
from cva_sql.models_onnx.value.estimators.prior import shop_priors
from cva_sql.models_onnx.value.estimators.regularity import choose_stages

# How often, how long ago and how much, each by itself, so that a mixture of two customers' values
# (see `udfs/explain.py`) is a customer who could exist.
INPUTS = (
    "frequency",
    "days_since_last_order",
    "t_days",
    "monetary_value",
    "first_order_day_amount",
    "order_max_amount",
)
ORDERS = "orders_count"
GAPS = ("frequency", "gap_mean_days", "gap_std_days")  # how regularly a customer buys
COLUMNS = (
    "log_expected_orders",
    "logit_alive",
    "logit_purchase",
    "log_order_value",
    "log_expected_spend",
)
# Which way expected spend goes as an input rises and all else stays, and the COLUMNS that do too.
# Of frequency and t_days neither can be said: of two customers who have not ordered for as long,
# the one who used to order more often is the likelier to be gone.
_ALIVE = ("log_expected_orders", "logit_alive", "logit_purchase", "log_expected_spend")
_AMOUNT = ("log_order_value", "log_expected_spend")
MOVES: Mapping[str, tuple[int, tuple[str, ...]]] = MappingProxyType(
    {
        "frequency": (0, ()),
        "days_since_last_order": (-1, _ALIVE),
        "t_days": (0, ()),
        "monetary_value": (1, _AMOUNT),
        "first_order_day_amount": (1, _AMOUNT),
        "order_max_amount": (-1, _AMOUNT),  # more of the spend is cut off as an outlier
    }
)
# Held with one stage alone: a regular buyer's next order comes nearer as time passes.
WITH_ONE_STAGE = ("days_since_last_order",)
WINSOR_SHARE = 0.001  # of orders; at 0.01 R² on Online Retail II loses 0.10
TINY = 1e-9  # keeps logs and logits finite


@dataclass(frozen=True)
class Lifetimes:
    """The fitted models of one date; a customer's largest order counts up to `largest_order`."""

    dropout: DropoutModel
    spend: SpendModel
    largest_order: float


@dataclass(frozen=True)
class Expectation:
    """What is expected in a number of days, each (rows,), NaN for a customer without an order.

    `orders` are purchase days, `order_value` money a purchase day, `spend` their product.
    """

    orders: Floats
    alive: Floats
    probability: Floats
    order_value: Floats
    spend: Floats

    def columns(self) -> NDArray[np.float64]:
        """The features of COLUMNS, shape (rows, 5)."""
        return np.column_stack(
            [
                np.log(self.orders + TINY),
                logit(self.alive),
                logit(self.probability),
                np.log(self.order_value),
                np.log(self.orders + TINY) + np.log(self.order_value),
            ]
        )


@dataclass(frozen=True)
class PurchaseHistory:
    """What the models are told, each (rows,), NaN for a customer without an order.

    `mean` is that of `count` purchase days, before the largest order is cut down.
    """

    frequency: Floats
    recency: Floats
    age: Floats
    count: Floats
    mean: Floats
    largest: Floats

    def winsorised_mean(self, largest_order: float) -> Floats:
        """Mean spend of a purchase day with the largest order cut down to `largest_order`."""
        excess = np.maximum(self.largest - largest_order, 0.0)
        return np.asarray(np.maximum(self.mean * self.count - excess, 0.0) / self.count)


def read_history(numbers: Mapping[str, NDArray[np.float32]]) -> PurchaseHistory:
    """The histories in columns INPUTS."""
    x = {name: np.asarray(numbers[name], dtype=np.float64) for name in INPUTS}
    first, age = x["first_order_day_amount"], x["t_days"]
    # The first day has no repeat beside it in customers of a single day.
    repeat = np.where(np.isnan(x["monetary_value"]), first, x["monetary_value"])
    count = x["frequency"] + 1.0
    return PurchaseHistory(
        x["frequency"],
        np.maximum(age - x["days_since_last_order"], 0.0),
        age,
        count,
        (x["frequency"] * repeat + first) / count,
        x["order_max_amount"],
    )


def fit_lifetimes(
    numbers: Mapping[str, NDArray[np.float32]], promised: Collection[str] = ()
) -> Lifetimes:
    """MBG/NBD and Gamma-Gamma on the customers of one date, by their columns INPUTS and ORDERS.

    With the packaged priors: they tell a shop with few repeat buyers what shops are like. Where
    columns GAPS are there, they say how many stages lie between purchases; else it is one, and so
    it is where the direction of one of WITH_ONE_STAGE is `promised`.
    """
    has_ordered = np.isfinite(numbers["t_days"]) & np.isfinite(numbers["order_max_amount"])
    x = read_history({name: numbers[name][has_ordered] for name in INPUTS})
    orders = np.asarray(numbers[ORDERS], dtype=np.float64)[has_ordered]
    largest = float("inf")
    if len(orders):
        # As many largest orders as WINSOR_SHARE of all orders lie above it.
        beyond = min(WINSOR_SHARE * float(orders.sum()) / len(orders), 1.0)
        largest = float(np.quantile(x.largest, 1 - beyond))
    stages = 1
    if all(name in numbers for name in GAPS) and not {*promised} & {*WITH_ONE_STAGE}:
        stages = choose_stages(*(np.asarray(numbers[name], dtype=np.float64) for name in GAPS))
    priors = shop_priors()
    return Lifetimes(
        fit_dropout(x.frequency, x.recency, x.age, prior=priors.dropout, stages=stages),
        fit_spend(x.count, x.winsorised_mean(largest), prior=priors.spend),
        largest,
    )


def expect(
    lifetimes: Lifetimes, numbers: Mapping[str, NDArray[np.float32]], days: float
) -> Expectation:
    """What each customer is expected to do in the next `days`."""
    x = read_history(numbers)
    rows = (x.frequency, x.recency, x.age)
    orders = expected_orders(lifetimes.dropout, *rows, days)
    mean = x.winsorised_mean(lifetimes.largest_order)
    order_value = expected_mean(lifetimes.spend, x.count, mean)
    return Expectation(
        orders,
        np.clip(p_alive(lifetimes.dropout, *rows), TINY, 1 - TINY),
        np.clip(purchase_probability(lifetimes.dropout, *rows, days), TINY, 1 - TINY),
        order_value,
        orders * order_value,
    )
