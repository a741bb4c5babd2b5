"""`cva export-model`: the model file and its manifest, to run elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cva_sql.cli.export_model.encoder import ENCODER, export_encoder
from cva_sql.cli.shop.options import Json, ModelsDir, ProjectDir, ShopDb
from cva_sql.cli.shop.resolver import Need, open_shop
from cva_sql.udfs.errors import UsageError


def export_model(
    which: Annotated[
        str, typer.Argument(help="Which model: value, encoder, or another kind that is deployed.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The folder to write to.")],
    db: ShopDb = None,
    project: ProjectDir = None,
    models_dir: ModelsDir = None,
    as_json: Json = False,
) -> None:
    """Write a model and its manifest into a folder.

    value: the deployed model. model.onnx takes the manifest's features by name, one column each,
    and runs in any onnxruntime; without a trained model it is the packaged rule. Another kind that
    is deployed: the same of it. encoder: the text encoder, made anew from the official weights and
    checked against torch; needs the extra `encoder`. In the shop's cva_models/encoder it takes the
    packaged one's place.
    """
    if which == ENCODER:
        export_encoder(out, as_json)
        return
    from cva_sql.cli.shop.model_store import copy_model
    from cva_sql.udfs.sessions import VALUE, deployed_folder, deployed_versions, load_model

    shop = open_shop(db, project=project, models_dir=models_dir, need=Need.NOTHING)
    known = {VALUE, *deployed_versions(shop.models_dir)}
    if which not in known:
        named = ", ".join([VALUE, *sorted(known - {VALUE}), ENCODER])
        raise UsageError(f"{which} is no model that can be exported; there are: {named}")
    folder = deployed_folder(shop.models_dir, which)
    manifest = load_model(folder).manifest
    copy_model(folder, out)
    if as_json:
        print(json.dumps({"out": str(out), "version": manifest.version, "sha256": manifest.sha256}))
        return
    print(f"{which} model {manifest.version} ({len(manifest.features)} inputs) written to {out}")
