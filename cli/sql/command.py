"""`cva sql`: a statement, a pipe of them or a small prompt, with the SQL functions registered."""

from __future__ import annotations

import sqlite3
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cva_sql.cli.shop.options import Json, ModelsDir, ProjectDir, ShopDb, WorkDir
from cva_sql.cli.shop.progress import say
from cva_sql.cli.shop.resolver import Need, open_shop
from cva_sql.cli.sql.printing import is_outcome, print_box, print_csv, print_json, say_outcome
from cva_sql.cli.sql.session import one_line_errors, only_reads, opened, split
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, Statement


LEAVE = (".quit", ".exit")


class Format(StrEnum):
    """How rows are printed."""

    BOX = "box"
    JSON = "json"
    CSV = "csv"


def sql(
    statement: Annotated[
        str | None,
        typer.Argument(
            help="A SQL statement. Without it: a prompt, or what comes through a pipe.",
            show_default=False,
        ),
    ] = None,
    db: ShopDb = None,
    project: ProjectDir = None,
    models_dir: ModelsDir = None,
    work_dir: WorkDir = None,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the result as CSV.")] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Let no statement change the database.")
    ] = False,
) -> None:
    """Run SQL on the shop's database, with cva_sentiment, cva_predict … at hand.

    Statements that only read open the database for reading, so that several can do it at a time.
    """
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other; give one of them")
    shop = open_shop(
        db, project=project, models_dir=models_dir, work_dir=work_dir, need=Need.DATABASE
    )
    form = Format.JSON if as_json else Format.CSV if as_csv else Format.BOX
    if statement is None and sys.stdin.isatty():
        with opened(shop, read_only=read_only) as con:
            _prompt(con, form, f"{shop.db}; end a statement with ; and leave with {LEAVE[0]}")
        return
    queries = split(statement if statement is not None else sys.stdin.read())
    if not queries:
        raise UsageError('no statement; give one, e.g. cva sql "select count(*) from raw.orders"')
    is_read = all(only_reads(query) for query in queries)
    with opened(shop, read_only=read_only or is_read) as con:
        for query in queries:
            _run(con, query, form)
    sys.stdout.flush()  # here, where a reader that went away is not yet an error at exit


def _prompt(con: DuckDBPyConnection, form: Format, welcome: str) -> None:
    """Reads statements of one or several lines until .quit or the end; errors do not end it."""
    print(welcome, file=sys.stderr)
    text = ""
    while True:
        print("  … " if text else "cva> ", end="", file=sys.stderr, flush=True)
        try:
            line = sys.stdin.readline()
            if not text and line.strip() in LEAVE:
                return
            text = text + line if (text + line).strip() else ""
            if text and (not line or sqlite3.complete_statement(text)):
                query, text = text, ""
                for statement in split(query):
                    _run(con, statement, form)
        except KeyboardInterrupt:
            print(file=sys.stderr)
            text, line = "", " "
        except CvaError as error:
            say(f"cva: {error}")
        if not line:
            print(file=sys.stderr)
            return


def _run(con: DuckDBPyConnection, statement: Statement, form: Format) -> None:
    """Prints the rows of a statement, or, on stderr, how many it changed."""
    with one_line_errors():
        if form is Format.BOX:
            print_box(con, statement)
            return
        con.execute(statement.query)
        columns = [(name, str(kind)) for name, kind, *_ in con.description or []]
        if is_outcome(statement, [name for name, _ in columns]):
            say_outcome(con.fetchall())
        elif form is Format.JSON:
            print_json(con, columns)
        else:
            print_csv(con, columns)
