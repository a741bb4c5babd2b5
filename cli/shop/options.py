"""Command line options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ShopDb = Annotated[
    Path | None,
    typer.Option(
        "--db", help="The shop's DuckDB database. Default: the dbt project's, else shop.duckdb."
    ),
]
ProjectDir = Annotated[
    Path | None,
    typer.Option(
        "--project",
        help="Your dbt project with cva_package in it. Default: this folder, if it is one.",
    ),
]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of", help="Look from this date (YYYY-MM-DD). Default: after the newest order."
    ),
]
HorizonDays = Annotated[
    int | None,
    typer.Option(
        "--horizon-days",
        help="Length of the forecast. Default: the deployed model's, 90 without one.",
    ),
]
Vars = Annotated[
    str | None,
    typer.Option("--vars", help='dbt vars as JSON or YAML, e.g. \'{"cva_currency": "EUR"}\'.'),
]
StatusCounts = Annotated[
    list[str] | None,
    typer.Option(
        "--status-counts", help="A status of orders that counts as a sale. Adds to the var."
    ),
]
StatusCancelled = Annotated[
    list[str] | None,
    typer.Option("--status-cancelled", help="A status of orders that is no sale. Adds to the var."),
]
ModelsDir = Annotated[
    Path | None,
    typer.Option("--models-dir", help="Trained models. Default: cva_models/ beside the database."),
]
PublishedDir = Annotated[
    Path | None,
    typer.Option(
        "--published", help="Where readers look. Default: published/ beside the database."
    ),
]
WorkDir = Annotated[
    Path | None,
    typer.Option("--work-dir", help="dbt's own files. Default: .cva/ beside the database."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
