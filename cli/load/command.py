"""`cva load`: files of the shop become a canonical raw table."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import typer

from cva_sql.cli.load import rows as rows
from cva_sql.cli.load.by_preset import Overrides, load_any
from cva_sql.cli.load.formats.source import ReadOptions
from cva_sql.cli.load.options import (
    AmountPer,
    Column,
    Dates,
    Decimal,
    Delimiter,
    Encoding,
    Lines,
    Sheet,
    StatusCancelled,
    StatusCounts,
    Timezone,
    Where,
    named_expressions,
)
from cva_sql.cli.load.table import Into, Wanted
from cva_sql.cli.shop.files import size_of
from cva_sql.cli.shop.progress import step

SLOW_BYTES = 20_000_000  # a second or two of work; below it, progress is noise


def load(
    table: str = typer.Argument(
        help="Raw table, e.g. orders; a preset, e.g. shopify; or a vendor's export itself. A"
        " name that is none of them lists them all."
    ),
    files: list[Path] = typer.Argument(
        default_factory=list,
        show_default=False,
        help="Files with the same columns: delimited text, JSON, a workbook (.xlsx, .xls, .ods),"
        " Parquet; each also in .gz or .zip. With a preset also folders and a DuckDB database.",
    ),
    db: Path = typer.Option(Path("shop.duckdb"), help="DuckDB file; created if absent."),
    query: str | None = typer.Option(None, help="A SELECT over the database instead of files."),
    url: str | None = typer.Option(
        None,
        "--from",
        help="URL of another database that --query is over, or a preset reads, e.g."
        " postgresql://user@host/shop; or the environment variable that holds it.",
    ),
    column: Column = None,
    where: Where = None,
    lines: Lines = False,
    amount_per: AmountPer = None,
    replace: bool = typer.Option(False, "--replace", help="Replace the table if it exists."),
    append: bool = typer.Option(
        False, "--append", help="Bring into the table what is new or has changed."
    ),
    schema: str = typer.Option("raw", help="Schema of the table."),
    source_schema: str | None = typer.Option(
        None, help="Schema that a preset reads, where several have its tables."
    ),
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    sheet: Sheet = None,
    timezone: Timezone = "UTC",
    decimal: Decimal = None,
    dates: Dates = None,
    status_counts: StatusCounts = None,
    status_cancelled: StatusCancelled = None,
    as_json: bool = typer.Option(False, "--json", help="Print the report as JSON."),
) -> None:
    """Load files or a query into a raw table with canonical columns."""
    size = size_of(files)
    slow = query is not None or url is not None or size > SLOW_BYTES
    with step(f"loading {table}") if slow else nullcontext():
        report = load_any(
            table,
            files,
            Overrides(
                Wanted(
                    columns=named_expressions(column),
                    where=where,
                    lines=lines,
                    amount_per=amount_per,
                    asked=rows.asked_for(decimal, dates),
                    status_counts=status_counts or (),
                    status_cancelled=status_cancelled or (),
                ),
                ReadOptions(encoding, delimiter, sheet),
                source_schema,
            ),
            Into(schema, replace, append, timezone),
            db=db,
            query=query,
            url=url,
        )
    print(report.as_json() if as_json else report.as_text())
