"""The published tables that people read, as a workbook: a sheet a table, and one that explains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.cli.audience.workbook import MAX_ROWS, WRAPPED, Page, make_workbook
from cva_sql.cli.publish.tables import Column, Table, read_tables
from cva_sql.cli.publish.types import is_nested
from cva_sql.cli.shop.shop import CURRENT
from cva_sql.cli.shop.sql_text import quoted
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop

VALUES = "customer_value"
# What people read and act on; the others are many times as long, and what a database is for.
SHEETS = (
    VALUES,
    "customer_segments",
    "next_actions",
    "churn_alerts",
    "customer_economics",
    "channel_economics",
    "cohort_retention",
)
COLUMNS = "columns"  # the sheet that explains the others
FETCHED = 10_000  # rows
SEEN = 1_000  # rows that say how wide a column is
NARROW, WIDE = 10, 40  # characters
PERCENT = ("_rate", "_probability", "_percentile")
FORMATS = {
    "DATE": "yyyy-mm-dd",
    "TIMESTAMP": "yyyy-mm-dd hh:mm:ss",
    "TIMESTAMP WITH TIME ZONE": "yyyy-mm-dd hh:mm:ss",
}
WHOLE = ("INTEGER", "BIGINT", "SMALLINT", "TINYINT", "HUGEINT")


@dataclass(frozen=True)
class Book:
    """The file that was written, and the rows of its sheets."""

    to: str
    rows: dict[str, int]


def write_book(
    source: DuckDBPyConnection,
    shop: ResolvedShop,
    out: Path,
    owner: str,
    *,
    is_to_adopt: bool = False,
) -> Book:
    """Writes the workbook, whole or not at all; only over one that cva wrote of this database."""
    from cva_sql.cli.audience.writing import refuse_place
    from cva_sql.cli.publish.mark import refuse_other, sealed
    from cva_sql.cli.shop.files import write_files

    refuse_place(out, shop, "--to", f"{VALUES}.xlsx")
    refuse_other(out, owner, is_to_adopt=is_to_adopt)
    found = {table.name: table for table in read_tables(source)}
    tables = [found[name] for name in SHEETS if name in found]
    if VALUES not in found:
        raise CvaError(f"{VALUES} is not published; publish it with: {shop.command('run')}")
    rows = {table.name: _count(source, table) for table in tables}
    for name, count in rows.items():
        if count >= MAX_ROWS:
            file = shop.published / CURRENT / f"{name}.parquet"
            raise UsageError(
                f"{name} has {count:,} rows, and a sheet holds {MAX_ROWS:,} with its header; read"
                f" {file}, or publish to PostgreSQL"
            )
    at = source.execute(f"select max(scored_at) from {quoted(VALUES)}").fetchone()
    made_at = at[0] if at and at[0] else datetime(2000, 1, 1)
    pages = (page for page in [_columns(tables), *(_page(source, table) for table in tables)])
    data = sealed(make_workbook(pages, made_at), owner)
    write_files(out.parent, {out.name: data})
    return Book(str(out), rows)


def _columns(tables: list[Table]) -> Page:
    """What each column is, by sheet."""
    rows = [(table.name, "", table.comment or "") for table in tables]
    rows += [(t.name, column.name, column.comment or "") for t in tables for column in t.columns]
    return Page(COLUMNS, ("sheet", "column", "meaning"), rows, widths=(24, 28, 2 * WRAPPED))


def _page(source: DuckDBPyConnection, table: Table) -> Page:
    """The table's rows in its own order; the first column stays in view where it names a row."""
    return Page(
        table.name,
        [column.name for column in table.columns],
        _rows(source, table),
        [_format(column) for column in table.columns],
        _widths(source, table),
        fixed="B2" if table.columns[0].name == "customer_id" else "A2",
    )


def _rows(source: DuckDBPyConnection, table: Table) -> Iterator[tuple[Any, ...]]:
    values = ", ".join(_value(column) for column in table.columns)
    found = source.execute(f"select {values} from {quoted(table.name)}")
    while rows := found.fetchmany(FETCHED):
        yield from rows


def _value(column: Column) -> str:
    name = quoted(column.name)
    return f"cast(to_json({name}) as varchar)" if is_nested(column) else name


def _format(column: Column) -> str:
    if column.kind in FORMATS:
        return FORMATS[column.kind]
    if column.kind.startswith(("DOUBLE", "FLOAT", "DECIMAL")):
        return "0.0%" if column.name.endswith(PERCENT) else "#,##0.00"
    return "#,##0" if column.kind in WHOLE else "General"


def _widths(source: DuckDBPyConnection, table: Table) -> list[int]:
    """As wide as the longest text of the first rows, within reason; numbers as their names."""
    texts = [column for column in table.columns if column.kind == "VARCHAR"]
    longest = dict[str, int]()
    if texts:
        lengths = ", ".join(f"max(length({quoted(column.name)}))" for column in texts)
        row = source.execute(
            f"select {lengths} from (from {quoted(table.name)} limit {SEEN})"
        ).fetchone()
        longest = {
            column.name: length or 0 for column, length in zip(texts, row or (), strict=True)
        }
    names = [column.name for column in table.columns]
    return [min(max(NARROW, len(name) + 4, longest.get(name, 0) + 2), WIDE) for name in names]


def _count(source: DuckDBPyConnection, table: Table) -> int:
    row = source.execute(f"select count(*) from {quoted(table.name)}").fetchone()
    return int(row[0]) if row else 0
