"""Whether what is wanted of a load can be, before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cva_sql.cli.load.lines import refuse_amount_per
from cva_sql.cli.shop.expressions import check_expression, shortened
from cva_sql.cli.shop.package import raw_tables
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from cva_sql.cli.load.table import Into, Wanted


def check(table: str, wanted: Wanted, into: Into) -> None:
    """Raises UsageError where what is wanted cannot be of this table, or excludes itself."""
    if into.replace and into.append:
        raise UsageError("--replace and --append exclude each other; give one of them")
    _check_expressions(wanted.columns, wanted.where)
    refuse_amount_per(table, wanted.amount_per)


def check_table(table: str, wanted: Wanted, files: bool, query: bool) -> None:
    """Raises UsageError where there is no such table, or the source does not go with it."""
    tables = raw_tables()
    if table not in tables:
        raise UsageError(
            f"'{shortened(table)}' is not a table; expected one of {', '.join(tables)}"
        )
    if files == query:
        raise UsageError("expected either files or --query, e.g. cva load orders orders.csv")
    if wanted.lines and table != "orders":
        raise UsageError(f"--lines sums order lines into orders, not {table}; leave it out")
    known = tables[table].columns
    for name in wanted.columns.keys() - known.keys():
        expected = ", ".join(known)
        raise UsageError(
            f"--column {shortened(name)}: {table} has no such column; expected {expected}"
        )


def _check_expressions(columns: Mapping[str, str], where: str | None) -> None:
    for name, expression in columns.items():
        check_expression(expression, f"--column {name}")
    if where is not None:
        check_expression(where, "--where")
