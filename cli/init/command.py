"""`cva init`: a small dbt project with the package in it, or what a project of the user's lacks."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cva_sql.cli.init.project import init_project
from cva_sql.cli.shop.connection import check_is_duckdb, check_name
from cva_sql.cli.shop.own_project import PROJECT_FILE

if TYPE_CHECKING:
    from cva_sql.cli.init.scan.match import Proposal


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
    for named in filter(None, (db, scan)):
        check_name(named)
        check_is_duckdb(named)
    if scan is not None:
        from cva_sql.cli.init.scan.proposal import scan_database
        from cva_sql.cli.init.scan.report import describe

        proposal = scan_database(scan)
        print(describe(proposal), end="\n\n")
    done = init_project(folder, db or scan, proposal)
    print("\n".join(done.lines))
    for text in done.to_add:
        print(f"\n{text}")
    print(f"\nnext: {next_step(folder, proposal)}")


def next_step(folder: Path, proposal: Proposal | None) -> str:
    """What to do now: nothing is run while it is open which table the orders are."""
    is_here = folder.resolve() == Path.cwd()
    steps = [] if is_here else [f"cd {shlex.quote(str(folder))}"]
    first = "the cva load above, then " if proposal and proposal.loads else ""
    if proposal is None or not proposal.to_settle:
        return first + " && ".join([*steps, "dbt deps", "dbt run"])
    file = PROJECT_FILE if is_here else folder / PROJECT_FILE
    return (
        f"settle what is open, in {file} under vars: cva: {'; '.join(proposal.to_settle)}; "
        f"{first}see whether it fits: {' && '.join([*steps, 'dbt deps', 'cva doctor'])}"
    )
