"""The fast tier: whole numbers that no CPU overflows on, near the exact vectors."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from cva_sql.cli.demo.sample_shop import sample_reviews
from cva_sql.models_onnx.encoder.export import vectors
from cva_sql.models_onnx.encoder.fast import calibration, fit_fast
from cva_sql.models_onnx.encoder.gptq import LARGEST, PAIR, gptq, widest_pair
from cva_sql.models_onnx.encoder.graph import Shape, build_encoder
from cva_sql.udfs.encoder import load_encoder, read_encoder_manifest
from cva_sql.udfs.encoder_tiers import EXACT, FAST, packaged_folder

SHAPE = Shape(heads=4, max_tokens=32)


def random_weights(
    words: int, width: int, inner: int, layers: int, places: int
) -> dict[str, NDArray[np.float32]]:
    """A small BERT that was taught nothing, always the same."""
    rng = np.random.default_rng(0)
    norm = {"weight": np.ones(width), "bias": np.zeros(width)}
    found = {f"embeddings.LayerNorm.{kind}": value for kind, value in norm.items()}
    for name, rows in (("word", words), ("position", places), ("token_type", 2)):
        found[f"embeddings.{name}_embeddings.weight"] = rng.normal(size=(rows, width))
    shapes = {
        **{f"attention.self.{part}": (width, width) for part in ("query", "key", "value")},
        "attention.output.dense": (width, width),
        "intermediate.dense": (inner, width),
        "output.dense": (width, inner),
    }
    for layer in range(layers):
        for name, shape in shapes.items():
            own = f"encoder.layer.{layer}.{name}"
            found[f"{own}.weight"] = rng.normal(size=shape) / shape[1] ** 0.5
            found[f"{own}.bias"] = 0.1 * rng.normal(size=shape[0])
        for name in ("attention.output", "output"):
            for kind, value in norm.items():
                found[f"encoder.layer.{layer}.{name}.LayerNorm.{kind}"] = value
    return {name: value.astype(np.float32) for name, value in found.items()}


def test_rounding_by_gptq_loses_less_than_rounding_each_weight() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 8)) @ rng.normal(size=(8, 64)) + 0.1 * rng.normal(size=(400, 64))
    weight = rng.normal(size=(64, 16))
    values, scale = gptq(weight, x.T @ x / len(x))
    step = np.abs(weight).max(axis=0) / LARGEST
    plain = np.rint(weight / step) * step
    lost, lost_plain = (np.square(x @ (w - weight)).sum() for w in (values * scale, plain))
    assert lost < 0.5 * lost_plain
    assert widest_pair(values) <= PAIR


def test_a_fitted_encoder_is_near_the_one_in_single_precision() -> None:
    weights = random_weights(words=60, width=32, inner=64, layers=2, places=32)
    rng = np.random.default_rng(1)
    ids = [rng.integers(0, 60, size=(1, length)) for length in rng.integers(2, 30, size=80)]
    fast = vectors(fit_fast(weights, SHAPE, ids[:60]).graph(), ids[60:])
    exact = vectors(build_encoder(weights, SHAPE, is_quantised=False), ids[60:])
    assert np.sum(fast * exact, axis=1).min() >= 0.999


def test_no_product_of_the_packaged_file_can_overflow_on_avx2() -> None:
    """There two products of a byte and a weight are added in 16 bits: 255 · 128 fits, more not."""
    graph = onnx.load(packaged_folder(FAST) / "model.onnx").graph
    values = {one.name: one for one in graph.initializer}
    weights = [
        numpy_helper.to_array(values[node.input[1]])
        for node in graph.node
        if node.op_type == "MatMulIntegerToFloat"
    ]
    assert len(weights) == 36
    assert max(widest_pair(weight) for weight in weights) <= PAIR


def test_texts_to_fit_on_are_short_ones_too() -> None:
    texts = sample_reviews(20)
    found = calibration(texts)
    assert found[:20] == texts
    assert len(found) == 60
    assert {len(text.split()) for text in found[20:]} >= {2, 3, 4}


def test_the_packaged_tiers_agree() -> None:
    folders = [packaged_folder(tier) for tier in (EXACT, FAST)]
    exact, fast = (load_encoder(one, read_encoder_manifest(one).key) for one in folders)
    assert exact.manifest.key != fast.manifest.key
    assert exact.manifest.key == "49005f1583816dcc"  # vectors that shops have stored stay valid
    texts = sample_reviews(40)
    together = fast.read_all(texts[::-1])[::-1]
    fresh = load_encoder.__wrapped__(folders[1], fast.manifest.key)
    near = []
    for text, found in zip(texts, together, strict=True):
        alone, other = fresh.read(text), exact.read(text)
        assert alone.embedding is not None
        assert found.embedding is not None
        assert other.embedding is not None
        assert np.array_equal(alone.embedding, found.embedding)
        near.append(float(alone.embedding @ other.embedding))
        assert alone.sentiment == pytest.approx(other.sentiment, abs=0.1)
    assert np.mean(near) >= 0.998
    assert min(near) >= 0.985  # a word alone
