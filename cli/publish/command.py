"""`cva publish`: what was published last, into PostgreSQL or a workbook."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cva_sql.cli.shop.options import Json, ProjectDir, PublishedDir, ShopDb
from cva_sql.cli.shop.resolver import Need, open_shop

if TYPE_CHECKING:
    from cva_sql.cli.publish.book import Book
    from cva_sql.cli.publish.postgresql import Copied


def publish(
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="postgresql://user@host/database (tables into ?schema=cva), the name of an"
            " environment variable with such a URL, or a file like customer_value.xlsx.",
        ),
    ],
    is_to_adopt: Annotated[
        bool,
        typer.Option(
            "--adopt", help="The shop's database was renamed or moved: take over what it made."
        ),
    ] = False,
    db: ShopDb = None,
    project: ProjectDir = None,
    published: PublishedDir = None,
    as_json: Json = False,
) -> None:
    """Copy what was published last into PostgreSQL or a workbook, for tools that do not open it.

    All tables in one transaction: readers never wait and see the former run or this one. A file
    that somebody changed is not replaced. Needs `cva run`.
    """
    from cva_sql.cli.publish.publishing import publish_shop

    shop = open_shop(db, project=project, published=published, need=Need.DATABASE)
    done = publish_shop(shop, to, is_to_adopt=is_to_adopt)
    print(json.dumps(asdict(done), indent=2) if as_json else describe(done))


def describe(done: Book | Copied) -> str:
    """The result for a person."""
    from cva_sql.cli.publish.book import Book

    if isinstance(done, Book):
        sheets = ", ".join(f"{name} ({rows:,} rows)" for name, rows in done.rows.items())
        return f"{done.to}: {sheets}; sheet columns says what each column is"
    lines = [
        f"{done.to}, schema {done.schema}: {len(done.rows)} tables, {sum(done.rows.values()):,}"
        " rows"
    ]
    if done.dropped:
        lines.append(f"no longer published, dropped: {', '.join(done.dropped)}")
    if done.emptied:
        lines.append(f"no longer published, emptied as views read them: {', '.join(done.emptied)}")
    return "\n".join(lines)
