"""Copies what is published into a schema of PostgreSQL, in one transaction.

A table that is there stays: its rows are deleted and copied anew. So views over it, grants and
indexes stay too, and readers go on with the former rows, without a wait, until the commit shows all
tables at once. The other ways fail a reader: TRUNCATE and ALTER lock a table against all who read
it and show an empty one to a transaction that began before; a new table in the place of the former
one does that too, and the views stay with the former. The price is that the rows of the former run
lie in the file until PostgreSQL's own autovacuum has reclaimed them.

Only where columns come or go is a table locked, last of all, and nobody is waited for longer than
`LOCK_SECONDS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cva_sql.cli.load.databases import INSTALL, WAIT_SECONDS, Database
from cva_sql.cli.publish.catalog import Change, Plan, make_plan, marked
from cva_sql.cli.publish.tables import read_tables
from cva_sql.cli.publish.types import copied_rows
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from psycopg import Connection
    from psycopg.sql import Composed

DEFAULT_SCHEMA = "cva"
BATCH_ROWS = 10_000  # of some kilobytes each at most
LOCK_SECONDS = 10


@dataclass(frozen=True)
class Copied:
    """What was written where: rows by table, and what is no longer published."""

    to: str
    schema: str
    rows: dict[str, int]
    dropped: list[str]
    emptied: list[str]


def split_schema(database: Database) -> tuple[Database, str]:
    """The database without the URL's `schema`, and that schema; raises UsageError."""
    from dataclasses import replace

    if database.url.get_backend_name() != "postgresql":
        raise UsageError(
            f"--to {database.shown} is no PostgreSQL; expected postgresql://user@host/database, or"
            " a file like customer_value.xlsx"
        )
    schema = database.url.query.get("schema", DEFAULT_SCHEMA)
    if not isinstance(schema, str) or not schema.strip():
        raise UsageError(f"--to {database.shown}: expected one name in ?schema=NAME")
    return replace(database, url=database.url.difference_update_query(["schema"])), schema


def copy_to_postgresql(
    source: DuckDBPyConnection, database: Database, owner: str, *, is_to_adopt: bool = False
) -> Copied:
    """Makes the schema's tables those of `source`, all of them or, where it fails, none.

    Raises CvaError before anything is written where a table is not cva's, or of another database.
    """
    database, schema = split_schema(database)
    tables, rows = read_tables(source), dict[str, int]()
    with _connected(database) as con, con.transaction():
        _take_turn(con, schema)
        plan = make_plan(con, schema, tables, owner, is_to_adopt=is_to_adopt)
        _make_schema(con, schema)
        for change in sorted(plan.filled, key=lambda change: bool(change.dropped or change.added)):
            rows[change.table.name] = _fill(con, source, schema, change, owner)
        _clear(con, schema, plan)
    return Copied(database.shown, schema, dict(sorted(rows.items())), plan.dropped, plan.emptied)


@contextmanager
def _connected(database: Database) -> Iterator[Connection[Any]]:
    """A connection; errors in one line without a secret."""
    try:
        import psycopg
    except ImportError:
        raise CvaError(f"--to {database.shown}: its driver is missing; {INSTALL}") from None

    given: dict[str, Any] = {"connect_timeout": WAIT_SECONDS, "application_name": "cva publish"}
    given |= database.url.query
    given |= database.url.translate_connect_args(username="user", database="dbname")
    given |= {"client_encoding": "utf8", "autocommit": True}
    try:
        con: Connection[Any] = psycopg.connect(**given)
    except (psycopg.ProgrammingError, ValueError, TypeError) as error:  # an option of the URL
        raise UsageError(f"--to {database.shown}: {database.hide(str(error))}") from None
    except (psycopg.Error, OSError) as error:
        raise CvaError(f"--to {database.shown}: {database.hide(str(error))}") from None
    try:
        yield con
    except psycopg.errors.LockNotAvailable as error:
        raise CvaError(
            f"--to {database.shown}: {database.hide(str(error))}: somebody else has a table of it"
            " open; nothing was changed, run it again"
        ) from None
    except (psycopg.Error, OSError) as error:
        table = "".join(f"{name}: " for name in getattr(error, "__notes__", []))
        raise CvaError(f"--to {database.shown}: {table}{database.hide(str(error))}") from None
    finally:
        con.close()


