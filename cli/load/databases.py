"""Queries and tables of other databases, by their URL and SQLAlchemy: the extra `sql`.

No message has a password in it: the URL is shown without it, and so is what a driver says.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from cva_sql.cli.load.batches import fill_table
from cva_sql.cli.shop.sql_text import quoted
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from sqlalchemy import URL, Connection

DRIVERS = {"postgresql": "psycopg", "postgres": "psycopg", "mysql": "pymysql", "mariadb": "pymysql"}
EXAMPLE = "postgresql://user@host/database"
INSTALL = "pip install 'cva-sql[sql]'"
BATCH_ROWS = 20_000  # of some ten columns: a few megabytes
WAIT_SECONDS = 10  # for a host that does not answer
HIDDEN = "***"
SECRET = ("pass", "pwd", "token", "secret", "key")  # in the name of a URL's option


@dataclass(frozen=True)
class Database:
    """A database by its URL; `shown` is the URL without its password and options."""

    url: URL
    shown: str

    def hide(self, text: str) -> str:
        """The text in one line without the URL's secrets, however they are written."""
        line = " ".join((text.strip() or "no reason was given").splitlines()[0].split())
        for secret in (self.url.password, *self._secret_options()):
            for written in _written(secret):
                line = line.replace(written, HIDDEN)
        return line[:300]

    def _secret_options(self) -> Iterator[str]:
        for name, value in self.url.query.items():
            if any(part in name.lower() for part in SECRET):
                yield from (value,) if isinstance(value, str) else value


def _written(secret: str | None) -> set[str]:
    """The secret in plain and as a URL has it."""
    return {secret, quote(secret, safe=""), quote_plus(secret)} if secret else set()


def find_database(given: str, option: str = "--from") -> Database:
    """The database of a URL, or of an environment variable that holds one; raises UsageError."""
    try:
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError
    except ImportError:
        raise CvaError(f"{option} needs SQLAlchemy and a driver; install them: {INSTALL}") from None
    text = given if "://" in given else os.environ.get(given, "")
    if "://" not in text:
        # What is no name may hold a password, and is not repeated.
        what = f"{given}: no such environment variable" if given.isidentifier() else "is no URL"
        raise UsageError(f"{option} {what}; expected a URL, e.g. {EXAMPLE}")
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise UsageError(
            f"{option} is a URL that cannot be read; expected one like {EXAMPLE}, with @, / and :"
            " of a password written %40, %2F and %3A"
        ) from None
    if "@" in (url.host or ""):
        raise UsageError(f"{option} has an @ in its user or password; write it as %40")
    backend, _, driver = url.drivername.partition("+")
    if not driver and backend in DRIVERS:
        dialect = "postgresql" if backend == "postgres" else backend
        url = url.set(drivername=f"{dialect}+{DRIVERS[backend]}")
    shown = url.set(query={}, drivername=backend).render_as_string(hide_password=True)
    return Database(url, shown)


def read_query(con: DuckDBPyConnection, given: str, query: str) -> None:
    """Makes `temp.cva_source` of what the SELECT gives in the database of the URL, as it comes."""
    database = find_database(given)
    with _connected(database) as connection:
        _copy(con, database, connection, ("--query", query), "temp.cva_source")


def copy_tables(
    con: DuckDBPyConnection,
    given: str,
    into: str,
    schema: str | None,
    is_wanted: Callable[[list[str]], bool],
) -> None:
    """Copies the tables whose columns are wanted into the attached database `into`."""
    from sqlalchemy import inspect
    from sqlalchemy.engine.reflection import ObjectKind

    database = find_database(given)
    with _connected(database) as connection:
        looked, quoting = inspect(connection), connection.dialect.identifier_preparer
        schemas = [schema] if schema else looked.get_schema_names()
        for place in schemas:
            found = looked.get_multi_columns(schema=place, kind=ObjectKind.ANY)
            for (_, table), columns in sorted(found.items(), key=lambda item: item[0][1]):
                if not is_wanted([column["name"] for column in columns]):
                    continue
                con.execute(f"create schema if not exists {into}.{quoted(place)}")
                name = f"{quoting.quote_identifier(place)}.{quoting.quote_identifier(table)}"
                target = f"{into}.{quoted(place)}.{quoted(table)}"
                named = (f"{place}.{table}", f"select * from {name}")
                _copy(con, database, connection, named, target)


@contextmanager
def _connected(database: Database) -> Iterator[Connection]:
    """A connection that only reads and streams; errors in one line without a secret."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError
    from sqlalchemy.pool import NullPool

    url = _only_read(database)
    backend = url.get_backend_name()
    options: dict[str, Any] = {"stream_results": True, "no_parameters": True}
    options |= {"postgresql_readonly": True} if backend == "postgresql" else {}
    waits = backend in DRIVERS and "connect_timeout" not in url.query
    waiting = {"connect_timeout": WAIT_SECONDS} if waits else {}
    try:
        engine = create_engine(url, poolclass=NullPool, connect_args=waiting)
        connection = engine.connect()
    except (NoSuchModuleError, ImportError):
        is_ours = url.drivername.endswith(f"+{DRIVERS.get(backend)}")
        advice = INSTALL if is_ours else f"install what SQLAlchemy needs for {url.drivername}"
        raise CvaError(f"--from {database.shown}: its driver is missing; {advice}") from None
    except (SQLAlchemyError, OSError, ValueError, TypeError) as error:
        raise CvaError(f"--from {database.shown}: {database.hide(_said(error))}") from None
    try:
        yield connection.execution_options(**options)
    except (SQLAlchemyError, OSError) as error:
        raise CvaError(f"--from {database.shown}: {database.hide(_said(error))}") from None
    finally:
        connection.close()  # without a commit: nothing is kept there


def _only_read(database: Database) -> URL:
    """The URL, so that SQLite does not make a file that is not there, nor writes one that is."""
    url = database.url
    if not url.drivername.startswith("sqlite"):
        return url
    file = Path(url.database or "")
    if not file.is_file():
        raise CvaError(f"{database.shown} is no file; expected a SQLite database")
    path = quote(str(file.resolve()))
    return url.set(database=f"file:{path}", query={"mode": "ro", "uri": "true"})


def _said(error: Exception) -> str:
    """What the driver said, without SQLAlchemy's copy of the query."""
    return str(getattr(error, "orig", None) or error)


def _copy(
    con: DuckDBPyConnection,
    database: Database,
    connection: Connection,
    named: tuple[str, str],
    target: str,
) -> None:
    """Makes `target` of a query, given with what it is called; a UsageError if it is none."""
    from sqlalchemy.exc import DBAPIError

    name, query = named
    try:
        result = connection.exec_driver_sql(query.strip().rstrip(";"))
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        raise UsageError(f"{name}: {database.hide(_said(error))}") from None
    if not result.returns_rows:
        raise UsageError(f"{name}: expected one SELECT, e.g. --query 'select * from sales'")
    fill_table(con, target, list(result.keys()), result.partitions(BATCH_ROWS))
