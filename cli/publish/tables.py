"""The tables that were published last: their columns, what is said of them, and their rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop


@dataclass(frozen=True)
class Column:
    """A column, its type as DuckDB names it, and its comment."""

    name: str
    kind: str
    comment: str | None


@dataclass(frozen=True)
class Table:
    """A published table with its columns in order."""

    name: str
    comment: str | None
    columns: tuple[Column, ...]


@contextmanager
def opened(shop: ResolvedShop) -> Iterator[DuckDBPyConnection]:
    """The published file, which stays the one that it is whatever is published meanwhile."""
    import duckdb

    from cva_sql.cli.run.scores import published_file
    from cva_sql.cli.shop.connection import connect, reason_of
    from cva_sql.udfs.errors import CvaError

    file = published_file(shop)
    con = connect(file, read_only=True)
    try:
        con.execute("set timezone = 'UTC'").fetchall()
        yield con
    except duckdb.Error as error:
        raise CvaError(f"{file} cannot be read: {reason_of(error)}") from None
    finally:
        con.close()


def read_tables(con: DuckDBPyConnection) -> list[Table]:
    """What the file holds, by name."""
    columns: dict[str, list[Column]] = {}
    for table, *column in con.execute(
        "select table_name, column_name, data_type, comment from duckdb_columns() "
        "where database_name = current_database() and not internal order by column_index"
    ).fetchall():
        columns.setdefault(table, []).append(Column(*column))
    found = con.execute(
        "select table_name, comment from duckdb_tables() "
        "where database_name = current_database() order by table_name"
    ).fetchall()
    return [Table(name, comment, tuple(columns[name])) for name, comment in found]


def identity(shop: ResolvedShop) -> str:
    """What names the database where others publish too: its name, and a digest of its place.

    The place itself is nobody's business there.
    """
    place = shop.db.resolve()
    return f"{place.name} {hashlib.sha256(bytes(place)).hexdigest()[:12]}"
