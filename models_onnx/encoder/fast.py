"""The fast tier: linear layers in whole numbers, fitted on real texts.

The inputs of query, key, value, of the attention's output and of the first feed-forward layer are
rounded by one step a text, those of the second by one a token, after smoothing (Xiao et al.,
SmoothQuant, ICML 2023); the weights by GPTQ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.encoder.builder import Builder, layer_names
from cva_sql.models_onnx.encoder.gptq import beyond_pair, gptq
from cva_sql.models_onnx.encoder.graph import Sentiment, Shape, write_encoder
from cva_sql.models_onnx.encoder.integers import IntegerBuilder, IntegerLayer
from cva_sql.udfs.sessions import open_session

Arrays = dict[str, NDArray[np.float32]]

# How much of the inputs' unevenness goes into the weights.
SMOOTH_QKV, SMOOTH_MIXED, SMOOTH_INNER = 0.9, 0.5, 0.75
KINDS = ("weight", "bias")
OUTPUT, INNER, OUTER = "attention.output.dense", "intermediate.dense", "output.dense"
WHOLE = 500
WORDS = (2, 3, 4, 6, 8, 12)  # of a beginning
AT_ONCE = 32  # texts whose inputs are kept until they are added up
QKV = tuple(f"attention.self.{part}" for part in ("query", "key", "value"))


class _Watching(Builder):
    """Single precision, with each layer's input as one more output."""

    def __init__(self, weights: Arrays) -> None:
        super().__init__(weights, is_quantised=False)
        self.inputs: dict[str, str] = {}

    def linear(self, x: str, name: str) -> str:
        self.inputs[name] = x
        self.watched[x] = self.weights[f"{name}.weight"].shape[1]
        return super().linear(x, name)


@dataclass
class Seen:
    """What a layer reads, by input: the mean of x · xᵀ and of x, and the largest |x|.

    Each text weighs the same, however long it is: so it does in what is asked of the vectors.
    """

    products: NDArray[np.float64]
    mean: NDArray[np.float64]
    largest: NDArray[np.float64]

    @classmethod
    def nothing(cls, width: int) -> Seen:
        """Before the first text."""
        return cls(np.zeros((width, width)), np.zeros(width), np.zeros(width))

    def add(self, texts: Sequence[NDArray[np.float32]], share: float) -> None:
        """Of some texts more, each (tokens, inputs); `share` is a text's in all."""
        x = np.concatenate([text * np.float32(len(text) ** -0.5) for text in texts])
        self.products += (x.T @ x).astype(np.float64) * share
        self.mean += np.sum([text.mean(axis=0) for text in texts], axis=0) * share
        self.largest = np.maximum(self.largest, [np.abs(text).max(axis=0) for text in texts]).max(
            axis=0
        )

    def times(self, factor: NDArray[np.float64]) -> Seen:
        """The same of the inputs multiplied by this."""
        products = self.products * np.outer(factor, factor)
        return Seen(products, self.mean * factor, self.largest * factor)

    def ordered(self, order: NDArray[np.int64]) -> Seen:
        """The same of the inputs in another order."""
        products = self.products[np.ix_(order, order)]
        return Seen(products, self.mean[order], self.largest[order])


@dataclass(frozen=True)
class FastEncoder:
    """Its layers in whole numbers; the rest of it is in `weights`. `places` undoes their order."""

    weights: Arrays
    layers: Mapping[str, IntegerLayer]
    places: NDArray[np.int64]
    shape: Shape

    def graph(self, sentiment: Sentiment | None = None) -> bytes:
        """The file."""
        g = IntegerBuilder(self.weights, self.layers, self.places)
        return write_encoder(g, self.shape, sentiment)


def fit_fast(weights: Arrays, shape: Shape, ids: Sequence[NDArray[np.int64]]) -> FastEncoder:
    """The encoder in whole numbers, fitted on the texts with these token ids."""
    folded = without_biases(weights)
    seen = watch(folded, shape, ids)
    order = neighbours(folded, seen)
    ordered = {name: _in_order(name, values, order) for name, values in folded.items()}
    layers = dict[str, IntegerLayer]()
    for name in layer_names(weights):
        layers |= _integers_of(_parts(ordered, seen, name, order), name)
    return FastEncoder(ordered, layers, np.argsort(order), shape)


