"""What DuckDB may take of the machine: CVA_MEMORY_LIMIT and CVA_THREADS, for every command."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cva_sql.cli.shop.expressions import shortened
from cva_sql.udfs.cores import THREADS_VARIABLE, cores
from cva_sql.udfs.errors import UsageError
from cva_sql.udfs.memory import size_in_bytes

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY_VARIABLE = "CVA_MEMORY_LIMIT"
LEAST_MEMORY = 64_000_000  # bytes; below, DuckDB cannot even open a database of some size


def duckdb_limits() -> dict[str, str]:
    """DuckDB's settings: memory where it was set, threads where they are not all of the machine.

    Raises UsageError for what is no size or no number.
    """
    found = {}
    memory = os.environ.get(MEMORY_VARIABLE)
    if memory:
        size = size_in_bytes(memory)
        if size is None or size < LEAST_MEMORY:
            raise UsageError(
                f"{MEMORY_VARIABLE} is {shortened(memory)!r}; expected a size from 64MB, e.g. 4GB"
            )
        found["memory_limit"] = f"{int(size)}B"
    threads = os.environ.get(THREADS_VARIABLE)
    if threads and not (threads.isascii() and threads.isdigit() and 1 <= int(threads) <= 1024):
        raise UsageError(
            f"{THREADS_VARIABLE} is {shortened(threads)!r}; expected a number from 1 to 1024"
        )
    if threads or cores() != os.cpu_count():
        found["threads"] = str(cores())
    return found


def set_limits(con: DuckDBPyConnection) -> None:
    """Sets them for the database that the connection has open, in this process."""
    for name, value in duckdb_limits().items():
        con.execute(f"set {name} = '{value}'").fetchall()
