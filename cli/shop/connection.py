"""Connections to the shop's database, and its errors in one line."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.shop.expressions import shortened
from cva_sql.cli.shop.holder import IN_USE, check_free
from cva_sql.cli.shop.limits import set_limits
from cva_sql.cli.shop.sql_text import quoted
from cva_sql.udfs.errors import CvaError, UsageError
from cva_sql.udfs.places import MODELS_FOLDER, PUBLISHED, WORK_FOLDER

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


MAGIC = b"DUCK"  # at byte 8 of every DuckDB file
MAGIC_AT = 8
UNNAMEABLE = ("{{", "{%", "{#")
UNQUOTABLE = "'\"`;"
FOLDERS = {PUBLISHED, WORK_FOLDER, MODELS_FOLDER}
SCHEMAS = {
    "raw", "main", "main_cva", "cva_train", "cva_check", "temp", "system", "pg_catalog",
    "information_schema", "cva_finetune",
}  # fmt: skip


def connect(db: Path, *, read_only: bool = False) -> DuckDBPyConnection:
    """A connection to the shop's database; a CvaError in one line where it cannot be opened.

    So it is while another `cva` command writes the shop, whether it has the file open now or not.
    """
    import duckdb

    check_free(db)
    check_is_duckdb(db)
    if not read_only and db.is_file() and not os.access(db.absolute().parent, os.W_OK | os.X_OK):
        raise CvaError(
            f"{db.absolute().parent} cannot be written to, where DuckDB has its log beside"
            f" {db.name}; make the folder writable, or move the database"
        )
    try:
        con = duckdb.connect(str(db.absolute()), read_only=read_only)
    except duckdb.Error as error:
        raise unopened(db, error) from None
    try:
        set_limits(con)
    except CvaError:
        con.close()
        raise
    return con


def is_in_use(error: CvaError) -> bool:
    """Whether it says that another process has the database: later it may not."""
    return IN_USE in str(error) or "Could not set lock on file" in str(error)


def check_name(db: Path) -> None:
    """Raises UsageError for a file that dbt or DuckDB could not name.

    Its stem is the database's name in SQL, beside the schemas; dbt takes its path for a template.
    """
    odd = next((c for c in UNNAMEABLE if c in str(db.absolute())), None)
    odd = odd or next((c for c in db.name if c in UNQUOTABLE or not c.isprintable()), None)
    if odd:
        raise UsageError(
            f"--db {shortened(str(db))!r} has {odd!r} in its name; call it e.g. shop.duckdb"
        )
    if db.name in FOLDERS:
        raise UsageError(f"--db {db}: cva has a folder of this name; call it e.g. shop.duckdb")
    if db.stem.lower() in SCHEMAS:
        raise UsageError(
            f"--db {db}: {db.stem} is the name of a schema too; call it e.g. shop.duckdb"
        )


def check_is_duckdb(db: Path) -> None:
    """Raises CvaError for a file of another kind.

    DuckDB would look for an extension that reads it, in the network as well.
    """
    try:
        head = _head(db)
    except FileNotFoundError:
        return  # it may be about to be made
    except OSError as error:
        raise CvaError(f"{db} cannot be read: {error.strerror}") from None
    if head[MAGIC_AT:] != MAGIC:
        kinds = {b"": "an empty file", b"SQLite f": "an SQLite database"}
        kind = kinds.get(head[:MAGIC_AT], "no DuckDB database")
        raise CvaError(f"{db} is {kind}; expected a DuckDB file, give another")


def _head(db: Path) -> bytes:
    """The first bytes of a file.

    Where this process has the file open they are read there: to open it once more and close it
    would let go of the lock that DuckDB has on it, and another process could write at a time.
    """
    size = MAGIC_AT + len(MAGIC)
    found = db.stat()
    try:
        handles = [int(path.name) for path in Path("/dev/fd").iterdir()]
    except OSError:  # Windows, whose locks are of the handle
        handles = []
    for handle in handles:
        try:
            if os.path.samestat(os.fstat(handle), found):
                return os.pread(handle, size, 0)
        except OSError:  # closed by now, or opened for writing alone
            continue
    with db.open("rb") as file:
        return file.read(size)


def unopened(db: Path, error: Exception) -> CvaError:
    """What DuckDB's error on opening a file means, in one line."""
    text = str(error).splitlines()[0]
    if "Could not set lock on file" in text:
        holder = re.search(r"PID \d+", str(error))
        by = f" ({holder[0]})" if holder else ""
        return CvaError(f"{db} {IN_USE}{by}; close it there, or read published/current")
    if "different configuration" in text:
        return CvaError(
            f"{db} is open in this very process; close that connection first, e.g. con.close()"
        )
    if re.search(r"checksum|corrupt|enough bytes|deserializ", text, re.IGNORECASE):
        return CvaError(
            f"{db} is damaged: {text}; take a copy of before, or load into another --db"
        )
    return CvaError(f"{db} cannot be opened: {text}")


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
    text = str(error).split("ModelError: ")[-1].strip()
    missing = re.search(r"requires the extension (\w+)|required extension '(\w+)'", text)
    if missing:
        name = missing[1] or missing[2]
        return f"this needs DuckDB's extension {name}, which cva does not load; give a local file"
    return text.splitlines()[0]
