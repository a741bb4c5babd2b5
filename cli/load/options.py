"""Command line options that say how files are read and what of them is taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from cva_sql.cli.shop.expressions import shortened
from cva_sql.udfs.errors import UsageError

Column = Annotated[
    list[str] | None,
    typer.Option(
        "--column", help="canonical=EXPR over the file's columns, e.g. amount='Quantity * Price'."
    ),
]
Where = Annotated[
    str | None, typer.Option("--where", help="Take only the rows of the file that satisfy it.")
]
Lines = Annotated[bool, typer.Option("--lines", help="One row per order line: sum into orders.")]
AmountPer = Annotated[
    str | None,
    typer.Option(
        "--amount-per", help="Where orders are on several rows, whose the amount is: order or line."
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option("--encoding", help="Encoding of the text, e.g. gb18030; else recognised."),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        "--delimiter", help="What parts the columns: one character, tab or space; else found out."
    ),
]
Sheet = Annotated[
    str | None,
    typer.Option("--sheet", help="Sheet of a workbook, file of a .zip or list of a JSON object."),
]
Timezone = Annotated[
    str, typer.Option("--timezone", help="Zone that times with an offset are converted to.")
]
Decimal = Annotated[
    str | None,
    typer.Option(
        "--decimal",
        metavar="point|comma",
        help="Decimal mark, where the numbers do not tell.",
    ),
]
Dates = Annotated[
    str | None,
    typer.Option(
        "--dates",
        metavar="dmy|mdy|ymd",
        help="Order of day and month, where the dates do not tell.",
    ),
]
StatusCounts = Annotated[
    list[str] | None,
    typer.Option(
        "--status-counts", help="A status of orders that counts as a sale; stored as paid."
    ),
]
StatusCancelled = Annotated[
    list[str] | None,
    typer.Option(
        "--status-cancelled", help="A status of orders that is no sale; stored as cancelled."
    ),
]


def named_expressions(options: Sequence[str] | None) -> dict[str, str]:
    """Canonical column -> its expression; raises UsageError for what is not canonical=EXPR."""
    named: dict[str, str] = {}
    for option in options or ():
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
