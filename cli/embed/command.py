"""`cva embed`: reads the texts that were not read yet, without dbt calling Python."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cva_sql.cli.embed.images import embed_images
from cva_sql.cli.embed.reading import embed_shop
from cva_sql.cli.embed.report import describe
from cva_sql.cli.shop.options import Json, ModelsDir, ProjectDir, ShopDb, Vars, WorkDir
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from cva_sql.cli.embed.reading import Embedded

IMAGES = "images"
USAGE = "expected cva embed, or cva embed images FOLDER --encoder FOLDER"


def embed(
    what: Annotated[
        str | None, typer.Argument(help="images: pictures of products. Default: review texts.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="The pictures: <product_id>.jpg, .png, .webp, or <product_id>/ with several."
        ),
    ] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(
            "--encoder",
            help="Of images: the folder of a vision encoder, model.onnx and manifest.json.",
        ),
    ] = None,
    db: ShopDb = None,
    project: ProjectDir = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    work_dir: WorkDir = None,
    as_json: Json = False,
) -> None:
    """Read the texts that were not read yet, for dbt without Python.

    Fills the same table as the dbt model that calls cva_read_text, a batch at a time, so that a
    killed call goes on where it stopped; build the rest with `dbt run --vars '{cva_udfs: false}'`.
    images: reads pictures of products instead, by an encoder of your own, into a table that the
    features of taste look at.
    """
    from cva_sql.cli.shop.lock import exclusive

    pictures = _pictures_asked(what, folder, encoder)
    shop = open_shop(
        db, variables=variables, models_dir=models_dir, work_dir=work_dir, project=project
    )
    with exclusive(shop):
        if pictures is not None:
            pictured = embed_images(shop, *pictures)
            print(json.dumps(asdict(pictured), indent=2) if as_json else describe(pictured))
            return
        result = embed_shop(shop)
    if as_json:
        print(json.dumps(asdict(result), indent=2))
    else:
        _print(result)


def _pictures_asked(
    what: str | None, folder: Path | None, encoder: Path | None
) -> tuple[Path, Path] | None:
    """Where the pictures and the encoder are; None for texts; raises UsageError for neither."""
    if what is None and folder is None and encoder is None:
        return None
    if what != IMAGES:
        raise UsageError(f"{'--encoder' if what is None else what} reads no texts; {USAGE}")
    if folder is None or encoder is None:
        absent = "folder of pictures" if folder is None else "--encoder"
        raise UsageError(f"images without a {absent}; {USAGE}")
    return folder, encoder


def _print(result: Embedded) -> None:
    print(
        f"{result.table}: {result.texts:,} texts, {result.encoded:,} of them read now "
        f"in {result.seconds:.1f} s by encoder {result.encoder_key}"
    )
    if result.sentiment is not None:
        found = result.sentiment
        print(
            f"sentiment tells ratings of 4 and 5 from 1 and 2 with AUC {found.auc:.3f} "
            f"({found.lower:.3f} .. {found.upper:.3f}; {found.positive_texts:,} and "
            f"{found.negative_texts:,} texts)"
        )
