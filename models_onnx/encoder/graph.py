"""A BERT sentence encoder as one compact ONNX graph: one text in, its vector and sentiment out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from cva_sql.models_onnx.encoder.packed import MIDDLE, Packed

OPSET = 23  # Attention as one operator
IR_VERSION = 10
LAYER_NORM_EPSILON = 1e-12  # BERT's

Weights = Mapping[str, Packed | NDArray[np.float32]]


@dataclass(frozen=True)
class Sentiment:
    """sentiment = tanh(sharpness · (vector · direction − neutral)), in (−1, 1)."""

    direction: NDArray[np.float32]
    neutral: float
    sharpness: float


class _Builder:
    """Collects nodes and initializers; a value is known by its name."""

    def __init__(self, weights: Weights, *, is_quantised: bool) -> None:
        self.weights = weights
        self.is_quantised = is_quantised
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def const(self, value: NDArray[Any] | np.generic) -> str:
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

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
        return self.op("LayerNormalization", x, gain, shift, axis=-1, epsilon=LAYER_NORM_EPSILON)


def quantise(
    matrix: NDArray[np.float32], axis: int
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Whole numbers in ±127 and one scale for each slice along `axis`: matrix ≈ values · scale."""
    largest = np.abs(matrix).max(axis=axis, keepdims=True)
    scale = (np.maximum(largest, 1e-12) / 127).astype(np.float32)
    return np.clip(np.rint(matrix / scale), -127, 127).astype(np.int8), scale


def build_encoder(
    weights: Weights,
    *,
    heads: int,
    max_tokens: int,
    is_quantised: bool,
    sentiment: Sentiment | None = None,
) -> bytes:
    """The encoder of a BERT's weights, by their names in `transformers`.

    Input `input_ids`, int64 (1, tokens): one text, no padding, so no mask. Outputs `embedding`,
    float32 (1, width): the mean over the tokens, of length 1; and `sentiment`, float32 (1, 1),
    where one is given.
    """
    layers = len({name.split(".")[2] for name in weights if name.startswith("encoder.layer.")})
    g = _Builder(weights, is_quantised=is_quantised)
    x = _embed_tokens(g, max_tokens)
    for layer in range(layers):
        x = _add_layer(g, x, f"encoder.layer.{layer}", heads)
    axes = g.const(np.array([1], dtype=np.int64))
    mean = g.op("ReduceMean", x, axes, keepdims=0)
    last = g.const(np.array([-1], dtype=np.int64))
    length = g.op("ReduceL2", mean, last, keepdims=1)
    g.nodes.append(helper.make_node("Div", [mean, length], ["embedding"]))
    width = weights["embeddings.word_embeddings.weight"].shape[1]
    outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, width])]
    if sentiment is not None:
        _add_sentiment(g, sentiment)
        outputs.append(helper.make_tensor_value_info("sentiment", TensorProto.FLOAT, [1, 1]))
    graph = helper.make_graph(
        g.nodes,
        "cva_encoder",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"])],
        outputs,
        initializer=g.initializers,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="cva",
    )
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _embed_tokens(g: _Builder, max_tokens: int) -> str:
    words = g.table("embeddings.word_embeddings.weight", "input_ids")
    # One sentence a text: its token type is part of every position.
    places = g.plain("embeddings.position_embeddings.weight")[:max_tokens]
    places = places + g.plain("embeddings.token_type_embeddings.weight")[0]
    count = g.op("Shape", "input_ids", start=1, end=2)
    zero = g.const(np.array([0], dtype=np.int64))
    x = g.op("Add", words, g.op("Slice", g.const(places), zero, count, zero))
    return g.layer_norm(x, "embeddings.LayerNorm")


def _add_layer(g: _Builder, x: str, name: str, heads: int) -> str:
    query, key, value = (
        g.linear(x, f"{name}.attention.self.{part}") for part in ("query", "key", "value")
    )
    mixed = g.op("Attention", query, key, value, q_num_heads=heads, kv_num_heads=heads)
    mixed = g.linear(mixed, f"{name}.attention.output.dense")
    x = g.layer_norm(g.op("Add", x, mixed), f"{name}.attention.output.LayerNorm")
    inner = g.op("Gelu", g.linear(x, f"{name}.intermediate.dense"))
    x = g.op("Add", x, g.linear(inner, f"{name}.output.dense"))
    return g.layer_norm(x, f"{name}.output.LayerNorm")


def _add_sentiment(g: _Builder, sentiment: Sentiment) -> None:
    direction = g.const(sentiment.direction.reshape(-1, 1).astype(np.float32))
    along = g.op("MatMul", "embedding", direction)
    along = g.op("Sub", along, g.const(np.float32(sentiment.neutral)))
    along = g.op("Mul", along, g.const(np.float32(sentiment.sharpness)))
    g.nodes.append(helper.make_node("Tanh", [along], ["sentiment"]))
