"""Makes the text encoder anew and says how near it is to the original."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path

PARITY_TEXTS, ENGINE_TEXTS = 300, 30  # the multilingual package reads few texts a second
ENCODER = "encoder"  # what it is called beside the kinds


class Tier(StrEnum):
    """Which encoder: the packaged one, or the one that reads many languages."""

    english = "english"
    multilingual = "multilingual"


def export_encoder(out: Path, tier: Tier, as_json: bool) -> None:
    from cva_sql.cli.demo.sample_shop import sample_reviews
    from cva_sql.cli.export_model.writing import write_export
    from cva_sql.cli.shop.progress import say, step

    if tier is Tier.multilingual:
        from cva_sql.models_onnx.encoder.export_multilingual import export_multilingual as export

        texts = sample_reviews(ENGINE_TEXTS)
    else:
        from cva_sql.models_onnx.encoder.export import export_encoder as export

        texts = sample_reviews(PARITY_TEXTS)
    with step("exporting the encoder"):
        exported = export(texts, lambda text: say(f"  {text}"))
    write_export(out, exported.files)
    manifest = exported.manifest
    if as_json:
        print(json.dumps({"out": str(out), "key": manifest.key, **json.loads(manifest.to_json())}))
        return
    size = sum(len(data) for data in exported.files.values()) / 1e6
    print(f"encoder {manifest.key} ({size:.1f} MB) written to {out}")
    for name, value in manifest.parity.items():
        print(f"  {name}: {value:.6g}")
