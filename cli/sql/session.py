"""Statements on a shop's database: told apart, and run with the SQL functions at hand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.connection import connect, reason_of
from cva_sql.cli.shop.lock import exclusive
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, Statement


@contextmanager
def opened(shop: ResolvedShop, *, read_only: bool) -> Iterator[DuckDBPyConnection]:
    """A connection with the functions registered; one that may write keeps other commands off."""
    from cva_sql.udfs.register import register, unregister

    with nullcontext() if read_only else exclusive(shop):
        con = connect(shop.db, read_only=read_only)
        try:
            # A mistyped table must not become a variable of ours.
            con.execute("set python_enable_replacements = false").fetchall()
            register(
                con,
                models_dir=shop.models_dir,
                work_dir=shop.work_dir,
                encoder_tier=shop.encoder_tier,
            )
            yield con
        finally:
            unregister(con)
            con.close()


def split(text: str) -> Sequence[Statement]:
    """The statements in a text; raises CvaError where it is not SQL."""
    import duckdb

    with duckdb.connect() as parser, one_line_errors():
        return parser.extract_statements(text)


def only_reads(statement: Statement) -> bool:
    """Whether a statement leaves the database as it is."""
    kinds = {"SELECT", "EXPLAIN", "PRAGMA", "SET", "VARIABLE_SET", "RELATION"}
    hidden = r"\bnextval\b|\bexplain\s+analyze\b"  # what writes, and may do so inside of these
    return statement.type.name in kinds and not re.search(hidden, statement.query, re.IGNORECASE)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Raises what DuckDB says as a CvaError of one line, ours where a function of ours says it."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise CvaError(reason_of(error)) from None


def query_shop(shop: ResolvedShop, text: str) -> Any:
    """Runs the statements of a text; what the last of them gives, as a pyarrow Table.

    One that gives none, such as DROP, gives a table without rows.
    """
    import pyarrow as pa

    statements = split(text)
    if not statements:
        raise CvaError('no statement; give one, e.g. "select count(*) from raw.orders"')
    with opened(shop, read_only=all(only_reads(one) for one in statements)) as con:
        for statement in statements[:-1]:
            with one_line_errors():
                con.execute(statement.query).fetchall()
        with one_line_errors():
            found = con.sql(statements[-1].query)
            return pa.table({}) if found is None else found.to_arrow_table()
