"""JSON: an array of objects, one object a line, or an object with the list of them."""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.cli.load.formats.layout import LONGER, LONGEST_LINE_BYTES
from cva_sql.cli.load.formats.source import ReadOptions, Source, sql_path
from cva_sql.cli.load.formats.unpacking import pick_part
from cva_sql.cli.shop.expressions import shortened
from cva_sql.cli.shop.sql_text import column_names, literal
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

STARTS = re.compile(rb'(\xef\xbb\xbf)?\s*(\[\s*[{\]]|\{\s*["}])')
# 1001.10, which DuckDB would read as 1001.1: another id
ROUNDED = re.compile(rb"[:\[,\s]-?\d+\.\d*0\s*[,}\]]")

OBJECT_SIZE = "maximum_object_size"  # DuckDB's option, which its error names


def is_json(start: bytes) -> bool:
    """Whether a text that begins so is JSON with objects."""
    return STARTS.match(start) is not None


def json_source(
    con: DuckDBPyConnection, file: Path, path: Path, options: ReadOptions, folder: Path
) -> Source:
    """The source of the rows of a JSON file, all values as text."""
    rows, said = path, list[str]()
    try:
        if _is_one_object(path) or _has_rounded_numbers(path):
            rows, said = folder / "rows.jsonl", _write_rows(file, path, options, folder)
    except ValueError as error:
        raise CvaError(f"{file} cannot be read: {error}") from error
    given = f"{sql_path(rows)}, compression = 'none', hive_partitioning = false"
    names, given = _names(con, file, given)
    fields = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    select = f"select * from read_json({given}, columns = {{{fields}}})"
    return Source(file, tuple(names), (select,), said=tuple(said))


def _names(con: DuckDBPyConnection, file: Path, given: str) -> tuple[list[str], str]:
    """The columns of the objects, and the options of reading with room for the longest of them.

    Raises CvaError for an object above the limit that the rows of other texts have.
    """
    import duckdb

    sniffed = "sample_size = -1, maximum_depth = 1"
    try:
        return column_names(con, f"select * from read_json({given}, {sniffed})"), given
    except duckdb.Error as error:
        if OBJECT_SIZE not in str(error):
            raise
    # Only for a file that has such an object, as DuckDB's buffers are twice as large.
    given = f"{given}, {OBJECT_SIZE} = {LONGEST_LINE_BYTES}"
    try:
        longest = con.execute(
            "select * from (select row_number() over () as number, * from (select"
            f" strlen(json::varchar) as bytes, left(json::varchar, 60) from"
            f" read_json_objects({given}))) where bytes > {LONGEST_LINE_BYTES} order by 1 limit 1"
        ).fetchone()
    except duckdb.Error as error:
        if OBJECT_SIZE not in str(error):
            raise
        raise CvaError(f"{file} has an object {LONGER}") from None
    if longest:
        number, _, start = longest
        raise CvaError(f"{file}: object {number:,} is {LONGER}: {start!r}")
    return column_names(con, f"select * from read_json({given}, {sniffed})"), given


def _is_one_object(path: Path) -> bool:
    """Whether the text is one object, not an array and not an object a line."""
    with path.open(encoding="utf-8-sig") as stream:
        line = next((line for line in stream if line.strip()), "")
        if not line.lstrip().startswith("{"):
            return False
        try:
            json.loads(line)
        except ValueError:  # goes on in the next lines
            return True
        return not any(line.strip() for line in stream)


def _has_rounded_numbers(path: Path) -> bool:
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return ROUNDED.search(text) is not None


def _write_rows(file: Path, path: Path, options: ReadOptions, folder: Path) -> list[str]:
    values = list(_values(path.read_text("utf-8-sig")))
    said = []
    is_wrapped = len(values) == 1 and isinstance(values[0], dict)
    if is_wrapped and (options.sheet is not None or not _has_id(values[0])):
        lists = dict(_lists_of_objects(values[0], ""))
        if lists:
            only = next(iter(lists)) if len(lists) == 1 and options.sheet is None else None
            name = only or pick_part(file, "lists", list(lists), options)
            values, said = lists[name], [f"rows of {shortened(name)}"]
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as copy:
        copy.writelines(_line(value) for value in values)
    return said


def _line(value: Any) -> str:
    """A row as JSON, its letters as they are: spelt they may be above the limit."""
    line = json.dumps(value, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:  # half a character
        line = json.dumps(value)
    return f"{line}\n"


def _values(text: str) -> Iterator[Any]:
    """The objects of a text, numbers as they are written."""
    decoder = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)
    place, blank = 0, re.compile(r"\s*")
    while (place := blank.match(text, place).end()) < len(text):  # type: ignore[union-attr]
        value, place = decoder.raw_decode(text, place)
        if isinstance(value, list):
            yield from value
        else:
            yield value


def _has_id(value: dict[str, Any]) -> bool:
    """Whether an object is a row itself, e.g. one order with the list of its items."""
    return any(n.lower() == "id" or n.lower().endswith("_id") for n in value)


def _lists_of_objects(value: dict[str, Any], above: str) -> Iterator[tuple[str, list[Any]]]:
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from _lists_of_objects(inner, f"{above}{name}/")
        elif isinstance(inner, list) and inner and all(isinstance(x, dict) for x in inner):
            yield f"{above}{name}", inner
