"""`cva sql`: a statement, a pipe of them or a small prompt, with the SQL functions registered."""

from __future__ import annotations

import io
import json
import re
import shutil
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cva_sql.cli.dbt import Shop, exclusive
from cva_sql.cli.options import DEFAULT_DB, Json, ModelsDir, ShopDb, connect, parse_vars
from cva_sql.cli.own_project import find_project, read_project
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, Statement

ROWS_AT_ONCE = 1_000
WIDTH_WITHOUT_TERMINAL = 120
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
    models_dir: ModelsDir = None,
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
    shop = find_shop(db, models_dir)
    form = Format.JSON if as_json else Format.CSV if as_csv else Format.BOX
    if statement is None and sys.stdin.isatty():
        with _opened(shop, read_only=read_only) as con:
            _prompt(con, form, f"{shop.db}; end a statement with ; and leave with {LEAVE[0]}")
        return
    queries = _split(statement if statement is not None else sys.stdin.read())
    if not queries:
        raise UsageError('no statement; give one, e.g. cva sql "select count(*) from raw.orders"')
    only_reads = all(_only_reads(query) for query in queries)
    with _opened(shop, read_only=read_only or only_reads) as con:
        for query in queries:
            _run(con, query, form)
    sys.stdout.flush()  # here, where a reader that went away is not yet an error at exit


def find_shop(db: Path | None, models_dir: Path | None, variables: str | None = None) -> Shop:
    """The shop that the options name, orders or none; else that of the dbt project in this folder.

    Raises UsageError where its database does not exist.
    """
    root = find_project(Path()) if db is None else None
    own = read_project(root) if root else None
    db = own.db if own else db or DEFAULT_DB
    if not db.is_file():
        raise UsageError(
            f"{db} does not exist; load orders into it with: cva load orders FILE --db {db}"
        )
    settings = {**(own.vars if own else {}), **parse_vars(variables)}
    models = models_dir or (own.models_dir if own else db.parent / "cva_models")
    return Shop(db, models, settings, own.schema if own else "main", own)


@contextmanager
def _opened(shop: Shop, *, read_only: bool) -> Iterator[DuckDBPyConnection]:
    """A connection with the functions registered; one that may write keeps other commands off."""
    from cva_sql.udfs.register import register, unregister

    with nullcontext() if read_only else exclusive(shop):
        con = connect(shop.db, read_only=read_only)
        try:
            # A mistyped table must not become a variable of ours.
            con.execute("set python_enable_replacements = false").fetchall()
            register(con, models_dir=shop.models_dir)
            yield con
        finally:
            unregister(con)
            con.close()


def _split(text: str) -> Sequence[Statement]:
    import duckdb

    with duckdb.connect() as parser, _one_line_errors():
        return parser.extract_statements(text)


def _only_reads(statement: Statement) -> bool:
    kinds = {"SELECT", "EXPLAIN", "PRAGMA", "SET", "VARIABLE_SET", "RELATION"}
    hidden = r"\bnextval\b|\bexplain\s+analyze\b"  # what writes, and may do so inside of these
    return statement.type.name in kinds and not re.search(hidden, statement.query, re.IGNORECASE)


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
                for statement in _split(query):
                    _run(con, statement, form)
        except KeyboardInterrupt:
            print(file=sys.stderr)
            text, line = "", " "
        except CvaError as error:
            print(f"cva: {error}", file=sys.stderr)
        if not line:
            print(file=sys.stderr)
            return


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Raises what DuckDB says as a CvaError of one line, ours where a function of ours says it."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise CvaError(str(error).split("ModelError: ")[-1].strip().splitlines()[0]) from None


def _run(con: DuckDBPyConnection, statement: Statement, form: Format) -> None:
    """Prints the rows of a statement, or, on stderr, how many it changed."""
    with _one_line_errors():
        if form is Format.BOX:
            _print_box(con, statement)
            return
        con.execute(statement.query)
        columns = [(name, str(kind)) for name, kind, *_ in con.description or []]
        if _is_outcome(statement, [name for name, _ in columns]):
            _say_outcome(con.fetchall())
        elif form is Format.JSON:
            _print_json(con, columns)
        else:
            _print_csv(con, columns)


