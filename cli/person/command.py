"""`cva person`: everything that the shop keeps of one person."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cva_sql.cli.shop.options import (
    Json,
    ModelsDir,
    ProjectDir,
    PublishedDir,
    ShopDb,
    Vars,
    WorkDir,
)
from cva_sql.cli.shop.resolver import Need, open_shop


def person(
    customer: Annotated[
        str, typer.Argument(help="An id of the customer, as any of their raw rows has it.")
    ],
    to: Annotated[
        Path | None,
        typer.Option("--to", help="A file for it, or a folder for one of each kind."),
    ] = None,
    db: ShopDb = None,
    project: ProjectDir = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    published: PublishedDir = None,
    work_dir: WorkDir = None,
    as_json: Json = False,
) -> None:
    """Show everything that is kept of one person, table by table, with the reasons in words."""
    from cva_sql.cli.person.reading import read_person
    from cva_sql.cli.person.report import as_json as to_json
    from cva_sql.cli.person.report import as_text
    from cva_sql.cli.person.writing import write_person

    shop = open_shop(
        db,
        project=project,
        variables=variables,
        models_dir=models_dir,
        published=published,
        work_dir=work_dir,
        need=Need.DATABASE,
    )
    found = read_person(shop, customer)
    if to is None:
        print(to_json(found) if as_json else as_text(found))
        return
    for file in write_person(shop, found, to, is_json=as_json):
        print(file)
