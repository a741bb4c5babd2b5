"""Delimited text: what parts its fields, where its header is, and how DuckDB reads it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.load.formats.headers import find_header, left_out_above, usual_width
from cva_sql.cli.load.formats.layout import Layout, misfit
from cva_sql.cli.load.formats.source import Source
from cva_sql.cli.shop.expressions import shortened
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DELIMITERS = {",": "','", ";": "';'", "\t": "tab", "|": "'|'"}  # as text, as an option
NAMED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
SPACE = " "
HEAD_CHARACTERS = 1 << 20
HEAD_RECORDS = 1000  # for the header and a first look; the whole file is checked by reading it


def delimited_source(
    con: DuckDBPyConnection, file: Path, path: Path, delimiter: str | None, folder: Path
) -> Source | None:
    """The source of a delimited text in UTF-8; None where only white space can part it."""
    with path.open(encoding="utf-8-sig", newline="", errors="replace") as stream:
        head = stream.read(HEAD_CHARACTERS)
        if stream.read(1):  # the last record is not whole
            head = head[: head.rfind("\n") + 1] or head
    given, above = _given_delimiter(file, head, delimiter)
    if given == SPACE:
        return None
    head = head.split("\n", 1)[1] if above else head
    tried = [given] if given else list(DELIMITERS)
    layouts = [found for one in tried if (found := _layout(head, one, above))]
    if not given and _is_parted_by_space(head, layouts):
        return None
    layouts = layouts or [Layout(given or ",", _first_record(head, given or ","), above)]
    plain = _with_plain_line_ends(path, folder) if _mixes_line_ends(path) else path
    layout = layouts[0] if len(layouts) == 1 else _only_fitting(con, file, plain, layouts)
    return Source(
        file,
        layout.names,
        tuple(one.select(plain) for one in layout.ways(plain)),
        layout.header,
        said=tuple(left_out_above(layout.skipped)),
        path=plain,
        layout=layout,
    )


def _given_delimiter(file: Path, head: str, delimiter: str | None) -> tuple[str | None, int]:
    """The delimiter that the user or a first line `sep=;` names, and how many lines that takes."""
    named = re.match(r'"?sep=(.)"?[;,\t]*\r?\n', head, re.IGNORECASE)
    above = 1 if named else 0
    if delimiter is None:
        return (named[1] if named else None), above
    wanted = NAMED.get(delimiter.lower(), delimiter)
    if len(wanted) != 1 or wanted in '"\r\n':
        raise UsageError(
            f"--delimiter {shortened(delimiter)}: expected one character, tab or space"
        )
    return wanted, above


def _is_parted_by_space(head: str, layouts: Sequence[Layout]) -> bool:
    """Whether no delimiter is in the first line, and every line has as many words as that."""
    words = {len(line.split()) for line in head.splitlines() if line.strip()}
    tables = {len(record) for record in _records(head, "\t", '"') if record}
    if len(words) == 1 < max(words, default=0) and len(tables) > 1:  # tabs are blanks as well
        layouts = [layout for layout in layouts if layout.delimiter != "\t"]
    if any(layout.skipped == 0 for layout in layouts):
        return False
    return not layouts or (len(words) == 1 and max(words) > 1)


def _layout(head: str, delimiter: str, above: int) -> Layout | None:
    """How the start of the file reads with this delimiter; None if it has a single column."""
    quote = "'" if re.match(rf"'[^'\n]*'({re.escape(delimiter)}'[^'\n]*')+\r?\n", head) else '"'
    records = _records(head, delimiter, quote)
    first = next((i for i, record in enumerate(records) if any(map(str.strip, record))), None)
    if first is None:
        return None
    place = find_header(records, usual_width(records))
    if place is None:  # what is there is the header, and rows that do not fit it are an error
        place = first
    if len(records[place]) < 2:
        return None
    skipped = sum(any(map(str.strip, record)) for record in records[:place])
    return Layout(delimiter, tuple(records[place]), above + place, skipped, quote)


def _records(head: str, delimiter: str, quote: str) -> list[list[str]]:
    """The first records; a blank line is one without fields, as DuckDB counts them."""
    reader = csv.reader(
        io.StringIO(head, newline=""),
        delimiter=delimiter,
        quotechar=quote,
        skipinitialspace=delimiter != "\t",
    )
    records: list[list[str]] = []
    try:
        for record in islice(reader, HEAD_RECORDS):
            records.append(record)
    except csv.Error:  # a field of more than 128 kB: what came before it tells enough
        pass
    return records


def _first_record(head: str, delimiter: str) -> tuple[str, ...]:
    records = _records(head, delimiter, '"')
    return tuple(next((record for record in records if record), ["column0"]))


def _only_fitting(
    con: DuckDBPyConnection, file: Path, path: Path, layouts: Sequence[Layout]
) -> Layout:
    """The one layout that gives every line of the file as many fields as the header."""
    fitting = [layout for layout in layouts if _fits(con, path, layout)]
    # A delimiter that is in the first line is before one that takes a line below for the header.
    least = min((layout.skipped for layout in fitting), default=0)
    fitting = [layout for layout in fitting if layout.skipped == least]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        best = max(layouts, key=lambda layout: len(layout.header))
        raise CvaError(
            f"{misfit(con, file, path, best) or f'{file} cannot be read'};"
            f" or name another --delimiter than {DELIMITERS[best.delimiter]}"
        )
    found = " and ".join(
        f"{DELIMITERS[layout.delimiter]} ({len(layout.names)} columns)" for layout in fitting
    )
    options = " or ".join(f"--delimiter {DELIMITERS[layout.delimiter]}" for layout in fitting)
    raise UsageError(f"{file}: {found} each fit every line; settle it with {options}")


def _fits(con: DuckDBPyConnection, path: Path, layout: Layout) -> bool:
    import duckdb

    for one in layout.ways(path):
        try:
            con.execute(f"select count(*) from {one.reader(path)}").fetchall()
        except duckdb.Error:
            continue
        return True
    return False


def _mixes_line_ends(path: Path) -> bool:
    """Whether some lines end in CR LF and others in LF, which DuckDB refuses to read."""
    has_pairs = has_feeds = False
    with path.open("rb") as stream:
        while chunk := stream.read(HEAD_CHARACTERS):
            chunk += stream.read(1) if chunk.endswith(b"\r") else b""
            pairs = chunk.count(b"\r\n") if b"\r" in chunk else 0
            has_pairs = has_pairs or pairs > 0
            has_feeds = has_feeds or (chunk.count(b"\n") > pairs if pairs else b"\n" in chunk)
            if has_pairs and has_feeds:
                return True
    return False


def _with_plain_line_ends(path: Path, folder: Path) -> Path:
    target = folder / f"{path.name[:80]}.lines"
    with path.open("rb") as stream, target.open("wb") as copy:
        while chunk := stream.read(HEAD_CHARACTERS):
            chunk += stream.read(1) if chunk.endswith(b"\r") else b""
            copy.write(chunk.replace(b"\r\n", b"\n"))
    return target
