"""`cva export-model`: the model file and its manifest, to run elsewhere."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cva_sql.cli.options import DEFAULT_DB, Db, Json, ModelsDir

PARITY_TEXTS = 300


class Exported(StrEnum):
    """What can be exported."""

    VALUE = "value"
    ENCODER = "encoder"


def export_model(
    which: Annotated[Exported, typer.Argument(help="Which model.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write to.")],
    db: Db = DEFAULT_DB,
    models_dir: ModelsDir = None,
    as_json: Json = False,
) -> None:
    """Write a model and its manifest into a folder.

    value: the deployed model. model.onnx takes the manifest's features by name, one column each,
    and runs in any onnxruntime; without a trained model it is the packaged rule. encoder: the text
    encoder, made anew from the official weights and checked against torch; needs the extra
    `encoder`. In the shop's cva_models/encoder it takes the packaged one's place.
    """
    if which is Exported.ENCODER:
        _export_encoder(out, as_json)
        return
    from cva_sql.cli.deploy import copy_model
    from cva_sql.udfs.sessions import deployed_folder, load_model

    folder = deployed_folder(models_dir or db.parent / "cva_models")
    manifest = load_model(folder).manifest
    copy_model(folder, out)
    if as_json:
        print(json.dumps({"out": str(out), "version": manifest.version, "sha256": manifest.sha256}))
        return
    print(
        f"{which.value} model {manifest.version} ({len(manifest.features)} inputs) written to {out}"
    )


def _export_encoder(out: Path, as_json: bool) -> None:
    from cva_sql.cli.demo.shop import sample_reviews
    from cva_sql.cli.deploy import write_files
    from cva_sql.cli.progress import say, step
    from cva_sql.models_onnx.encoder.export import export_encoder

    with step("exporting the encoder"):
        exported = export_encoder(sample_reviews(PARITY_TEXTS), lambda text: say(f"  {text}"))
    write_files(out, exported.files)
    manifest = exported.manifest
    if as_json:
        print(json.dumps({"out": str(out), "key": manifest.key, **json.loads(manifest.to_json())}))
        return
    size = sum(len(data) for data in exported.files.values()) / 1e6
    print(f"encoder {manifest.key} ({size:.1f} MB) written to {out}")
    for name, value in manifest.parity.items():
        print(f"  {name}: {value:.6g}")
