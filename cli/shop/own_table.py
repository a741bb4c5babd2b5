"""A table or file of customers that a command is given in place of a shop's orders."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop

FILES = {".csv": "read_csv", ".tsv": "read_csv", ".txt": "read_csv", ".parquet": "read_parquet"}
PREFIX = "predict_"  # of the kind of model, so that its SQL function is cva_predict_<name>


def name_of(table: str, given: str | None) -> str:
    """What a model of a table is called; raises UsageError where that is none for a function."""
    from cva_sql.udfs.register import FUNCTIONS

    path = Path(table)
    stem = path.stem if path.suffix.lower() in FILES else table.split(".")[-1]
    name = given or re.sub(r"\W+", "_", stem).lower()
    if not re.fullmatch(r"[a-z0-9_]{1,60}", name) or f"cva_{PREFIX}{name}" in FUNCTIONS:
        raise UsageError(
            f"--name {name}: expected a-z, 0-9 and _, at most 60, and not changed; "
            "it becomes the SQL function cva_predict_<name>"
        )
    return name


def open_table(shop: ResolvedShop, table: str) -> tuple[DuckDBPyConnection, str]:
    """A connection and the relation in it that a table or file is; raises UsageError."""
    import duckdb

    from cva_sql.cli.shop.connection import connect
    from cva_sql.cli.shop.sql_text import quoted

    path = Path(table)
    if path.suffix.lower() in FILES:
        if not path.is_file():
            raise UsageError(f"--table {table}: there is no such file")
        literal = str(path).replace("'", "''")
        return duckdb.connect(), f"{FILES[path.suffix.lower()]}('{literal}')"
    if not shop.db.is_file():
        raise UsageError(
            f"--table {table}: {shop.db} does not exist, and a file ends in {', '.join(FILES)}"
        )
    return connect(shop.db, read_only=True), ".".join(quoted(part) for part in table.split("."))
