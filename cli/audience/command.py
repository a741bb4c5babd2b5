"""`cva audience`: a file of customers for a tool that writes to them."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cva_sql.cli.audience.formats import FORMATS
from cva_sql.cli.shop.options import (
    Json,
    ModelsDir,
    ProjectDir,
    PublishedDir,
    ShopDb,
    Vars,
    WorkDir,
)
from cva_sql.cli.shop.resolver import open_shop

To = StrEnum("To", {name: name for name in FORMATS})  # type: ignore[misc]


def audience(
    condition: Annotated[
        str,
        typer.Argument(help="SQL over columns of customer_value and customer_segments."),
    ],
    out: Annotated[Path, typer.Option("--out", help="The file to write.")],
    to: Annotated[To, typer.Option("--to", help="Whose import it is for.")] = To.csv,  # type: ignore[attr-defined]
    value: Annotated[
        str,
        typer.Option("--value", help="predicted_value, clv, historic_value or score."),
    ] = "predicted_value",
    is_without_consent: Annotated[
        bool,
        typer.Option("--without-consent", help="Also who has not consented to marketing."),
    ] = False,
    suppress: Annotated[
        list[Path] | None,
        typer.Option("--suppress", help="A file of ids or e-mails to leave out; repeat for more."),
    ] = None,
    is_to_replace: Annotated[
        bool, typer.Option("--replace", help="Replace the file where there is one.")
    ] = False,
    db: ShopDb = None,
    project: ProjectDir = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    published: PublishedDir = None,
    work_dir: WorkDir = None,
    as_json: Json = False,
) -> None:
    """Write customers with e-mail, phone and value into a file that a marketing tool imports.

    Of what was published last. Only who consented, unless told otherwise. Google and Meta get
    hashes. Nothing is sent anywhere.
    """
    from cva_sql.cli.audience.writing import write_audience
    from cva_sql.cli.shop.lock import exclusive

    shop = open_shop(
        db,
        variables=variables,
        models_dir=models_dir,
        published=published,
        work_dir=work_dir,
        project=project,
    )
    with exclusive(shop):
        done = write_audience(
            shop,
            condition,
            out,
            to.value,
            value=value,
            needs_consent=not is_without_consent,
            suppressed=suppress or [],
            is_to_replace=is_to_replace,
        )
    if as_json:
        print(json.dumps(asdict(done), indent=2))
        return
    left = ", ".join(f"{count:,} {reason}" for reason, count in done.left_out.items())
    print(f"{out}: {done.rows:,} customers" + (f"; left out: {left}" if left else ""))
