"""`cva load`: files of the shop become a canonical raw table."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import typer

from cva_sql.cli.load import rows as rows
from cva_sql.cli.load.by_preset import Overrides, load_any
from cva_sql.cli.load.formats.source import ReadOptions
from cva_sql.cli.load.table import Into, Wanted
from cva_sql.cli.shop.expressions import shortened
from cva_sql.cli.shop.progress import step
from cva_sql.udfs.errors import UsageError

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
    column: list[str] = typer.Option(
        [], help="canonical=EXPR over the file's columns, e.g. amount='Quantity * Price'."
    ),
    where: str | None = typer.Option(None, help="Take only the rows of the file that satisfy it."),
    lines: bool = typer.Option(False, "--lines", help="One row per order line: sum into orders."),
    amount_per: str | None = typer.Option(
        None, help="Where orders are on several rows, whose the amount is: order or line."
    ),
    replace: bool = typer.Option(False, "--replace", help="Replace the table if it exists."),
    append: bool = typer.Option(
        False, "--append", help="Bring into the table what is new or has changed."
    ),
    schema: str = typer.Option("raw", help="Schema of the table."),
    source_schema: str | None = typer.Option(
        None, help="Schema that a preset reads, where several have its tables."
    ),
    encoding: str | None = typer.Option(
        None, help="Encoding of the text, e.g. gb18030; else recognised."
    ),
    delimiter: str | None = typer.Option(
        None, help="What parts the columns: one character, tab or space; else found out."
    ),
    sheet: str | None = typer.Option(
        None, help="Sheet of a workbook, file of a .zip or list of a JSON object."
    ),
    timezone: str = typer.Option("UTC", help="Zone that times with an offset are converted to."),
    decimal: str | None = typer.Option(
        None, metavar="point|comma", help="Decimal mark, where the numbers do not tell."
    ),
    dates: str | None = typer.Option(
        None, metavar="dmy|mdy|ymd", help="Order of day and month, where the dates do not tell."
    ),
    status_counts: list[str] = typer.Option(
        [], help="A status of orders that counts as a sale; stored as paid."
    ),
    status_cancelled: list[str] = typer.Option(
        [], help="A status of orders that is no sale; stored as cancelled."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print the report as JSON."),
) -> None:
    """Load files or a query into a raw table with canonical columns."""
    slow = query is not None or sum(f.stat().st_size for f in files if f.is_file()) > SLOW_BYTES
    with step(f"loading {table}") if slow else nullcontext():
        report = load_any(
            table,
            files,
            Overrides(
                Wanted(
                    columns=_named_expressions(column),
                    where=where,
                    lines=lines,
                    amount_per=amount_per,
                    asked=rows.asked_for(decimal, dates),
                    status_counts=status_counts,
                    status_cancelled=status_cancelled,
                ),
                ReadOptions(encoding, delimiter, sheet),
                source_schema,
            ),
            Into(schema, replace, append, timezone),
            db=db,
            query=query,
        )
    print(report.as_json() if as_json else report.as_text())


def _named_expressions(options: Sequence[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for option in options:
        name, _, expression = option.partition("=")
        name = name.strip().lower()
        if not name or not expression.strip():
            raise UsageError(
                f"--column {shortened(option)}: expected canonical=EXPR, e.g. order_id=Invoice"
            )
        if name in named:
            raise UsageError(f"--column {shortened(name)} is given twice; give it once")
        named[name] = expression
    return named
