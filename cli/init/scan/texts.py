"""Columns of texts that are numbers or times: the SQL that reads them, how well, and a doubt."""

from __future__ import annotations

from cva_sql.cli.init.scan.tables import READABLE, Column, Table
from cva_sql.cli.readings.column import Unclear, trimmed
from cva_sql.cli.readings.numbers import POINT, decide_number, look_at_numbers
from cva_sql.cli.readings.times import decide_time, look_at_times
from cva_sql.cli.shop.sql_text import quoted

ODD = 0.95  # how sure a form is that staging does not read by itself
As = tuple[str, float, str]


def read_number(table: Table, column: Column, sql: str) -> As | None:
    """The text as a number; None where too few values are one."""
    found = look_at_numbers(table.con, table.sample, trimmed(quoted(column.name)))
    if found.values == 0 or found.readable < READABLE * found.values:
        return None
    decided = decide_number(found, sql, None, None)
    doubt = decided.why if isinstance(decided, Unclear) else ""
    if isinstance(decided, Unclear):
        decided = decide_number(found, sql, POINT, None)
    if len(found.units) > 1:
        doubt = f"amounts in {' and '.join(sorted(found.units))}"
    if decided is None or isinstance(decided, Unclear):
        return sql, 1, doubt
    return f"try_cast({decided.expression} as decimal(18, 4))", ODD, doubt


def read_time(table: Table, column: Column, sql: str) -> As | None:
    """The text as a time; None where too few values are one."""
    found = look_at_times(table.con, table.sample, trimmed(quoted(column.name)))
    if found.values == 0 or found.readable < READABLE * found.values:
        return None
    doubt = ""
    decided = decide_time(found, sql, None, None, "UTC")
    if isinstance(decided, Unclear):
        orders = found.possible or list(found.orders)
        doubt = "day or month first? no value tells" if orders else decided.why
        decided = decide_time(found, sql, next(iter(orders), None), None, "UTC")
    if decided is None:
        return sql, 1, doubt
    return (sql if isinstance(decided, Unclear) else decided.expression), ODD, doubt
