"""Rows of a query as a box, JSON or CSV.

DuckDB's own `copy … to '/dev/stdout'` will not do: as JSON it writes NaN, which no reader of JSON
takes, and single precision with nine digits too many; it opens the file behind stdout anew, so that
`>>` and a second statement lose what was there; and it takes neither SHOW nor EXPLAIN.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.progress import count_of
from cva_sql.cli.shop.terminal import for_programs, json_text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, Statement


ROWS_AT_ONCE = 1_000
WIDTH_WITHOUT_TERMINAL = 120


def print_box(con: DuckDBPyConnection, statement: Statement) -> None:
    relation = con.sql(statement.query)
    if relation is None:
        return
    if is_outcome(statement, relation.columns):
        say_outcome(relation.fetchall())
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


def print_json(con: DuckDBPyConnection, columns: Sequence[tuple[str, str]]) -> None:
    names = [json_text(name) for name in _distinct(columns)]
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


def print_csv(con: DuckDBPyConnection, columns: Sequence[tuple[str, str]]) -> None:
    import csv

    writer = csv.writer(for_programs(), lineterminator="\n")
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
        return json_text(value)
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


def is_outcome(statement: Statement, columns: Sequence[str]) -> bool:
    """Whether the result is not rows but what a statement without any did."""
    return statement.type.name != "SELECT" and list(columns) in ([], ["Count"], ["Success"])


def say_outcome(rows: Sequence[tuple[Any, ...]]) -> None:
    if rows and rows[0]:
        print(count_of(rows[0][0], "row"), file=sys.stderr)
