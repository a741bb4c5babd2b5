"""A fitted network of dense layers in numpy and in the ONNX graph: scoring needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats, Matrix
from cva_sql.models_onnx.value.graph.builder import Graph


@dataclass(frozen=True)
class Dense:
    """weight · x + bias: `weight` is (outputs, inputs), `bias` (outputs,)."""

    weight: Matrix
    bias: Floats


@dataclass(frozen=True)
class Network:
    """Dense layers with a ReLU between each two."""

    layers: tuple[Dense, ...]

    def predict(self, x: Matrix) -> Matrix:
        """(rows, inputs) -> (rows, outputs of the last layer)."""
        for place, layer in enumerate(self.layers):
            x = np.maximum(x, 0.0) if place else x
            x = x @ layer.weight.T + layer.bias
        return x

    def write(self, graph: Graph, x: str) -> str:
        """The same as a value of the ONNX graph: (inputs, rows) -> (outputs, rows)."""
        x = graph.blocks(x)
        for place, layer in enumerate(self.layers):
            x = graph.op("Relu", x) if place else x
            x = graph.op("MatMul", graph.const(layer.weight), x)
            x = graph.op("Add", x, graph.column(layer.bias))
        return graph.rows_of_blocks(x)

    def on_raw(self, mean: Floats, deviation: Floats) -> Network:
        """The same network for inputs that are not yet standardised by these, each (inputs,)."""
        first, *others = self.layers
        weight = first.weight / deviation
        return Network((Dense(weight, first.bias - weight @ mean), *others))


def network_of(arrays: Sequence[tuple[Matrix, Floats]]) -> Network:
    """A network of (weight, bias) a layer, in double."""
    return Network(
        tuple(
            Dense(np.asarray(weight, dtype=np.float64), np.asarray(bias, dtype=np.float64))
            for weight, bias in arrays
        )
    )
