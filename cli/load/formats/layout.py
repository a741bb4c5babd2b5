"""A way to read a delimited text, and the first row that does not fit it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.load.formats.source import sql_path, unique_names
from cva_sql.cli.shop.sql_text import listed, literal, one_line

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

USUAL_LINE_BYTES = 2_000_000  # DuckDB's, whose buffers are several times as large
LONGEST_LINE_BYTES = 64_000_000  # only for a file that has such a row: a text of a book or two
LONGER = f"longer than {LONGEST_LINE_BYTES:,} bytes; leave out its longest text"
TOO_LONG = f"{LONGER}, or end the quotes that make it one row"


@dataclass(frozen=True)
class Layout:
    """A way to read a delimited text; `skip` lines are above the header."""

    delimiter: str
    header: tuple[str, ...]
    skip: int = 0
    skipped: int = 0  # of them, those that say something
    quote: str = '"'
    escape: str = '"'
    longest: int = USUAL_LINE_BYTES

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all fields."""
        return unique_names(self.header)

    def ways(self, path: Path) -> tuple[Layout, ...]:
        """How `path` may be read, the usual way first; one that reads all of it is the right one.

        A quote within quotes is doubled or has a backslash; rows are of the usual length or longer.
        """
        escapes = self, replace(self, escape="\\")
        if path.stat().st_size <= USUAL_LINE_BYTES:
            return escapes
        return *escapes, *(replace(one, longest=LONGEST_LINE_BYTES) for one in escapes)

    def select(self, path: Path) -> str:
        """SQL that reads all of the file or fails: nothing is guessed, nothing dropped."""
        return f"select * from {self.reader(path)}"

    def reader(self, path: Path, more: str = "") -> str:
        """The table function that reads `path`; `more` are further options of DuckDB's."""
        names = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in self.names)
        options = {
            "columns": f"{{{names}}}",
            "auto_detect": "false",
            "header": "true",
            "skip": str(self.skip),
            "delim": literal(self.delimiter),
            "quote": literal(self.quote),
            "escape": literal(self.escape),
            "comment": "''",
            "compression": "'none'",
            "strict_mode": "true",
            "hive_partitioning": "false",
            "max_line_size": str(self.longest),
        }
        listed_options = ", ".join(f"{name} = {value}" for name, value in options.items())
        return f"read_csv({sql_path(path)}, {listed_options}{more})"


def misfit(con: DuckDBPyConnection, file: Path, path: Path, layout: Layout) -> str | None:
    """One line on the first row that does not fit the header; None if all do."""
    # Read with the kind of quotes that goes further: the other one breaks at its first quote.
    last = layout.ways(path)[-2:]  # those that take the longest rows
    return max(_misfit(con, file, path, one) for one in last)[1] or None


def _misfit(con: DuckDBPyConnection, file: Path, path: Path, layout: Layout) -> tuple[float, str]:
    """Where the first row is that does not fit, and a line on it."""
    import duckdb

    scan = layout.reader(path, ", store_rejects = true")
    try:
        con.execute(f"select count(*) from {scan}").fetchall()
        found = con.execute(
            "select line_byte_position, error_type, error_message, csv_line from reject_errors"
            " order by line_byte_position,"
            " try_cast(regexp_extract(error_message, 'Found: ([0-9]+)', 1) as int) desc limit 1"
        ).fetchone()
    except duckdb.Error as error:
        if "aximum line size" in str(error):
            return -1, f"{file} has a row {TOO_LONG}"
        return -1, f"{file} cannot be read: {one_line(error)}"
    finally:
        con.execute("drop table if exists reject_errors; drop table if exists reject_scans")
    if not found:
        return inf, ""
    position, kind, said, row = found
    number = f"{_line_number(path, max(0, position - 1)):,}"
    shown = repr(str(row).strip("\r\n")[:60])
    if "LINE SIZE" in kind:
        return position, f"{file}: line {number} is {TOO_LONG}: {shown}"
    if "COLUMNS" not in kind:
        return position, (
            f"{file}: line {number} has a quote that does not end its field: {shown}; double the"
            " quotes within it"
        )
    fields = re.search(r"Found: (\d+)", said)
    return position, (
        f"{file}: line {number} has {fields[1] if fields else 'other'} fields, the header has"
        f" {len(layout.header)} ({listed(layout.names)}): {shown}; mend that line"
    )


def _line_number(path: Path, position: int) -> int:
    with path.open("rb") as stream:
        before = stream.read(position)
    return 1 + (before.count(b"\n") or before.count(b"\r"))
