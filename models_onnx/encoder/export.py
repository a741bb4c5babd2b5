"""From the official weights to the packaged encoder, with every step checked against the last.

torch → optimum's ONNX export → the compact graph in single precision → the same with weights in
int8. Single precision has to agree within SINGLE_PRECISION_TOLERANCE; the quantised file has to
keep at least the mean cosine that optimum's own int8 export per channel keeps.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.encoder.builder import OPSET
from cva_sql.models_onnx.encoder.fast import calibration, fit_fast
from cva_sql.models_onnx.encoder.graph import CLS, MEAN, Sentiment, Shape, build_encoder
from cva_sql.models_onnx.encoder.sentiment import COMPLAINT, PRAISE, fit_sentiment, sentences
from cva_sql.models_onnx.encoder.weights import INSTALL, ORIGIN, Origin, load_source
from cva_sql.udfs.encoder import (
    MANIFEST_FILE,
    MODEL_FILE,
    TOKENIZER_FILE,
    EncoderManifest,
)
from cva_sql.udfs.errors import CvaError
from cva_sql.udfs.projection import DIMENSION
from cva_sql.udfs.sessions import open_session

MAX_TOKENS = 256  # 128 would save a sixth of the time and ruin the texts it cuts
SINGLE_PRECISION_TOLERANCE = 1e-4
MIN_COSINE = 0.99
STORED_INT8 = "int8 weights (linear by output, embedding by row), float32 computing"

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class ExportedEncoder:
    """The files of the folder by name, and the manifest among them."""

    files: dict[str, bytes]
    manifest: EncoderManifest

    @classmethod
    def of(cls, model: bytes, tokenizer: bytes, manifest: EncoderManifest) -> ExportedEncoder:
        """The folder of a model, its tokenizer and the manifest of both."""
        text = manifest.to_json().encode()
        return cls({MODEL_FILE: model, TOKENIZER_FILE: tokenizer, MANIFEST_FILE: text}, manifest)

    def reading(self, long_texts: str) -> ExportedEncoder:
        """The same, with long texts `cut` or read in `windows`."""
        manifest = replace(self.manifest, long_texts=long_texts)
        return self.of(self.files[MODEL_FILE], self.files[TOKENIZER_FILE], manifest)


def export_encoder(
    texts: Sequence[str], report: Callable[[str], None], fitted_on: Sequence[str] | None = None
) -> ExportedEncoder:
    """Builds and checks the encoder; `texts` are what parity is measured on.

    With `fitted_on` the one that computes in whole numbers, fitted on those texts. Raises CvaError
    where the extra is missing or a check fails.
    """
    source = load_source()
    config = json.loads((source.folder / "config.json").read_text(encoding="utf-8"))
    shape = Shape(config["num_attention_heads"], MAX_TOKENS)
    tokenizer = tokenizer_json(source.folder)
    ids = tokenize(tokenizer, texts)
    report(f"reading {len(ids)} texts with torch")
    expected = torch_vectors(source.folder, ids)
    report("exporting with optimum")
    exported, int8_of_optimum = optimum_vectors(source.folder, ids)
    report("building the compact graph")
    single = vectors(build_encoder(source.weights, shape, is_quantised=False), ids)
    graph: Callable[..., bytes]
    if fitted_on is None:
        quantisation = STORED_INT8
        graph = partial(build_encoder, source.weights, shape, is_quantised=True)
    else:
        quantisation = "int8 weights, uint8 inputs (by text; second feed-forward by token)"
        learned = calibration(fitted_on)
        report(f"fitting whole numbers on {len(learned):,} texts and beginnings of texts")
        graph = fit_fast(source.weights, shape, tokenize(tokenizer, learned)).graph
    model = graph(sentiment=english_sentiment(graph(), tokenizer))
    parity = {
        "texts": len(ids),
        "optimum_to_torch_largest_difference": _difference(exported, expected),
        "single_precision_to_torch_largest_difference": _difference(single, expected),
        **cosines("quantised_to_torch", vectors(model, ids), expected),
        "optimum_int8_per_channel_to_torch_mean_cosine": _cosine(int8_of_optimum, expected).mean(),
    }
    parity = rounded(parity)
    check_parity(parity)
    manifest = build_manifest(ORIGIN, model, tokenizer, parity, quantisation=quantisation)
    return ExportedEncoder.of(model, tokenizer, manifest)


def english_sentiment(model: bytes, tokenizer: bytes) -> Sentiment:
    """What sentiment is along, in the vectors that a file gives, by the English sentences."""
    praise, complaint = (
        vectors(model, tokenize(tokenizer, sentences(phrases))) for phrases in (PRAISE, COMPLAINT)
    )
    return fit_sentiment(praise, complaint)


def rounded(parity: Mapping[str, float]) -> dict[str, float]:
    """The figures as a manifest keeps them."""
    return {name: round(float(value), 9) for name, value in parity.items()}


def check_parity(parity: dict[str, float]) -> None:
    """Raises CvaError that names the first figure out of bounds."""
    bounds = [
        ("optimum_to_torch_largest_difference", SINGLE_PRECISION_TOLERANCE, -1),
        ("single_precision_to_torch_largest_difference", SINGLE_PRECISION_TOLERANCE, -1),
        ("quantised_to_torch_mean_cosine", MIN_COSINE, 1),
        (
            "quantised_to_torch_mean_cosine",
            parity["optimum_int8_per_channel_to_torch_mean_cosine"],
            1,
        ),
    ]
    check_bounds(parity, bounds, INSTALL)


def check_bounds(
    parity: Mapping[str, float], bounds: Sequence[tuple[str, float, int]], install: str
) -> None:
    """Raises CvaError at the first figure below its bound (sign 1) or above it (sign -1)."""
    for name, bound, sign in bounds:
        if not sign * parity[name] >= sign * bound:
            word = "at least" if sign > 0 else "at most"
            raise CvaError(
                f"{name} is {parity[name]:.6g}; expected {word} {bound:.6g}, so the encoder is not "
                f"written. Were other versions installed? Try: {install}"
            )


def tokenizer_json(folder: Path) -> bytes:
    """The tokenizer's file, cutting at MAX_TOKENS and without padding (the package's does both)."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    tokenizer.no_padding()
    tokenizer.no_truncation()  # `cva_text_status` counts the tokens of the whole text
    return str(tokenizer.to_str(pretty=False)).encode()


