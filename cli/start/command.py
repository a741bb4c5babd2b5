"""`cva start`: from an export of orders to the report, in one go."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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

if TYPE_CHECKING:
    from cva_sql.cli.start.loading import Loaded

FOLDER = Path("cva_shop")


def start(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILES",
            help="An export of orders: of a known vendor, or any file with an id, a customer, a"
            " time and an amount. Several files, or a folder, may hold more tables.",
        ),
    ],
    folder: Annotated[
        Path, typer.Option("--folder", help="Where the new shop goes, and its report.")
    ] = FOLDER,
    column: Column = None,
    where: Where = None,
    lines: Lines = False,
    amount_per: AmountPer = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    sheet: Sheet = None,
    timezone: Timezone = "UTC",
    decimal: Decimal = None,
    dates: Dates = None,
    status_counts: StatusCounts = None,
    status_cancelled: StatusCancelled = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether the total is right.")] = (
        False
    ),
    is_opened: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the report in the browser.")
    ] = True,
) -> None:
    """Load an export of orders into a new shop, train, score, and open the report.

    The total is shown first. What the files leave unclear is said in a line, with the option that
    settles it, and nothing is kept. A shop that is there is never changed.
    """
    from cva_sql.cli.load.formats.source import ReadOptions
    from cva_sql.cli.load.rows import asked_for
    from cva_sql.cli.load.table import Wanted
    from cva_sql.cli.report.writing import write_report
    from cva_sql.cli.run.build import run_shop
    from cva_sql.cli.run.command import describe
    from cva_sql.cli.shop.lock import exclusive
    from cva_sql.cli.shop.resolver import open_shop
    from cva_sql.cli.start.loading import DATABASE, REPORT, load_start, open_page, refuse_shop
    from cva_sql.cli.train.training import train_shop

    refuse_shop(folder)
    wanted = Wanted(
        columns=named_expressions(column),
        where=where,
        lines=lines,
        amount_per=amount_per,
        asked=asked_for(decimal, dates),
        status_counts=status_counts or (),
        status_cancelled=status_cancelled or (),
    )
    options = ReadOptions(encoding, delimiter, sheet)
    is_asked = not yes and sys.stdin.isatty() and sys.stdout.isatty()
    loaded = load_start(
        files, folder, wanted, options, timezone, lambda found: _accept(found, is_asked)
    )
    shop = open_shop(folder / DATABASE)
    with exclusive(shop):
        trained = train_shop(shop)
        result = run_shop(shop)
    page = folder / REPORT
    write_report(shop, page)
    scorer = f"model {trained.version}" if trained.is_deployed else "the packaged rule"
    print(f"\nscores by {scorer}: {trained.reason}")
    print(describe(result))
    opened = is_opened and open_page(page)
    print(f"report: {page}{' (opened)' if opened else ''}")
    print(_next_steps(shop.db, loaded))


def _accept(loaded: Loaded, is_asked: bool) -> None:
    """Shows what was loaded, and asks whether it is right where somebody is there to answer."""
    from cva_sql.udfs.errors import CvaError

    print(loaded.as_text(), flush=True)
    if is_asked and not typer.confirm("Is this your revenue?", default=True):
        raise CvaError(
            "nothing was kept; what counts is settled by --column amount=EXPR, --amount-per,"
            " --status-cancelled, --where"
        )


def _next_steps(db: Path, loaded: Loaded) -> str:
    named = f"--db {shlex.quote(str(db))}"
    top = (
        "select * from customer_value where score_status <> 'not_eligible'"
        " order by predicted_value desc limit 10"
    )
    return f"""next:
  the customers          cva sql {named} "{top}"
  how good is it here    cva evaluate {named}
  the next export        cva load {loaded.again} --append {named}, then cva run {named}"""
