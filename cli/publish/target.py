"""Where to publish: a database by its URL."""

from __future__ import annotations

import os

from cva_sql.cli.load.databases import Database, find_database
from cva_sql.udfs.errors import UsageError

EXPECTED = "expected postgresql://user@host/database"


def parse_target(given: str) -> Database:
    """The database of a URL, or of an environment variable that holds one; raises UsageError."""
    if "://" in given or "://" in os.environ.get(given, ""):
        return find_database(given, "--to")
    # What is no name may hold a password, and is not repeated.
    what = f"{given}: no such environment variable" if given.isidentifier() else "is no URL"
    raise UsageError(f"--to {what}; {EXPECTED}")
