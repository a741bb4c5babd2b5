"""Which kind of file it is, by its content alone: the extension tells nothing for sure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.load.formats.delimited import delimited_source
from cva_sql.cli.load.formats.encodings import as_utf8
from cva_sql.cli.load.formats.json_rows import is_json, json_source
from cva_sql.cli.load.formats.source import ReadOptions, Source, sql_path
from cva_sql.cli.load.formats.unpacking import (
    PARQUET,
    first_bytes,
    is_workbook,
    refuse_others,
    unpack,
)
from cva_sql.cli.load.formats.white_space import white_space_source
from cva_sql.cli.load.formats.workbooks import workbook_source
from cva_sql.cli.shop.sql_text import column_names

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def read_source(con: DuckDBPyConnection, file: Path, options: ReadOptions, folder: Path) -> Source:
    """The source of a file; copies that reading it needs are made in `folder`.

    UsageError where the file can be read in more than one way, with the option that settles it.
    """
    path, said = unpack(file, options, folder)
    start = first_bytes(path)
    if start.startswith(PARQUET):
        select = f"select * from read_parquet({sql_path(path)}, hive_partitioning = false)"
        names = tuple(column_names(con, select))
        source = Source(file, names, (select,), typed=True, kept=path == file)
    elif is_workbook(path):
        source = workbook_source(file, path, options, folder)
    else:
        refuse_others(file, start)
        text, read_as = as_utf8(file, path, options.encoding, folder)
        said += read_as
        source = _text_source(con, file, text, options, folder)
    return replace(source, said=(*said, *source.said))


def _text_source(
    con: DuckDBPyConnection, file: Path, text: Path, options: ReadOptions, folder: Path
) -> Source:
    if options.delimiter is None and is_json(first_bytes(text)):
        return json_source(con, file, text, options, folder)
    return delimited_source(con, file, text, options.delimiter, folder) or white_space_source(
        con, file, text
    )
