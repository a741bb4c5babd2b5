"""Buy till you die, fitted to the customers of one date, and what it says of each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.btyd import (
    DropoutModel,
    expected_orders,
    fit_dropout,
    p_alive,
    purchase_probability,
)
from cva_sql.models_onnx.value.candidates import logit
from cva_sql.models_onnx.value.gamma_gamma import SpendModel, expected_mean, fit_spend
from cva_sql.models_onnx.value.metrics import Floats

INPUTS = (
    "frequency",
    "recency_days",
    "t_days",
    "order_days_count",
    "historic_value",
    "order_max_amount",
)
ORDERS = "orders_count"
COLUMNS = (
    "log_expected_orders",
    "logit_alive",
    "logit_purchase",
    "log_order_value",
    "log_expected_spend",
)
WINSOR_SHARE = 0.001  # of orders; at .01 R² on Online Retail II loses .10
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


def _inputs(numbers: Mapping[str, NDArray[np.float32]]) -> dict[str, Floats]:
    return {name: np.asarray(numbers[name], dtype=np.float64) for name in INPUTS}


def winsorised_mean(x: Mapping[str, Floats], largest_order: float) -> Floats:
    """Mean spend of a purchase day with the largest order cut down to `largest_order`."""
    excess = np.maximum(x["order_max_amount"] - largest_order, 0.0)
    total = np.maximum(x["historic_value"] - excess, 0.0)
    return np.asarray(total / np.maximum(x["order_days_count"], 1.0))


def fit_lifetimes(numbers: Mapping[str, NDArray[np.float32]]) -> Lifetimes:
    """MBG/NBD and Gamma-Gamma on the customers of one date, by their columns INPUTS and ORDERS."""
    x = _inputs(numbers)
    has_ordered = np.isfinite(x["t_days"]) & np.isfinite(x["order_max_amount"])
    x = {name: column[has_ordered] for name, column in x.items()}
    orders = np.asarray(numbers[ORDERS], dtype=np.float64)[has_ordered]
    largest = float("inf")
    if len(orders):
        # As many largest orders as WINSOR_SHARE of all orders lie above it.
        beyond = min(WINSOR_SHARE * float(orders.sum()) / len(orders), 1.0)
        largest = float(np.quantile(x["order_max_amount"], 1 - beyond))
    mean = winsorised_mean(x, largest)
    return Lifetimes(
        fit_dropout(x["frequency"], x["recency_days"], x["t_days"]),
        fit_spend(x["order_days_count"], mean),
        largest,
    )


def expect(
    lifetimes: Lifetimes, numbers: Mapping[str, NDArray[np.float32]], days: float
) -> Expectation:
    """What each customer is expected to do in the next `days`."""
    x = _inputs(numbers)
    rows = (x["frequency"], x["recency_days"], x["t_days"])
    orders = expected_orders(lifetimes.dropout, *rows, days)
    mean = winsorised_mean(x, lifetimes.largest_order)
    order_value = expected_mean(lifetimes.spend, x["order_days_count"], mean)
    return Expectation(
        orders,
        np.clip(p_alive(lifetimes.dropout, *rows), TINY, 1 - TINY),
        np.clip(purchase_probability(lifetimes.dropout, *rows, days), TINY, 1 - TINY),
        order_value,
        orders * order_value,
    )
