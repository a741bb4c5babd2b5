"""Linear layers computed in whole numbers: how they are written into an encoder's graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.encoder.builder import Builder, Weights

MICROSOFT = "com.microsoft"  # operators that onnxruntime adds; every CPU build of it has them
LEAST_GELU = 0.17  # GELU gives nothing below -0.17
BELOW, ABOVE = 24, 231  # of a byte's steps, for what GELU gives below and above 0


@dataclass(frozen=True)
class IntegerLayer:
    """A linear layer as whole numbers: x · smoothing ≈ bytes, y = bytes · values · scale + bias.

    `values` int8 (inputs, outputs), `scale` and `bias` float32 (outputs,); `smoothing` float32
    (inputs,), None where the layer before has it in its weights. `by_row`: each token has a step
    of its own, else all tokens of a text share one.
    """

    values: NDArray[np.int8]
    scale: NDArray[np.float32]
    bias: NDArray[np.float32]
    smoothing: NDArray[np.float32] | None = None
    by_row: bool = False


class IntegerBuilder(Builder):
    """Writes the layers that are given as whole numbers; one text a call.

    `places` says where in the weights' vectors each number of the text's is.
    """

    def __init__(
        self,
        weights: Weights,
        layers: Mapping[str, IntegerLayer],
        places: NDArray[np.int64],
    ) -> None:
        super().__init__(weights, is_quantised=True)
        self.layers, self.places = layers, places
        self._rounded: dict[tuple[str, bytes], tuple[str, str, str]] = {}
        self.opsets[MICROSOFT] = 1

    def linear(self, x: str, name: str) -> str:
        layer = self.layers[name]
        return self._by_row(x, layer) if layer.by_row else self._by_text(x, layer)

    def gelu(self, x: str) -> str:
        return self.op("FastGelu", x, domain=MICROSOFT)

    def last(self, x: str) -> str:
        return self.op("Gather", x, self.const(self.places), axis=1)

    def _by_text(self, x: str, layer: IntegerLayer) -> str:
        rounded, step, zero = self._round(x, layer.smoothing)
        inputs = [rounded, self.const(layer.values), step, self.const(layer.scale), zero]
        if layer.bias.any():
            inputs += ["", self.const(layer.bias)]
        return self.op("MatMulIntegerToFloat", *inputs, domain=MICROSOFT)

    def _round(self, x: str, smoothing: NDArray[np.float32] | None) -> tuple[str, str, str]:
        """x in bytes, their step and their zero, once for all layers that read the same."""
        key = (x, b"" if smoothing is None else smoothing.tobytes())
        if key not in self._rounded:
            smooth = x if smoothing is None else self.op("Mul", x, self.const(smoothing))
            rounded, step, zero = self.ops("DynamicQuantizeLinear", 3, smooth)
            self._rounded[key] = (rounded, step, zero)
        return self._rounded[key]

    def _by_row(self, x: str, layer: IntegerLayer) -> str:
        """For what GELU gives: (1, tokens, inputs)."""
        last = self.const(np.array([-1], dtype=np.int64))
        largest = self.op("Reshape", self.op("ReduceMax", x, last, keepdims=0), last)
        step = self.op("Mul", largest, self.const(np.float32(1 / ABOVE)))
        step = self.op("Max", step, self.const(np.float32(LEAST_GELU / BELOW)))
        zero = self.const(np.array(BELOW, dtype=np.uint8))
        zeros = self.op("Expand", zero, self.op("Shape", step))
        rounded = self.op("QuantizeLinear", x, step, zeros, axis=1)
        one = self.const(np.float32(1))
        scale = self.const(layer.scale)
        values = self.const(layer.values)
        y = self.op("MatMulIntegerToFloat", rounded, values, one, scale, zero, domain=MICROSOFT)
        column = self.const(np.array([1, -1, 1], dtype=np.int64))
        y = self.op("Mul", y, self.op("Reshape", step, column))
        return self.op("Add", y, self.const(layer.bias))
