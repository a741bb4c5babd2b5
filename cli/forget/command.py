"""`cva forget`: erases customers wherever the shop keeps something of them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
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

Customers = Annotated[
    list[str],
    typer.Argument(help="Ids of customers, as any of their raw rows has them.", metavar="ID…"),
]
EvenIfUnknown = Annotated[
    bool,
    typer.Option(
        "--even-if-unknown",
        help="Also those of whom nothing is there: no file brings them in later.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before erasing.")]


def forget(
    customers: Customers,
    even_if_unknown: EvenIfUnknown = False,
    yes: Yes = False,
    db: ShopDb = None,
    project: ProjectDir = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    published: PublishedDir = None,
    work_dir: WorkDir = None,
    as_json: Json = False,
) -> None:
    """Erase customers from the database, published runs, caches and logs, for good.

    What cva load brought in goes; tables of your own are named and left, and staging leaves the
    customers out. A file that is loaded again does not bring them back.
    """
    from cva_sql.cli.forget.erasing import forget_people
    from cva_sql.cli.forget.report import describe
    from cva_sql.cli.shop.lock import exclusive

    shop = open_shop(
        db,
        project=project,
        variables=variables,
        models_dir=models_dir,
        published=published,
        work_dir=work_dir,
        need=Need.DATABASE,
    )
    if not yes:
        _ask(len(set(customers)), shop.db)
    with exclusive(shop):
        found = forget_people(shop, customers, even_if_unknown=even_if_unknown)
    print(json.dumps(asdict(found), indent=2) if as_json else describe(found))


def _ask(people: int, db: Path) -> None:
    """Raises CvaError where somebody at a terminal says no."""
    from cva_sql.cli.shop.progress import count_of
    from cva_sql.udfs.errors import CvaError

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    if not typer.confirm(f"Erase {count_of(people, 'customer')} from {db} for good?"):
        raise CvaError("nothing was erased; cva person ID shows what is there")