def tokenize(tokenizer: bytes, texts: Sequence[str]) -> list[NDArray[np.int64]]:
    """Token ids of each text, (1, tokens), cut at MAX_TOKENS."""
    from tokenizers import Tokenizer

    loaded = Tokenizer.from_buffer(tokenizer)
    loaded.enable_truncation(MAX_TOKENS)
    return [np.array([loaded.encode(text).ids], dtype=np.int64) for text in texts]


def vectors(model: bytes, ids: Sequence[NDArray[np.int64]]) -> Vectors:
    """The vectors of the compact graph, one text a call."""
    session = open_session(model)
    return np.concatenate([session.run(["embedding"], {"input_ids": one})[0] for one in ids])


def torch_vectors(folder: Path, ids: Sequence[NDArray[np.int64]], pooling: str = MEAN) -> Vectors:
    """What transformers makes of the weights in a folder."""
    os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
    try:
        import torch  # noqa: F401 - transformers alone would not say in one line what is missing
        from transformers import AutoModel
    except ImportError as error:
        raise CvaError(f"`{error.name}` is missing; install with: {INSTALL}") from None
    return vectors_of(AutoModel.from_pretrained(str(folder)).eval(), ids, pooling)


def vectors_of(model: Any, ids: Sequence[NDArray[np.int64]], pooling: str = MEAN) -> Vectors:
    """What a model of torch makes of texts, one a call; it has to be in eval mode."""
    import torch

    found = []
    with torch.no_grad():
        for one in ids:
            hidden = model(input_ids=torch.from_numpy(one)).last_hidden_state
            found.append(pooled(hidden.numpy(), pooling))
    return np.concatenate(found)


def optimum_vectors(folder: Path, ids: Sequence[NDArray[np.int64]]) -> tuple[Vectors, Vectors]:
    """The vectors of optimum's export in single precision, and of its int8 export per channel."""
    try:
        from optimum.onnxruntime import ORTModelForFeatureExtraction, ORTQuantizer
        from optimum.onnxruntime.configuration import AutoQuantizationConfig
    except ImportError as error:
        raise CvaError(f"`{error.name}` is missing; install with: {INSTALL}") from None
    with tempfile.TemporaryDirectory() as work:
        model = ORTModelForFeatureExtraction.from_pretrained(str(folder), export=True)
        model.save_pretrained(work)
        single = _token_vectors(Path(work) / MODEL_FILE, ids)
        settings = AutoQuantizationConfig.avx2(is_static=False, per_channel=True)
        ORTQuantizer.from_pretrained(work).quantize(save_dir=work, quantization_config=settings)
        return single, _token_vectors(Path(work) / "model_quantized.onnx", ids)


def _token_vectors(file: Path, ids: Sequence[NDArray[np.int64]]) -> Vectors:
    session = open_session(file.read_bytes())
    names = list(session.inputs())
    found = []
    for one in ids:
        values = {"input_ids": one, "attention_mask": np.ones_like(one)}
        values["token_type_ids"] = np.zeros_like(one)
        hidden = session.run(None, {name: values[name] for name in names})[0]
        found.append(pooled(hidden))
    return np.concatenate(found)


def pooled(hidden: NDArray[np.float32], pooling: str = MEAN) -> Vectors:
    """(1, tokens, width) -> (1, width): the tokens' mean, the first or the last, of length 1."""
    one = hidden.mean(axis=1) if pooling == MEAN else hidden[:, 0 if pooling == CLS else -1]
    return np.asarray(one / np.linalg.norm(one, axis=1, keepdims=True), dtype=np.float32)


def _difference(left: Vectors, right: Vectors) -> float:
    return float(np.abs(left - right).max())


def _cosine(left: Vectors, right: Vectors) -> NDArray[np.float64]:
    return np.asarray(np.sum(left.astype(np.float64) * right.astype(np.float64), axis=1))


def cosines(name: str, left: Vectors, right: Vectors) -> dict[str, float]:
    """Mean, first percentile and worst cosine of vectors of the same texts, by figure."""
    cosine = _cosine(left, right)
    return {
        f"{name}_mean_cosine": float(cosine.mean()),
        f"{name}_p1_cosine": float(np.quantile(cosine, 0.01)),
        f"{name}_worst_cosine": float(cosine.min()),
    }


def build_manifest(
    origin: Origin,
    model: bytes,
    tokenizer: bytes,
    parity: dict[str, float],
    *,
    quantisation: str,
    scripts: tuple[str, ...] = ("Latin",),
    pooling: str = "mean, length 1",
) -> EncoderManifest:
    """What is frozen with a file whose vectors have length 1."""
    return EncoderManifest(
        name="encoder",
        sha256=hashlib.sha256(model).hexdigest(),
        tokenizer_sha256=hashlib.sha256(tokenizer).hexdigest(),
        source=origin.source,
        source_sha256=origin.sha256,
        package=origin.package,
        licence=origin.licence,
        dimension=DIMENSION,
        max_tokens=MAX_TOKENS,
        pooling=pooling,
        opset=OPSET,
        quantisation=quantisation,
        scripts=scripts,
        parity=parity,
    )
