"""Collects the nodes of an encoder's graph: tables, linear layers and norms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from cva_sql.models_onnx.encoder.packed import MIDDLE, Packed

OPSET = 23  # Attention as one operator
LAYER_NORM_EPSILON = 1e-12  # BERT's

Weights = Mapping[str, Packed | NDArray[np.float32]]


class Builder:
    """Collects nodes and initializers; a value is known by its name."""

    def __init__(self, weights: Weights, *, is_quantised: bool) -> None:
        self.weights = weights
        self.is_quantised = is_quantised
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.opsets = {"": OPSET}
        self.epsilon = LAYER_NORM_EPSILON
        self.watched: dict[str, int] = {}  # values that are outputs as well, and their width

    def const(self, value: NDArray[Any] | np.generic) -> str:
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, count: int, *inputs: str, **attributes: Any) -> tuple[str, ...]:
        """As `op`, for an operator with so many outputs."""
        first = f"n{len(self.nodes)}"
        outputs = (first, *(f"{first}_{number}" for number in range(1, count)))
        self.nodes.append(helper.make_node(kind, list(inputs), list(outputs), **attributes))
        return outputs

    def gelu(self, x: str) -> str:
        return self.op("Gelu", x)

    def last(self, x: str) -> str:
        """What the pooled vector becomes before it is brought to length 1."""
        return x

    def plain(self, name: str) -> NDArray[np.float32]:
        """Weights that are never packed: of places, of biases and of norms."""
        found = self.weights[name]
        if isinstance(found, Packed):
            raise TypeError(f"{name} is packed; expected float32")
        return found

    def table(self, name: str, ids: str) -> str:
        """Rows of an embedding table."""
        rows = self.weights[name]
        if isinstance(rows, Packed):
            halves = self.op("Gather", self.const(rows.halves), ids)
            scales = self.op("Gather", self.const(rows.scale), ids)
            shape = self.const(np.array([1, -1, rows.shape[1]], dtype=np.int64))
            return self.op("Reshape", self.unpack(halves, scales), shape)
        if not self.is_quantised:
            return self.op("Gather", self.const(rows), ids)
        values, scale = quantise(rows, axis=1)
        picked = self.op("Gather", self.const(values), ids)
        picked = self.op("Cast", picked, to=TensorProto.FLOAT)
        return self.op("Mul", picked, self.op("Gather", self.const(scale), ids))

    def linear(self, x: str, name: str) -> str:
        """x · Wᵀ + b, of a layer in torch's layout (outputs, inputs), and its bottleneck if any."""
        y = self._dense(x, name)
        if f"{name}.adapter.down.weight" not in self.weights:
            return y
        inner = self.op("Gelu", self._dense(y, f"{name}.adapter.down"))
        return self.op("Add", y, self._dense(inner, f"{name}.adapter.up"))

    def _dense(self, x: str, name: str) -> str:
        weight = self.weights[f"{name}.weight"]
        if isinstance(weight, Packed):
            whole = self.unpack(self.const(weight.halves), self.const(weight.scale))
            shape = self.const(np.array(weight.shape, dtype=np.int64))
            matrix = self.op("Transpose", self.op("Reshape", whole, shape), perm=[1, 0])
        elif self.is_quantised:
            # Stored in a quarter of the space; onnxruntime folds both nodes when it loads the file,
            # so the products are the same single-precision ones on every CPU.
            values, scale = quantise(weight.T, axis=0)
            stored = self.op("Cast", self.const(values), to=TensorProto.FLOAT)
            matrix = self.op("Mul", stored, self.const(scale))
        else:
            matrix = self.const(weight.T)
        return self.op("Add", self.op("MatMul", x, matrix), self.const(self.plain(f"{name}.bias")))

    def unpack(self, halves: str, scale: str) -> str:
        """The weights of a `Packed`, the last axis doubled; the same on every CPU."""
        low = self.op("BitwiseAnd", halves, self.const(np.uint8(15)))
        high = self.op("BitShift", halves, self.const(np.uint8(4)), direction="RIGHT")
        both = self.op("Cast", self.op("Concat", low, high, axis=-1), to=TensorProto.FLOAT)
        centred = self.op("Sub", both, self.const(np.float32(MIDDLE)))
        return self.op("Mul", centred, self.op("Cast", scale, to=TensorProto.FLOAT))

    def layer_norm(self, x: str, name: str) -> str:
        gain = self.const(self.plain(f"{name}.weight"))
        shift = self.const(self.plain(f"{name}.bias"))
        return self.op("LayerNormalization", x, gain, shift, axis=-1, epsilon=self.epsilon)


def layer_names(weights: Weights) -> list[str]:
    """What the names of each layer's weights begin with, the first layer first."""
    marked = {name.split(".")[2] for name in weights if name.startswith("encoder.layer.")}
    return [f"encoder.layer.{number}" for number in sorted(map(int, marked))]


def quantise(
    matrix: NDArray[np.float32], axis: int
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Whole numbers in ±127 and one scale for each slice along `axis`: matrix ≈ values · scale."""
    largest = np.abs(matrix).max(axis=axis, keepdims=True)
    scale = (np.maximum(largest, 1e-12) / 127).astype(np.float32)
    return np.clip(np.rint(matrix / scale), -127, 127).astype(np.int8), scale
