"""A taught encoder in the product's own form, through the checks of the packaged one.

torch in eval mode → optimum's export (where all that was learned is merged into the weights) → the
compact graph in single precision → the same with weights in int8. The sentiment's direction is
fitted anew by the same sentences, and its scale is such that they lie where they did.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.encoder.export import (
    MAX_TOKENS,
    MIN_COSINE,
    STORED_INT8,
    ExportedEncoder,
    Vectors,
    build_manifest,
    check_parity,
    cosines,
    optimum_vectors,
    rounded,
    tokenize,
    tokenizer_json,
    vectors,
    vectors_of,
)
from cva_sql.models_onnx.encoder.finetune.methods import merged, weights_of
from cva_sql.models_onnx.encoder.finetune.recipe import ADAPTER, Recipe
from cva_sql.models_onnx.encoder.graph import Sentiment, Shape, build_encoder
from cva_sql.models_onnx.encoder.sentiment import COMPLAINT, PRAISE, fit_sentiment, sentences
from cva_sql.models_onnx.encoder.weights import ORIGIN, Source
from cva_sql.udfs.encoder import EncoderManifest
from cva_sql.udfs.errors import CvaError

WEIGHTS_FILE, CONFIG_FILE = "model.safetensors", "config.json"
RESULT_FILE = "finetune.json"  # beside the manifest: how it was taught, and what it was judged by


def export_tuned(
    source: Source,
    model: Any,
    recipe: Recipe,
    trained_before: str,
    texts: Sequence[str],
    report: Callable[[str], None],
) -> ExportedEncoder:
    """Merges what was learned, builds the graph and checks it on `texts`.

    Raises CvaError where a check fails.
    """
    tokenizer = tokenizer_json(source.folder)
    ids = tokenize(tokenizer, texts)
    plain = merged(model, recipe).cpu()
    weights = weights_of(plain)
    report(f"reading {len(ids)} texts with torch")
    expected = vectors_of(plain, ids)
    heads = json.loads((source.folder / CONFIG_FILE).read_text(encoding="utf-8"))[
        "num_attention_heads"
    ]
    parity = dict[str, float]()
    if recipe.method != ADAPTER:  # optimum knows no bottlenecks
        report("exporting with optimum")
        parity |= _by_optimum(source, plain, ids, expected)
    report("building the compact graph")
    single = vectors(_graph(weights, heads, is_quantised=False), ids)
    parity["single_precision_to_torch_largest_difference"] = float(np.abs(single - expected).max())
    sentiment = _sentiment(source.weights, weights, heads, tokenizer)
    graph = _graph(weights, heads, is_quantised=True, sentiment=sentiment)
    parity = rounded(parity | cosines("quantised_to_torch", vectors(graph, ids), expected))
    _check(parity)
    manifest = _manifest(source, recipe, trained_before, graph, tokenizer, parity)
    return ExportedEncoder.of(graph, tokenizer, manifest)


def _by_optimum(
    source: Source, model: Any, ids: Sequence[NDArray[np.int64]], expected: Vectors
) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        model.save_pretrained(str(folder))
        for file in source.folder.glob("*token*"):
            if file.is_file():
                shutil.copy(file, folder / file.name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tracing; what comes out is compared
            exported, int8 = optimum_vectors(folder, ids)
    cosine = np.sum(int8.astype(np.float64) * expected, axis=1)
    return {
        "optimum_to_torch_largest_difference": float(np.abs(exported - expected).max()),
        "optimum_int8_per_channel_to_torch_mean_cosine": float(cosine.mean()),
    }


def _graph(
    weights: Mapping[str, NDArray[np.float32]],
    heads: int,
    *,
    is_quantised: bool,
    sentiment: Sentiment | None = None,
) -> bytes:
    return build_encoder(
        dict(weights),
        Shape(heads, MAX_TOKENS),
        is_quantised=is_quantised,
        sentiment=sentiment,
    )


def _sentiment(
    before: Mapping[str, NDArray[np.float32]],
    after: Mapping[str, NDArray[np.float32]],
    heads: int,
    tokenizer: bytes,
) -> Sentiment:
    """The direction in the new vectors; praise and complaint keep their mean place along it."""
    ids = [tokenize(tokenizer, sentences(phrases)) for phrases in (PRAISE, COMPLAINT)]
    fitted, places = list[Sentiment](), list[tuple[float, float]]()
    for weights in (before, after):
        graph = _graph(weights, heads, is_quantised=True)
        praise, complaint = (vectors(graph, one) for one in ids)
        one = fit_sentiment(praise, complaint)
        fitted.append(one)
        high, low = (float((side @ one.direction).mean()) for side in (praise, complaint))
        places.append((high, low))
    (old, new), ((high, low), (above, below)) = fitted, places
    if not above > below:
        raise CvaError(
            "the taught encoder tells no praise from complaint, so it is not kept; learn more "
            "slowly, or fewer steps"
        )
    sharpness = old.sharpness * (high - low) / (above - below)
    neutral = above - (high - old.neutral) * old.sharpness / sharpness
    return Sentiment(new.direction, neutral, sharpness)


def _check(parity: Mapping[str, float]) -> None:
    """As the packaged encoder is checked; raises CvaError.

    Where optimum could not export it, that part of the checks has nothing to say.
    """
    unasked = {
        "optimum_to_torch_largest_difference": 0.0,
        "optimum_int8_per_channel_to_torch_mean_cosine": MIN_COSINE,
    }
    check_parity({**unasked, **parity})


def _manifest(
    source: Source,
    recipe: Recipe,
    trained_before: str,
    graph: bytes,
    tokenizer: bytes,
    parity: dict[str, float],
) -> EncoderManifest:
    learned = " and ".join(recipe.objectives)
    file = (source.folder / WEIGHTS_FILE).read_bytes()
    origin = replace(
        ORIGIN,
        source=f"{ORIGIN.source}, taught by {recipe.method} on {learned}",
        sha256=hashlib.sha256(file).hexdigest(),
    )
    built = build_manifest(origin, graph, tokenizer, parity, quantisation=STORED_INT8)
    return replace(built, trained_before=trained_before)
