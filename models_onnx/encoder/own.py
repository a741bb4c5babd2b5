"""A BERT-like encoder of the user's own, from a folder as transformers writes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.encoder.export import (
    MAX_TOKENS,
    MIN_COSINE,
    SINGLE_PRECISION_TOLERANCE,
    STORED_INT8,
    ExportedEncoder,
    build_manifest,
    check_bounds,
    cosines,
    english_sentiment,
    rounded,
    tokenize,
    tokenizer_json,
    torch_vectors,
    vectors,
)
from cva_sql.models_onnx.encoder.graph import CLS, LAST, MEAN, Shape, build_encoder
from cva_sql.models_onnx.encoder.weights import INSTALL, Origin
from cva_sql.udfs.errors import CvaError
from cva_sql.udfs.projection import DIMENSION

WEIGHTS_FILE, CONFIG_FILE = "model.safetensors", "config.json"
POOLING_FILE = Path("1_Pooling") / CONFIG_FILE  # of sentence-transformers
POOLING_MODES = {"pooling_mode_cls_token": CLS, "pooling_mode_lasttoken": LAST}
AFTER_PADDING = ("roberta", "xlm-roberta", "camembert")  # their places begin after the padding's
KNOWN = ("bert", *AFTER_PADDING)
TYPES, PLACES = (f"embeddings.{name}_embeddings.weight" for name in ("token_type", "position"))


@dataclass(frozen=True)
class OwnModel:
    """What a folder holds, by the names and in the shape that the graph takes."""

    weights: dict[str, NDArray[np.float32]]
    shape: Shape
    tokenizer: bytes
    sha256: str


def export_own(
    folder: Path, texts: Sequence[str], report: Callable[[str], None]
) -> ExportedEncoder:
    """Builds the encoder and holds it against torch on `texts`.

    Raises CvaError where the folder is none that can be exported, or a check fails.
    """
    source = read_own(folder)
    ids = tokenize(source.tokenizer, texts)
    report(f"reading {len(ids)} texts with torch")
    expected = torch_vectors(folder, ids, source.shape.pooling)
    report("building the compact graph")
    single = vectors(build_encoder(source.weights, source.shape, is_quantised=False), ids)
    quantised = build_encoder(source.weights, source.shape, is_quantised=True)
    sentiment = english_sentiment(quantised, source.tokenizer)
    model = build_encoder(source.weights, source.shape, is_quantised=True, sentiment=sentiment)
    parity = {
        "texts": float(len(ids)),
        "single_precision_to_torch_largest_difference": float(np.abs(single - expected).max()),
        **cosines("quantised_to_torch", vectors(model, ids), expected),
    }
    bounds = [
        ("single_precision_to_torch_largest_difference", SINGLE_PRECISION_TOLERANCE, -1),
        ("quantised_to_torch_mean_cosine", MIN_COSINE, 1),
    ]
    check_bounds(parity, bounds, INSTALL)
    manifest = build_manifest(
        Origin(folder.resolve().name, source.sha256, "", ""),
        model,
        source.tokenizer,
        rounded(parity),
        quantisation=STORED_INT8,
        pooling=f"{source.shape.pooling}, length 1",
    )
    return ExportedEncoder.of(model, source.tokenizer, manifest)


def read_own(folder: Path) -> OwnModel:
    """The model of a folder; raises CvaError for one that the graph has no place for."""
    try:
        from safetensors.numpy import load_file
    except ImportError as error:
        raise CvaError(f"`{error.name}` is missing; install with: {INSTALL}") from None
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        loaded = load_file(folder / WEIGHTS_FILE)
        tokenizer = tokenizer_json(folder)
        digest = hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
    except Exception as error:  # noqa: BLE001 - each library raises its own
        reason = " ".join(str(error).split())
        raise CvaError(
            f"--from {folder} cannot be read ({reason}); expected a folder with {CONFIG_FILE}, "
            f"{WEIGHTS_FILE} and tokenizer.json"
        ) from None
    _check(config, tokenizer)
    weights = _named(loaded)
    width = int(config["hidden_size"])
    weights.setdefault(TYPES, np.zeros((1, width), dtype=np.float32))
    if config["model_type"] in AFTER_PADDING:
        weights[PLACES] = weights[PLACES][int(config["pad_token_id"]) + 1 :]
    if len(weights[PLACES]) < MAX_TOKENS:
        raise CvaError(f"{len(weights[PLACES])} places; expected {MAX_TOKENS} or more")
    shape = Shape(
        int(config["num_attention_heads"]),
        MAX_TOKENS,
        _pooling(folder),
        bool(config.get("is_decoder", False)),
        float(config["layer_norm_eps"]),
    )
    return OwnModel(weights, shape, tokenizer, digest)


def _check(config: dict[str, Any], tokenizer: bytes) -> None:
    from tokenizers import Tokenizer

    expected = {
        "hidden_size": (DIMENSION,),
        "model_type": KNOWN,
        "hidden_act": ("gelu",),
        "position_embedding_type": ("absolute", None),
    }
    for name, known in expected.items():
        if config.get(name) not in known:
            words = " or ".join(str(one) for one in known if one is not None)
            raise CvaError(f"{name} is {config.get(name)!r}; expected {words}")
    if Tokenizer.from_buffer(tokenizer).num_special_tokens_to_add(False) < 1:
        raise CvaError("the tokenizer adds no closing mark to a text; expected one at least")


def _named(loaded: dict[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """Weights by their names without the model's own before them, what pools left out."""
    found = {}
    for name, values in loaded.items():
        for part in ("embeddings.", "encoder.layer."):
            if part in name and name.split(part)[0].count(".") <= 1:
                found[part + name.split(part, 1)[1]] = np.asarray(values, dtype=np.float32)
                break
    return found


def _pooling(folder: Path) -> str:
    """What sentence-transformers would do; the mean where it says nothing."""
    file = folder / POOLING_FILE
    if not file.is_file():
        return MEAN
    said = json.loads(file.read_text(encoding="utf-8"))
    return next((pooling for mode, pooling in POOLING_MODES.items() if said.get(mode)), MEAN)
