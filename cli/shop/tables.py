"""Tables that commands write, without a model of dbt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.sql_text import literal, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop


def make_table(con: DuckDBPyConnection, table: str, columns: Mapping[str, tuple[str, str]]) -> None:
    """Makes an empty table, named as SQL names it; `columns` as in `write_table`."""
    declared = ", ".join(f"{quoted(name)} {kind}" for name, (kind, _) in columns.items())
    con.execute(f"create table {table} ({declared})").fetchall()
    comment_on(con, table, columns)


def comment_on(con: DuckDBPyConnection, table: str, columns: Mapping[str, tuple[str, str]]) -> None:
    """Says in the database what the columns are."""
    for name, (_, comment) in columns.items():
        con.execute(f"comment on column {table}.{quoted(name)} is {literal(comment)}").fetchall()


def write_table(
    shop: ResolvedShop,
    name: str,
    columns: Mapping[str, tuple[str, str]],
    rows: Sequence[Mapping[str, Any]],
    schema: str | None = None,
) -> None:
    """Replaces a table of the target schema or another; `columns` are name -> (type, comment).

    The table changes whole, with its comments, or not at all.
    """
    import pyarrow as pa

    from cva_sql.cli.shop.connection import connect
    from cva_sql.udfs.manifest import plain

    arrow = {"double": pa.float64(), "integer": pa.int32()}  # dates are cast from text
    added = pa.table(  # noqa: F841 - the query below reads it by name
        {
            column: pa.array([plain(row[column]) for row in rows], arrow.get(kind, pa.string()))
            for column, (kind, _) in columns.items()
        }
    )
    schema = quoted(schema or shop.schema)
    table = f"{schema}.{quoted(name)}"
    casts = [f'cast("{column}" as {kind}) as "{column}"' for column, (kind, _) in columns.items()]
    query = f"create or replace table {table} as select {', '.join(casts)} from added"
    con = connect(shop.db)
    try:
        con.begin()
        con.execute(f"create schema if not exists {schema}").fetchall()
        con.execute(query).fetchall()
        comment_on(con, table, columns)
        con.commit()
    finally:
        con.close()
