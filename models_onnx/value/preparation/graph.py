"""Rows as the members see them, inside the graph: the same as `rows.Preparation`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from onnx import TensorProto

from cva_sql.models_onnx.value.arrays import SMALLEST_PROBABILITY
from cva_sql.models_onnx.value.data.preprocessing import CLIP, LogScale, Preprocessing
from cva_sql.models_onnx.value.data.target import Target
from cva_sql.models_onnx.value.estimators.btyd_graph import add_dropout, add_expected_mean
from cva_sql.models_onnx.value.estimators.lifetimes import INPUTS, TINY, Lifetimes
from cva_sql.models_onnx.value.estimators.linear import Linear
from cva_sql.models_onnx.value.graph.builder import Graph, add_logit
from cva_sql.models_onnx.value.judging.rules import DECAY_DAYS
from cva_sql.models_onnx.value.preparation.cold_start import AGE, AGES
from cva_sql.models_onnx.value.preparation.corrections import Correction
from cva_sql.models_onnx.value.preparation.rows import (
    DECAYED_FLOOR,
    SPEND_FLOOR,
    Preparation,
)

_Cold: TypeAlias = tuple[str | float, str | float, str | float]


@dataclass
class GraphRows:
    """The graph's counterparts of `rows.Prepared`, whose matrix is `features` and `logs`.

    An extrapolation is empty where label and horizon are the same, else holds one value.
    `log_scale` standardises what `linear` reads, which is written once, when it is first needed.
    `beside` are the numbers beside the matrix, each (1, rows). A `_correction` has a value for each
    optional family that earned a weight.
    """

    graph: Graph
    log_scale: LogScale
    numbers: tuple[str, ...]
    features: str
    logs: str
    log_spend: str
    logit_purchase: str
    log_orders: str
    log_decayed: str
    spend_extrapolation: tuple[str, ...]
    purchase_extrapolation: tuple[str, ...]
    orders_extrapolation: tuple[str, ...]
    beside: tuple[str, ...] = field(default=(), kw_only=True)
    spend_correction: tuple[str, ...] = field(default=(), kw_only=True)
    purchase_correction: tuple[str, ...] = field(default=(), kw_only=True)
    _z: str = field(default="", init=False)

    def number(self, name: str) -> str:
        """A feature by its name, (1, rows), NaN for NULL."""
        place = self.numbers.index(name)
        return self.graph.lines(self.features, place, place + 1)

    def linear(self, part: Linear) -> str:
        """coefficients · standardised columns + intercept, (1, rows)."""
        if not self._z:
            self._z = self._add_z()
        return _add_weighted(self.graph, self.log_scale, self._z, part)

    def standardised(self) -> str:
        """See `LogScale.transform`, (columns, rows)."""
        if not self._z:
            self._z = self._add_z()
        mean, deviation = self.log_scale.mean, self.log_scale.deviation
        centred = self.graph.op("Sub", self._z, self.graph.column(mean))
        return self.graph.op("Mul", centred, self.graph.column(1 / deviation))

    def _add_z(self) -> str:
        """See `LogScale.transform`, before it is standardised."""
        return _add_logs_of(self.graph, self.log_scale, self.features, (self.logs,))


def _add_logs_of(graph: Graph, log_scale: LogScale, features: str, logs: Sequence[str]) -> str:
    """See `LogScale.transform`, before it is standardised; `logs` are logs already."""
    scaled = graph.op("Mul", features, graph.column(1 / log_scale.scale))
    size = graph.op("Log", graph.op("Add", graph.op("Abs", scaled), 1.0))
    z = graph.op("Mul", graph.op("Sign", scaled), size)
    if logs:
        z = graph.op("Concat", z, *logs, axis=0)
    z = graph.op("Where", graph.op("IsNaN", z), graph.column(log_scale.fill), z)
    mean, deviation = log_scale.mean, log_scale.deviation
    z = graph.op("Max", z, graph.column(mean - CLIP * deviation))
    return graph.op("Min", z, graph.column(mean + CLIP * deviation))


def _add_weighted(graph: Graph, log_scale: LogScale, z: str, part: Linear) -> str:
    """coefficients · standardised columns + intercept, (1, rows).

    z is clipped but not yet standardised: that is left to the coefficients.
    """
    slopes = part.coefficients / log_scale.deviation
    products = graph.op("Mul", z, graph.column(slopes))
    total = graph.sum_of_lines(products)
    shift = float(np.sum(slopes * log_scale.mean))
    return graph.op("Add", total, part.intercept - shift)


def _add_correction(graph: Graph, correction: Correction) -> tuple[str, str]:
    """See `Correction.add`."""
    columns, log_scale = correction.columns, correction.columns.log_scale
    features = add_features(graph, columns.preprocessing)
    places = [columns.preprocessing.numbers.index(name) for name in columns.missing]
    lines = (graph.lines(features, place, place + 1) for place in places)
    missing = [graph.double(graph.op("IsNaN", line)) for line in lines]
    z = _add_logs_of(graph, log_scale, features, missing)
    parts = (correction.spend, correction.purchase)
    spend, purchase = (_add_weighted(graph, log_scale, z, part) for part in parts)
    return spend, purchase


@dataclass(frozen=True)
class _Expected:
    """What is expected in a number of days, as in `lifetimes.Expectation`."""

    orders: str
    alive: str
    probability: str
    order_value: str
    spend: str


def add_rows(graph: Graph, preparation: Preparation, log_scale: LogScale) -> GraphRows:
    """The inputs of the graph, and what the members need of them."""
    preprocessing, fixed = preparation.preprocessing, preparation.constants
    target = preparation.target
    features = add_features(graph, preprocessing)
    x = {
        name: graph.lines(features, place, place + 1)
        for place, name in enumerate(preprocessing.numbers)
        if name in (*INPUTS, target.decayed)
    }
    near = _add_expected(graph, x, preparation.lifetimes, fixed.label_days)
    is_cold = graph.op("IsNaN", near.spend)
    cold = _add_cold(graph, features, preparation)
    logs = _add_logs(graph, near)
    if fixed.cold.probabilities:
        logs = graph.op(
            "Where", is_cold, _add_logs(graph, _if_cold(graph, near, cold, target)), logs
        )
    own = _add_known(graph, near, is_cold, cold, preparation)
    extrapolations: list[tuple[str, ...]] = [(), (), ()]
    if preparation.horizon_days != fixed.label_days:
        far = _add_expected(graph, x, preparation.lifetimes, preparation.horizon_days)
        later = _add_known(graph, far, is_cold, cold, preparation)
        extrapolations = [(graph.op("Sub", b, a),) for a, b in zip(own, later, strict=True)]
    decayed = graph.op("Min", x[target.decayed], fixed.decayed_cap)
    decayed = graph.op("Mul", decayed, fixed.label_days / DECAY_DAYS)
    decayed = graph.op("Where", is_cold, cold[0], decayed)
    log_decayed = graph.op("Log", graph.op("Add", decayed, DECAYED_FLOOR * fixed.mean_spend))
    beside = tuple(graph.padded_line(graph.number_input(n)) for n in preprocessing.beside)
    corrected = [_add_correction(graph, one) for one in preparation.corrections]
    return GraphRows(
        graph,
        log_scale,
        preprocessing.numbers,
        features,
        logs,
        *own,
        log_decayed,
        *extrapolations,
        beside=beside,
        spend_correction=tuple(spend for spend, _ in corrected),
        purchase_correction=tuple(purchase for _, purchase in corrected),
    )


def add_features(graph: Graph, preprocessing: Preprocessing) -> str:
    """Named inputs and what stands for them, (columns, rows): see `Preprocessing.matrix`."""
    columns = [graph.number_input(name) for name in preprocessing.numbers]
    for name, values in preprocessing.categories:
        text = graph.category_input(name)
        for value in values:
            columns.append(
                graph.op(
                    "LabelEncoder",
                    text,
                    domain="ai.onnx.ml",
                    keys_strings=[value],
                    values_floats=[1.0],
                    default_float=0.0,
                )
            )
    return graph.whole_blocks(columns)


def _add_expected(graph: Graph, x: dict[str, str], lifetimes: Lifetimes, days: float) -> _Expected:
    """See `lifetimes.expect`."""
    recency = graph.op("Max", graph.op("Sub", x["t_days"], x["days_since_last_order"]), 0.0)
    orders, alive, probability = add_dropout(
        graph, x["frequency"], recency, x["t_days"], lifetimes.dropout, days
    )
    first, repeat = x["first_order_day_amount"], x["monetary_value"]
    repeat = graph.op("Where", graph.op("IsNaN", repeat), first, repeat)
    total = graph.op("Add", graph.op("Mul", x["frequency"], repeat), first)
    excess = graph.op("Sub", x["order_max_amount"], lifetimes.largest_order)
    total = graph.op("Sub", total, graph.op("Max", excess, 0.0))
    count = graph.op("Add", x["frequency"], 1.0)
    mean = graph.op("Div", graph.op("Max", total, 0.0), count)
    order_value = add_expected_mean(graph, count, mean, lifetimes.spend)
    return _Expected(
        orders,
        graph.clip(alive, TINY, 1 - TINY),
        graph.clip(probability, TINY, 1 - TINY),
        order_value,
        graph.op("Mul", orders, order_value),
    )


def _if_cold(graph: Graph, near: _Expected, cold: _Cold, target: Target) -> _Expected:
    """See `rows.Preparation`: what is expected as if nobody had ordered."""
    spend, probability, orders = (str(value) for value in cold)
    found = replace(near, orders=orders, probability=probability)
    if target.expected != "spend":
        return found
    return replace(found, order_value=graph.op("Div", spend, orders))


def _add_logs(graph: Graph, expected: _Expected) -> str:
    """See `lifetimes.Expectation.columns`."""
    orders = graph.op("Log", graph.op("Add", expected.orders, TINY))
    order_value = graph.op("Log", expected.order_value)
    return graph.op(
        "Concat",
        orders,
        add_logit(graph, expected.alive),
        add_logit(graph, expected.probability),
        order_value,
        graph.op("Add", orders, order_value),
        axis=0,
    )


def _add_cold(graph: Graph, features: str, preparation: Preparation) -> _Cold:
    """Spend, probability and orders of a customer without an order: numbers, or values of rows."""
    cold = preparation.constants.cold
    if not cold.probabilities:
        return cold.spend, cold.probability, float(-np.log(1 - cold.probability))
    place = preparation.preprocessing.numbers.index(AGE)
    age = graph.lines(features, place, place + 1)
    is_past = graph.double(graph.op("GreaterOrEqual", age, graph.column(AGES)))  # NaN never is
    bucket = graph.op("Cast", graph.sum_of_lines(is_past), to=TensorProto.INT64)
    spend, probability = (graph.op("Gather", graph.const(v), bucket) for v in cold.by_age)
    orders = graph.op("Neg", graph.op("Log", graph.op("Sub", 1.0, probability)))
    return spend, probability, orders


def _add_known(
    graph: Graph, expected: _Expected, is_cold: str, cold: _Cold, preparation: Preparation
) -> tuple[str, str, str]:
    """See `rows.Preparation`: log spend, purchase logit and log orders, none NaN."""
    fixed, own = preparation.constants, getattr(expected, preparation.target.expected)
    cold_spend, cold_probability, cold_orders = cold
    spend = graph.op("Where", is_cold, cold_spend, own)
    probability = graph.op("Where", is_cold, cold_probability, expected.probability)
    orders = graph.op("Where", is_cold, cold_orders, expected.orders)
    return (
        graph.op("Log", graph.op("Add", spend, SPEND_FLOOR * fixed.mean_spend)),
        add_logit(graph, probability),
        graph.op("Log", graph.op("Add", orders, SMALLEST_PROBABILITY)),
    )
