"""`cva init`: a small dbt project with the package in it, or what a project of the user's lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cva_sql.cli.init.project import init_project


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The dbt project's folder.")],
    db: Annotated[
        Path | None,
        typer.Option("--db", help="The shop's DuckDB database. Default: shop.duckdb in DIR."),
    ] = None,
    scan: Annotated[
        Path | None,
        typer.Option(
            "--scan",
            help="A DuckDB database whose tables are looked at, and mapped where names and values "
            "are sure. It is the project's database unless --db names another.",
        ),
    ] = None,
) -> None:
    """Write a small dbt project with cva in it, or complete the one in DIR.

    Nothing of yours is overwritten: what cannot be added safely is printed. Only cva_package/, a
    copy of cva's own dbt package, is refreshed each time.
    """
    proposal = None
    if scan is not None:
        from cva_sql.cli.init.scan.proposal import describe, scan_database

        proposal = scan_database(scan)
        print(describe(proposal), end="\n\n")
    done = init_project(folder, db or scan, proposal)
    print("\n".join(done.lines))
    for text in done.to_add:
        print(f"\n{text}")
    steps = [f"cd {folder}"] if folder.resolve() != Path.cwd() else []
    first = "the cva load above, then " if proposal and proposal.loads else ""
    print(f"\nnext: {first}{' && '.join([*steps, 'dbt deps', 'dbt run'])}")
