"""`cva export-model`: the model file and its manifest, to run elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cva_sql.cli.export_model.encoder import ENCODER, LongTexts, Tier, export_encoder
from cva_sql.cli.shop.options import Json, ModelsDir, ProjectDir, ShopDb
from cva_sql.cli.shop.resolver import Need, open_shop
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.errors import CvaError, UsageError

RULE = "rule"


def export_model(
    which: Annotated[
        str,
        typer.Argument(help="Which model: value, rule, encoder, or another kind that is deployed."),
    ],
    out: Annotated[Path, typer.Option("--out", help="The folder to write to.")],
    tier: Annotated[
        Tier | None,
        typer.Option("--tier", help="Of the encoder: exact, fast, or many languages (slower)."),
    ] = None,
    long_texts: Annotated[
        LongTexts | None,
        typer.Option(
            "--long-texts",
            help="Of the encoder: what is beyond 256 tokens is cut, or read as well.",
        ),
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option(
            "--texts",
            help="Of --tier fast: a file with a text a line, to fit it on.",
            dir_okay=False,
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Of the encoder: a folder with a BERT-like model of your own.",
            file_okay=False,
        ),
    ] = None,
    db: ShopDb = None,
    project: ProjectDir = None,
    models_dir: ModelsDir = None,
    as_json: Json = False,
) -> None:
    """Write a model and its manifest into a folder.

    value: the deployed model. model.onnx takes the manifest's features by name, one column each,
    and runs in any onnxruntime. rule: the packaged rule, which scores where no model is deployed.
    Another kind that is deployed: the same of it. encoder: the text encoder, made anew from the
    official weights and checked against torch; needs the extra `encoder`. --tier fast
    computes in whole numbers, fitted on --texts or on texts of the sample shop. --tier multilingual
    reads many languages, made from a package's weights; needs the extra `multilingual` and no
    torch. --from takes a model of your own (BERT, RoBERTa; width 384), checked
    against torch. --long-texts windows alone writes the packaged one, to read long texts whole; it
    needs neither. In the shop's cva_models/encoder each takes the packaged one's place.
    """
    if which == ENCODER:
        export_encoder(out, tier, long_texts, texts, source, as_json)
        return
    asked = {"--tier": tier, "--long-texts": long_texts, "--texts": texts, "--from": source}
    for name, given in asked.items():
        if given is not None:
            raise UsageError(
                f"{name} {given} is for the encoder; expected: cva export-model encoder"
            )
    from cva_sql.cli.export_model.writing import write_export
    from cva_sql.cli.shop.model_store import exported_files
    from cva_sql.udfs.sessions import load_model

    shop = open_shop(db, project=project, models_dir=models_dir, need=Need.NOTHING)
    folder = _folder_of(shop, which)
    manifest = load_model(folder).manifest
    write_export(out, exported_files(folder))
    if as_json:
        print(json.dumps({"out": str(out), "version": manifest.version, "sha256": manifest.sha256}))
        return
    print(f"{which} model {manifest.version} ({len(manifest.features)} inputs) written to {out}")


def _folder_of(shop: ResolvedShop, which: str) -> Path:
    """Where the model is; raises UsageError for one that is not known or not deployed.

    The rule does not stand in for a trained model: who asks for that means that one.
    """
    from cva_sql.udfs.sessions import VALUE, baseline_folder, deployed_folder, deployed_versions

    if which == RULE:
        return baseline_folder()
    deployed = deployed_versions(shop.models_dir)
    if which == VALUE and VALUE not in deployed:
        raise CvaError(
            f"no model is deployed in {shop.models_dir}; train one with: {shop.command('train')}, "
            f"or write the packaged rule with: cva export-model rule --out FOLDER"
        )
    if which not in deployed:
        named = ", ".join([VALUE, RULE, *sorted(set(deployed) - {VALUE}), ENCODER])
        raise UsageError(f"{which} is no model that can be exported; there are: {named}")
    return deployed_folder(shop.models_dir, which)
