"""Connections to the shop's database, and its errors in one line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.shop.sql_text import quoted
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def connect(db: Path, *, read_only: bool = False) -> DuckDBPyConnection:
    """A connection to the shop's database; a CvaError in one line where it cannot be opened."""
    import duckdb

    try:
        return duckdb.connect(str(db), read_only=read_only)
    except duckdb.Error as error:
        text = str(error).splitlines()[0]
        if "lock" in text.lower():
            raise CvaError(
                f"{db} is in use by another process; close it there, or read published/current"
            ) from None
        if "different configuration" in text:
            raise CvaError(
                f"{db} is open in this very process; close that connection first, e.g. con.close()"
            ) from None
        raise CvaError(f"{db} cannot be opened: {text}") from None


def check_not_open_here(db: Path) -> None:
    """Raises CvaError where this process has a connection of its own to the database.

    dbt runs in a child process, and would wait or fail for the lock that such a connection holds.
    DuckDB refuses a second connection of the other kind, so that one of the two tells.
    """
    for read_only in (False, True):
        connect(db, read_only=read_only).close()


def has_table(db: Path, schema: str, table: str) -> bool:
    """Whether the database has a table or view of this name, in whatever case."""
    con = connect(db)
    try:
        return find_relation(con, schema, table) is not None
    finally:
        con.close()


def find_relation(con: DuckDBPyConnection, schema: str, table: str) -> str | None:
    """A table or view of the current database in SQL, however its name is spelt; else None."""
    rows = con.execute(
        "select table_schema, table_name from information_schema.tables where "
        "table_catalog = current_database() and lower(table_schema) = lower(?) "
        "and lower(table_name) = lower(?)",
        [schema, table],
    ).fetchall()
    return f"{quoted(rows[0][0])}.{quoted(rows[0][1])}" if rows else None


def reason_of(error: Exception) -> str:
    """DuckDB's error in one line; our own message where a SQL function raised it."""
    return str(error).split("ModelError: ")[-1].strip().splitlines()[0]