def _take_turn(con: Connection[Any], schema: str) -> None:
    """One publishes into a schema at a time."""
    con.execute(f"set local lock_timeout = '{LOCK_SECONDS}s'")
    has_turn = con.execute(
        "select pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"cva publish {schema}"]
    ).fetchone()
    if has_turn != (True,):
        raise CvaError(f"another cva publish writes into {schema}; try again when it has ended")


def _make_schema(con: Connection[Any], schema: str) -> None:
    """Not where it is there: that takes the right to make schemas, which its user may not have."""
    there = con.execute("select 1 from pg_namespace where nspname = %s", [schema]).fetchone()
    if there is None:
        con.execute(_sql("create schema {}", schema))


def _fill(
    con: Connection[Any], source: DuckDBPyConnection, schema: str, change: Change, owner: str
) -> int:
    """Gives a table its columns, rows and comments; how many rows it has."""
    if change.is_new:
        con.execute(_create(schema, change))
    else:
        con.execute(_sql("delete from {}", (schema, change.table.name)))
    for name in change.dropped:
        con.execute(_sql("alter table {} drop column {}", (schema, change.table.name), name))
    for name in change.added:
        add = f"alter table {{}} add column {{}} {change.columns[name]}"
        con.execute(_sql(add, (schema, change.table.name), name))
    count = _copy(con, source, schema, change)
    _comment(con, schema, change, owner)
    return count


def _create(schema: str, change: Change) -> Composed:
    declared = ", ".join(f"{{}} {kind}" for kind in change.columns.values())
    return _sql(f"create table {{}} ({declared})", (schema, change.table.name), *change.columns)


def _copy(con: Connection[Any], source: DuckDBPyConnection, schema: str, change: Change) -> int:
    """Copies the rows; an error that a value makes has the table's name as its note."""
    import psycopg

    names = [column.name for column in change.table.columns]
    places = ", ".join("{}" for _ in names)
    statement = _sql(f"copy {{}} ({places}) from stdin", (schema, change.table.name), *names)
    cursor = con.cursor()
    try:
        with cursor.copy(statement) as copy:
            for batch in source.sql(copied_rows(change.table)).to_arrow_reader(BATCH_ROWS):
                copy.write("".join(batch.column(0).to_pylist()).encode())
    except psycopg.DataError as error:
        error.add_note(change.table.name)
        raise
    return cursor.rowcount


def _comment(con: Connection[Any], schema: str, change: Change, owner: str) -> None:
    """Says what the table and its columns are, all in one exchange with the server."""
    from psycopg import sql

    place = (schema, change.table.name)
    said = [
        _sql("comment on table {} is ", place)
        + sql.Literal(marked(change.table, change.columns, owner))
    ]
    said += [
        _sql("comment on column {} is ", (*place, column.name)) + sql.Literal(column.comment)
        for column in change.table.columns
    ]
    con.execute(sql.SQL("; ").join(said))


def _clear(con: Connection[Any], schema: str, plan: Plan) -> None:
    """Drops what is no longer published; what a view of the user's reads is emptied instead."""
    for name in plan.emptied:
        con.execute(_sql("delete from {}", (schema, name)))
    for name in plan.dropped:
        con.execute(_sql("drop table {}", (schema, name)))


def _sql(text: str, *names: str | tuple[str, ...]) -> Composed:
    """The statement with names, of one part or several, quoted in their places."""
    from psycopg import sql

    parts = [sql.Identifier(*((name,) if isinstance(name, str) else name)) for name in names]
    return sql.SQL(text).format(*parts)
