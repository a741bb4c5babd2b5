"""Encoders of one's own: kinds of tokenizers, poolings, masks, with and without token types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

from cva_sql.cli.demo.sample_shop import sample_reviews
from cva_sql.models_onnx.encoder.own import export_own
from cva_sql.udfs.encoder import Encoder
from cva_sql.udfs.errors import CvaError

MARKS = ["<pad>", "<unk>", "<s>", "</s>"]
SMALL: dict[str, Any] = {
    "vocab_size": 400,
    "hidden_size": 384,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "intermediate_size": 64,
    "max_position_embeddings": 300,
    "pad_token_id": 0,
}


def write_tokenizer(folder: Path, kind: str, texts: list[str]) -> None:
    if kind == "WordPiece":
        model, trainer = models.WordPiece(unk_token="<unk>"), trainers.WordPieceTrainer
    elif kind == "BPE":
        model, trainer = models.BPE(unk_token="<unk>"), trainers.BpeTrainer
    else:
        model, trainer = models.Unigram(), trainers.UnigramTrainer
    tokenizer = Tokenizer(model)
    split = pre_tokenizers.Metaspace() if kind == "Unigram" else pre_tokenizers.Whitespace()
    tokenizer.pre_tokenizer = split
    more = {"unk_token": "<unk>"} if kind == "Unigram" else {}
    tokenizer.train_from_iterator(
        texts, trainer(vocab_size=400, special_tokens=MARKS, show_progress=False, **more)
    )
    marks = [("<s>", 2), ("</s>", 3)]
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", None, marks)
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.mark.parametrize(
    ("kind", "pooling", "model", "given"),
    [
        ("WordPiece", "pooling_mode_cls_token", BertModel, {}),
        ("BPE", "pooling_mode_mean_tokens", RobertaModel, {"type_vocab_size": 1}),
        ("Unigram", "pooling_mode_lasttoken", BertModel, {"is_decoder": True}),
    ],
)
def test_it_reads_as_torch_does(
    tmp_path: Path, kind: str, pooling: str, model: Any, given: dict[str, Any]
) -> None:
    texts = sample_reviews(30)
    write_tokenizer(tmp_path, kind, texts)
    config = (RobertaConfig if model is RobertaModel else BertConfig)(**SMALL, **given)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model(config, add_pooling_layer=False).save_pretrained(tmp_path)
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({pooling: True}))
    exported = export_own(tmp_path, texts, lambda line: None)
    assert exported.manifest.parity["single_precision_to_torch_largest_difference"] <= 1e-4
    assert exported.manifest.pooling.split(",")[0] in pooling.replace("lasttoken", "last")
    files = [exported.files[name] for name in ("model.onnx", "tokenizer.json")]
    reading = Encoder(exported.manifest, *files).read(texts[0])
    assert reading.embedding is not None
    assert np.linalg.norm(reading.embedding) == pytest.approx(1, abs=1e-5)


def test_a_folder_without_a_model_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CvaError, match=r"cannot be read .*expected a folder with config\.json"):
        export_own(tmp_path, ["good"], lambda line: None)
