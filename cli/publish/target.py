"""Where to publish: a database by its URL, or a workbook by its name."""

from __future__ import annotations

import os
from pathlib import Path

from cva_sql.cli.load.databases import Database, find_database
from cva_sql.udfs.errors import UsageError

WORKBOOK = ".xlsx"
EXPECTED = "expected postgresql://user@host/database, or a file like customer_value.xlsx"


def parse_target(given: str) -> Database | Path:
    """The database of a URL or of an environment variable with one, or a file; UsageError."""
    if "://" in given or "://" in os.environ.get(given, ""):
        return find_database(given, "--to")
    if given.lower().endswith(WORKBOOK):
        return Path(given)
    # What is no name may hold a password, and is not repeated.
    what = f"{given}: no such environment variable" if given.isidentifier() else "is no URL"
    raise UsageError(f"--to {what}; {EXPECTED}")
