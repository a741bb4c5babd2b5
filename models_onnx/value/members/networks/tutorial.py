"""The network of this field's tutorials, as a row to beat: no part of the ensemble.

Three inputs (activity, spend, rating), a hidden layer of 128, ReLU, dropout of a half, squared
error, Adam with weight decay. Activity is orders, spend past spend. What a shop does not know is
left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats, Matrix
from cva_sql.models_onnx.value.estimators.curves import CurvePoint
from cva_sql.models_onnx.value.graph.builder import Graph
from cva_sql.models_onnx.value.graph.network import Network
from cva_sql.models_onnx.value.members.contract import Examples, FittedMember, Member, Rows
from cva_sql.models_onnx.value.members.networks.learning import (
    PACE,
    curve_of,
    dense_stack,
    learn,
    mean_curve,
    pace_of,
    to_network,
)
from cva_sql.models_onnx.value.preparation.graph import GraphRows
from cva_sql.models_onnx.value.settings import Setting

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

NAME = "tutorial_net"
INPUTS = ("orders_count", "historic_value", "rating_mean")
FLOOR = 0.02  # of the mean spend: squared error predicts less than nothing


@dataclass(frozen=True)
class FittedTutorial(FittedMember):
    """A network of columns that are standardised as they are, 0 for NULL; spend over its mean."""

    inputs: tuple[str, ...]
    mean: Floats
    deviation: Floats
    network: Network
    mean_spend: float
    held_out: tuple[float, ...] = ()

    def predict(self, rows: Rows) -> Floats:
        """See `FittedMember`."""
        x = standardised(rows, self.inputs, self.mean, self.deviation)
        spend = self.network.predict(x)[:, 0]
        return np.asarray(np.log(np.maximum(spend, FLOOR) * self.mean_spend))

    def write(self, graph: Graph, rows: GraphRows) -> str:
        """See `FittedMember`."""
        x = graph.op("Concat", *(rows.number(name) for name in self.inputs), axis=0)
        x = graph.op("Sub", x, graph.column(self.mean))
        x = graph.op("Mul", x, graph.column(1 / self.deviation))
        x = graph.op("Where", graph.op("IsNaN", x), 0.0, x)
        spend = graph.op("Max", self.network.write(graph, x), FLOOR)
        return graph.op("Log", graph.op("Mul", spend, self.mean_spend))

    def curve(self, rows: Rows, actual: Floats) -> Sequence[CurvePoint]:
        """The squared error by epoch on the examples that said when to stop."""
        return curve_of(NAME, self.held_out)


def standardised(rows: Rows, inputs: Sequence[str], mean: Floats, deviation: Floats) -> Matrix:
    """These columns, (rows, columns), 0 for NULL."""
    raw = np.column_stack([rows.number(name) for name in inputs]).astype(np.float64)
    return np.nan_to_num((raw - mean) * (1 / deviation))


def _loss(module: Module, rows: Mapping[str, Tensor]) -> Tensor:
    """The squared error of each row."""
    return (module(rows["x"])[:, 0] - rows["spend"]) ** 2


def fit(examples: Examples) -> FittedTutorial:
    """The network of the columns that are there."""
    given, rows = examples.settings, examples.rows
    inputs = tuple(name for name in INPUTS if name in rows.preprocessing.numbers)
    raw = np.column_stack([rows.number(name) for name in inputs]).astype(np.float64)
    mean, deviation = np.nanmean(raw, axis=0), np.nanstd(raw, axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    columns = {
        "x": standardised(rows, inputs, mean, deviation).astype(np.float32),
        "spend": (examples.value / examples.mean_spend).astype(np.float32),
    }
    learned = learn(
        lambda: dense_stack(len(inputs), [given["hidden"]], 1, given["dropout"]),
        _loss,
        columns,
        examples,
        pace_of(given),
        given["seed"],
    )
    network = to_network(learned.module)
    curve = mean_curve([learned])
    return FittedTutorial(inputs, mean, deviation, network, examples.mean_spend, curve)


MEMBER = Member(
    name=NAME,
    place=100,
    weight=0.0,
    kind=NAME,
    fit=fit,
    tunable={
        "hidden": Setting(128, 1, 4096),
        "dropout": Setting(0.5, 0.0, 0.95),
        **PACE,
    },
    curve_loss="squared_error",
)
