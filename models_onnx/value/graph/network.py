"""A fitted network of dense layers in numpy and in the ONNX graph: scoring needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats, Matrix, sigmoid
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


@dataclass(frozen=True)
class Gru:
    """A gated recurrent unit (Cho et al. 2014, arXiv:1406.1078), its gates as torch has them.

    `of_input` gives the reset gate, the update gate and the candidate of a step, `of_state` the
    same of the state before it. A step that is not there leaves the state, which begins with 0.
    """

    of_input: Dense
    of_state: Dense

    @property
    def width(self) -> int:
        """How many numbers a state has."""
        return int(self.of_state.weight.shape[1])

    def predict(self, steps: Matrix, there: Matrix) -> Matrix:
        """The last state, (rows, width), of `steps` (rows, steps, inputs); `there` is 1 or 0."""
        state = np.zeros((len(steps), self.width))
        for place in range(steps.shape[1]):
            step = steps[:, place] @ self.of_input.weight.T + self.of_input.bias
            own = state @ self.of_state.weight.T + self.of_state.bias
            reset, update, new = np.split(step, 3, axis=1)
            own_reset, own_update, own_new = np.split(own, 3, axis=1)
            update = sigmoid(update + own_update)
            new = np.tanh(new + sigmoid(reset + own_reset) * own_new)
            moved = (1 - update) * (new - state)
            state = state + there[:, place : place + 1] * moved
        return state

    def write(self, graph: Graph, steps: Sequence[str], there: Sequence[str]) -> str:
        """The same as a value of the ONNX graph, (width, rows).

        Each step is (inputs, rows), and whether it is there (1, rows).
        """
        width, state = self.width, ""
        weight, bias = graph.const(self.of_state.weight), graph.column(self.of_state.bias)
        inputs = graph.const(self.of_input.weight), graph.column(self.of_input.bias)
        for step, is_there in zip(steps, there, strict=True):
            product = graph.op("MatMul", inputs[0], graph.blocks(step))
            step = graph.rows_of_blocks(graph.op("Add", product, inputs[1]))
            if not state:
                zero = graph.op("Mul", graph.lines(step, 0, width), 0.0)
                state = zero
            own = graph.op("Add", graph.op("MatMul", weight, graph.blocks(state)), bias)
            own = graph.rows_of_blocks(own)
            parts = [(k * width, (k + 1) * width) for k in range(3)]
            reset, update, new = (graph.lines(step, *part) for part in parts)
            own_reset, own_update, own_new = (graph.lines(own, *part) for part in parts)
            update = graph.op("Sigmoid", graph.op("Add", update, own_update))
            reset = graph.op("Sigmoid", graph.op("Add", reset, own_reset))
            new = graph.op("Tanh", graph.op("Add", new, graph.op("Mul", reset, own_new)))
            moved = graph.op("Mul", graph.op("Sub", 1.0, update), graph.op("Sub", new, state))
            state = graph.op("Add", state, graph.op("Mul", is_there, moved))
        return state


def network_of(arrays: Sequence[tuple[Matrix, Floats]]) -> Network:
    """A network of (weight, bias) a layer, in double."""
    return Network(
        tuple(
            Dense(np.asarray(weight, dtype=np.float64), np.asarray(bias, dtype=np.float64))
            for weight, bias in arrays
        )
    )