def _is_outcome(statement: Statement, columns: Sequence[str]) -> bool:
    """Whether the result is not rows but what a statement without any did."""
    return statement.type.name != "SELECT" and list(columns) in ([], ["Count"], ["Success"])


def _say_outcome(rows: Sequence[tuple[Any, ...]]) -> None:
    if rows and rows[0]:
        print(f"{rows[0][0]:,} row{'' if rows[0][0] == 1 else 's'}", file=sys.stderr)


def _print_box(con: DuckDBPyConnection, statement: Statement) -> None:
    relation = con.sql(statement.query)
    if relation is None:
        return
    if _is_outcome(statement, relation.columns):
        _say_outcome(relation.fetchall())
    elif statement.type.name == "EXPLAIN":
        print("\n".join(str(row[-1]).rstrip() for row in relation.fetchall()))
    else:
        width = shutil.get_terminal_size((WIDTH_WITHOUT_TERMINAL, 0)).columns
        box = io.StringIO()
        with redirect_stdout(box):
            relation.show(max_width=width)
        print(box.getvalue().rstrip())


def _batches(con: DuckDBPyConnection) -> Iterator[list[tuple[Any, ...]]]:
    while rows := con.fetchmany(ROWS_AT_ONCE):
        yield rows


def _print_json(con: DuckDBPyConnection, columns: Sequence[tuple[str, str]]) -> None:
    names = [json.dumps(name, ensure_ascii=False) for name in _distinct(columns)]
    kinds = [kind for _, kind in columns]
    before = "["
    for rows in _batches(con):
        for row in rows:
            cells = zip(names, row, kinds, strict=True)
            print(f"{before}{{{', '.join(f'{n}: {to_json(v, k)}' for n, v, k in cells)}}}", end="")
            before = ",\n "
    print("]" if before != "[" else "[]")


def _distinct(columns: Sequence[tuple[str, str]]) -> list[str]:
    """The names, a repeated one with a number behind it: an object has each key once."""
    names: list[str] = []
    for name, _ in columns:
        taken, number = name, 1
        while taken in names:
            taken, number = f"{name}_{number}", number + 1
        names.append(taken)
    return names


def _print_csv(con: DuckDBPyConnection, columns: Sequence[tuple[str, str]]) -> None:
    import csv

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([name for name, _ in columns])
    kinds = [kind for _, kind in columns]
    for rows in _batches(con):
        writer.writerows(
            ["" if v is None else _bare(v, k) for v, k in zip(row, kinds, strict=True)]
            for row in rows
        )


def _bare(value: Any, kind: str) -> str:
    """A cell of CSV: as in JSON, text and times without quotes."""
    if isinstance(value, float) and value - value != 0:
        return str(value)
    text = to_json(value, kind)
    return str(json.loads(text)) if text.startswith('"') else text


def to_json(value: Any, kind: str = "") -> str:
    """A value of DuckDB's as JSON; `kind` is its SQL type.

    Dates and times are ISO 8601, decimals numbers with all their digits, FLOATs the shortest that
    read back the same; NaN and infinities, which JSON does not have, are null.
    """
    from datetime import date, time
    from decimal import Decimal

    if isinstance(value, bool) or value is None or isinstance(value, (int, str)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float):
        return _number(value, kind)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, (date, time)):
        return json.dumps(value.isoformat())
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(to_json(item, kind) for item in value)}]"
    if isinstance(value, dict):
        cells = (f"{json.dumps(str(key))}: {to_json(item)}" for key, item in value.items())
        return f"{{{', '.join(cells)}}}"
    return json.dumps(value.hex() if isinstance(value, bytes) else str(value))


def _number(value: float, kind: str) -> str:
    if value - value != 0:
        return "null"
    if not kind.startswith("FLOAT"):
        return repr(value)
    import numpy as np

    return str(np.float32(value))
