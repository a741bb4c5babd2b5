"""A BERT sentence encoder as one compact ONNX graph: one text in, its vector and sentiment out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from cva_sql.models_onnx.encoder.builder import LAYER_NORM_EPSILON, Builder, Weights, layer_names

IR_VERSION = 10


@dataclass(frozen=True)
class Sentiment:
    """sentiment = tanh(sharpness · (vector · direction − neutral)), in (−1, 1)."""

    direction: NDArray[np.float32]
    neutral: float
    sharpness: float


MEAN, CLS, LAST = "mean", "cls", "last"  # which tokens' vectors a text's is made of
POOLINGS = (MEAN, CLS, LAST)


@dataclass(frozen=True)
class Shape:
    """What an encoder's weights do not say.

    `is_causal`: a token reads those before it alone. `epsilon` is that of the norms.
    """

    heads: int
    max_tokens: int
    pooling: str = MEAN
    is_causal: bool = False
    epsilon: float = LAYER_NORM_EPSILON


def build_encoder(
    weights: Weights,
    shape: Shape,
    *,
    is_quantised: bool,
    sentiment: Sentiment | None = None,
) -> bytes:
    """The encoder of a BERT's weights, by their names in `transformers`.

    Input `input_ids`, int64 (1, tokens): one text, no padding, so no mask. Outputs `embedding`,
    float32 (1, width): the mean over the tokens, of length 1; and `sentiment`, float32 (1, 1),
    where one is given.
    """
    return write_encoder(Builder(weights, is_quantised=is_quantised), shape, sentiment)


def write_encoder(g: Builder, shape: Shape, sentiment: Sentiment | None = None) -> bytes:
    """The same as `build_encoder`, its layers written by `g`; what `g` watches are more outputs."""
    g.epsilon = shape.epsilon
    x = _embed_tokens(g, shape.max_tokens)
    for name in layer_names(g.weights):
        x = _add_layer(g, x, name, shape)
    mean = g.last(_pool(g, x, shape.pooling))
    last = g.const(np.array([-1], dtype=np.int64))
    length = g.op("ReduceL2", mean, last, keepdims=1)
    g.nodes.append(helper.make_node("Div", [mean, length], ["embedding"]))
    width = g.weights["embeddings.word_embeddings.weight"].shape[1]
    outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, width])]
    if sentiment is not None:
        _add_sentiment(g, sentiment)
        outputs.append(helper.make_tensor_value_info("sentiment", TensorProto.FLOAT, [1, 1]))
    for name, wide in g.watched.items():
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, "tokens", wide]))
    graph = helper.make_graph(
        g.nodes,
        "cva_encoder",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"])],
        outputs,
        initializer=g.initializers,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(name, version) for name, version in g.opsets.items()],
        ir_version=IR_VERSION,
        producer_name="cva",
    )
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _embed_tokens(g: Builder, max_tokens: int) -> str:
    words = g.table("embeddings.word_embeddings.weight", "input_ids")
    # One sentence a text: its token type is part of every position.
    places = g.plain("embeddings.position_embeddings.weight")[:max_tokens]
    places = places + g.plain("embeddings.token_type_embeddings.weight")[0]
    count = g.op("Shape", "input_ids", start=1, end=2)
    zero = g.const(np.array([0], dtype=np.int64))
    x = g.op("Add", words, g.op("Slice", g.const(places), zero, count, zero))
    return g.layer_norm(x, "embeddings.LayerNorm")


def _pool(g: Builder, x: str, pooling: str) -> str:
    axes = g.const(np.array([1], dtype=np.int64))
    if pooling == MEAN:
        return g.op("ReduceMean", x, axes, keepdims=0)
    place = np.int64(0 if pooling == CLS else -1)
    return g.op("Gather", x, g.const(place), axis=1)


def _add_layer(g: Builder, x: str, name: str, shape: Shape) -> str:
    query, key, value = (
        g.linear(x, f"{name}.attention.self.{part}") for part in ("query", "key", "value")
    )
    given = {"q_num_heads": shape.heads, "kv_num_heads": shape.heads}
    if shape.is_causal:
        given["is_causal"] = 1
    mixed = g.op("Attention", query, key, value, **given)
    mixed = g.linear(mixed, f"{name}.attention.output.dense")
    x = g.layer_norm(g.op("Add", x, mixed), f"{name}.attention.output.LayerNorm")
    inner = g.gelu(g.linear(x, f"{name}.intermediate.dense"))
    x = g.op("Add", x, g.linear(inner, f"{name}.output.dense"))
    return g.layer_norm(x, f"{name}.output.LayerNorm")


def _add_sentiment(g: Builder, sentiment: Sentiment) -> None:
    direction = g.const(sentiment.direction.reshape(-1, 1).astype(np.float32))
    along = g.op("MatMul", "embedding", direction)
    along = g.op("Sub", along, g.const(np.float32(sentiment.neutral)))
    along = g.op("Mul", along, g.const(np.float32(sentiment.sharpness)))
    g.nodes.append(helper.make_node("Tanh", [along], ["sentiment"]))
