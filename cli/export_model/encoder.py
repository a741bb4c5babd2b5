"""Makes the text encoder anew and says how near it is to the original."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.udfs.windows import CUT, WINDOWS

if TYPE_CHECKING:
    from cva_sql.models_onnx.encoder.export import ExportedEncoder

PARITY_TEXTS, ENGINE_TEXTS = 300, 30  # the multilingual package reads few texts a second
ENCODER = "encoder"  # what it is called beside the kinds


class Tier(StrEnum):
    """Which encoder: the packaged one, or the one that reads many languages."""

    english = "english"
    multilingual = "multilingual"


class LongTexts(StrEnum):
    """What becomes of a text that is longer than the encoder reads at once."""

    cut = CUT
    windows = WINDOWS


def export_encoder(
    out: Path, tier: Tier | None, long_texts: LongTexts | None, as_json: bool
) -> None:
    """Writes the encoder of a tier, or where none is asked for the packaged file read otherwise."""
    from cva_sql.cli.export_model.writing import write_export

    exported = _packaged() if tier is None and long_texts else _made(tier or Tier.english)
    if long_texts:
        exported = exported.reading(long_texts.value)
    write_export(out, exported.files)
    manifest = exported.manifest
    if as_json:
        print(json.dumps({"out": str(out), "key": manifest.key, **json.loads(manifest.to_json())}))
        return
    size = sum(len(data) for data in exported.files.values()) / 1e6
    print(f"encoder {manifest.key} ({size:.1f} MB) written to {out}")
    for name, value in manifest.parity.items():
        print(f"  {name}: {value:.6g}")


def _packaged() -> ExportedEncoder:
    """The files that cva comes with, as an export would be."""
    from cva_sql.models_onnx.encoder.export import ExportedEncoder
    from cva_sql.udfs.encoder import (
        MODEL_FILE,
        TOKENIZER_FILE,
        packaged_folder,
        packaged_manifest,
    )

    model, tokenizer = (packaged_folder() / name for name in (MODEL_FILE, TOKENIZER_FILE))
    return ExportedEncoder.of(model.read_bytes(), tokenizer.read_bytes(), packaged_manifest())


def _made(tier: Tier) -> ExportedEncoder:
    """A tier made anew from its weights, and checked."""
    from cva_sql.cli.demo.sample_shop import sample_reviews
    from cva_sql.cli.shop.progress import say, step

    if tier is Tier.multilingual:
        from cva_sql.models_onnx.encoder.export_multilingual import export_multilingual as export

        texts = sample_reviews(ENGINE_TEXTS)
    else:
        from cva_sql.models_onnx.encoder.export import export_encoder as export

        texts = sample_reviews(PARITY_TEXTS)
    with step("exporting the encoder"):
        return export(texts, lambda text: say(f"  {text}"))