def calibration(texts: Sequence[str]) -> list[str]:
    """Texts to fit on: the first WHOLE as they are, and beginnings of all.

    Short texts are a kind of their own: their marks weigh as much as their words.
    """
    begun = [
        " ".join(text.split()[: WORDS[(number + half) % len(WORDS)]])
        for half in (0, len(WORDS) // 2)
        for number, text in enumerate(texts)
    ]
    return [*texts[:WHOLE], *begun]


def without_biases(weights: Arrays) -> Arrays:
    """The same encoder with the key's bias dropped and the value's in the attention's output.

    The softmax cancels the one; its weights add up to 1, so that the other passes through.
    """
    found = dict(weights)
    for name in layer_names(weights):
        _, key, value = (f"{name}.{part}.bias" for part in QKV)
        output = f"{name}.{OUTPUT}"
        found[f"{output}.bias"] = (
            weights[f"{output}.bias"] + weights[f"{output}.weight"] @ weights[value]
        )
        found[key], found[value] = np.zeros_like(weights[key]), np.zeros_like(weights[value])
    return found


def watch(weights: Arrays, shape: Shape, ids: Sequence[NDArray[np.int64]]) -> dict[str, Seen]:
    """What each layer reads of these texts in single precision."""
    g = _Watching(weights)
    session = open_session(write_encoder(g, shape))
    values = list(g.watched)
    seen = {value: Seen.nothing(g.watched[value]) for value in values}
    for start in range(0, len(ids), AT_ONCE):
        some = [session.run(values, {"input_ids": one}) for one in ids[start : start + AT_ONCE]]
        for value, texts in zip(values, zip(*some, strict=True), strict=True):
            seen[value].add([text[0] for text in texts], 1 / len(ids))
    return {name: seen[value] for name, value in g.inputs.items()}


def neighbours(weights: Arrays, seen: Mapping[str, Seen]) -> NDArray[np.int64]:
    """An order of the vectors' numbers in which two neighbours' weights seldom add up beyond PAIR.

    Whatever reads them then loses less to that rule.
    """
    width = len(weights["embeddings.LayerNorm.bias"])
    beyond = np.zeros((width, width), dtype=np.float32)
    for name in layer_names(weights):
        parts = _parts(weights, seen, name)
        three = [f"{name}.{part}" for part in QKV]
        for group, share in ((three, SMOOTH_QKV), ([f"{name}.{INNER}"], SMOOTH_INNER)):
            matrices = [parts[part].matrix for part in group]
            smoothing = _smoothing(parts[group[0]].seen, matrices, share)
            beyond += beyond_pair(np.concatenate(matrices, axis=1) / smoothing[:, np.newaxis])
    return _matched(beyond)


def _matched(cost: NDArray[np.float32]) -> NDArray[np.int64]:
    """Pairs one after the other: whoever costs most in all chooses first."""
    free, order = np.ones(len(cost), dtype=bool), list[int]()
    for one in np.argsort(-cost.sum(axis=1), kind="stable"):
        if free[one]:
            free[one] = False
            other = int(np.where(free, cost[one], np.inf).argmin())
            free[other] = False
            order += [int(one), other]
    return np.array(order, dtype=np.int64)


def _in_order(
    name: str, values: NDArray[np.float32], order: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Weights of this name, the vectors' numbers in another order."""
    if name.startswith("embeddings.") or "LayerNorm" in name:
        return np.ascontiguousarray(values[..., order])
    if "output.dense" in name:
        return values[order]
    return np.ascontiguousarray(values[:, order]) if name.endswith("weight") else values


def _parts(
    weights: Arrays,
    seen: Mapping[str, Seen],
    name: str,
    order: NDArray[np.int64] | None = None,
) -> dict[str, _Part]:
    """The linear layers of a layer; what they have seen is brought into `order`."""
    found = {}
    for part in (*QKV, OUTPUT, INNER, OUTER):
        whole = f"{name}.{part}"
        matrix, bias = (weights[f"{whole}.{kind}"].T.astype(np.float64) for kind in KINDS)
        own = seen[whole]
        if order is not None and part not in (OUTPUT, OUTER):
            own = own.ordered(order)
        found[whole] = _Part(matrix, bias, own)
    return found


def _integers_of(parts: dict[str, _Part], name: str) -> dict[str, IntegerLayer]:
    """A layer's linear layers as whole numbers."""
    three, value = [f"{name}.{part}" for part in QKV], f"{name}.{QKV[2]}"
    output, inner, outer = (f"{name}.{part}" for part in (OUTPUT, INNER, OUTER))
    mixed = _smoothing(parts[output].seen, [parts[output].matrix], SMOOTH_MIXED)
    both = _smoothing(parts[value].seen, [parts[part].matrix for part in three], SMOOTH_QKV)
    wide = _smoothing(parts[inner].seen, [parts[inner].matrix], SMOOTH_INNER)
    parts[value] = parts[value].giving(mixed)
    given = {**dict.fromkeys(three, both), inner: wide}
    found = {part: _layer(parts[part].reading(factor), factor) for part, factor in given.items()}
    found[output] = _layer(parts[output].reading(mixed))
    found[outer] = replace(_layer(parts[outer]), by_row=True)
    return found


@dataclass(frozen=True)
class _Part:
    """A linear layer on its way: (inputs, outputs), and what it reads."""

    matrix: NDArray[np.float64]
    bias: NDArray[np.float64]
    seen: Seen

    def reading(self, factor: NDArray[np.float64]) -> _Part:
        """The same layer for inputs that are multiplied by this."""
        return _Part(self.matrix / factor[:, np.newaxis], self.bias, self.seen.times(factor))

    def giving(self, factor: NDArray[np.float64]) -> _Part:
        """Its outputs multiplied by this."""
        return _Part(self.matrix * factor, self.bias * factor, self.seen)


def _layer(part: _Part, smoothing: NDArray[np.float64] | None = None) -> IntegerLayer:
    values, scale = gptq(part.matrix, part.seen.products)
    # What rounding takes from the mean of the outputs comes back in the bias.
    lost = (part.matrix - values * scale.astype(np.float64)).T @ part.seen.mean
    bias = (part.bias + lost).astype(np.float32)
    return IntegerLayer(
        values, scale, bias, None if smoothing is None else smoothing.astype(np.float32)
    )


def _smoothing(
    seen: Seen, matrices: Sequence[NDArray[np.float64]], share: float
) -> NDArray[np.float64]:
    """What each input is multiplied by."""
    weights = np.max([np.abs(matrix).max(axis=1) for matrix in matrices], axis=0)
    uneven = np.maximum(seen.largest, 1e-5) ** share / np.maximum(weights, 1e-5) ** (1 - share)
    return np.asarray(1 / uneven).astype(np.float32).astype(np.float64)
