"""The files that `cva load` takes, as one relation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cva_sql.cli.load.formats.kinds import read_source
from cva_sql.cli.load.formats.layout import misfit
from cva_sql.cli.load.formats.source import FOUND_OUT, ReadOptions, Source
from cva_sql.cli.shop.progress import count_of
from cva_sql.cli.shop.sql_text import listed, literal, one_line, quoted
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TEXT = "temp.cva_text"
COPIES = "cva_load_"  # the folder of what is unpacked or transcoded, by the number of the file
COPY = re.compile(rf"/[^\"']*/{COPIES}[^/]*/(\d+)/[^\"']*")


def read_files(
    con: DuckDBPyConnection, files: Sequence[Path], options: ReadOptions = FOUND_OUT
) -> tuple[str, ...]:
    """Makes a temporary relation of `files`, which have the same columns.

    It is `cva_text`, whose every column is text as the files write it, or `cva_source` where the
    files have types. Returns what was decided from the files, a line for each that was not plain.
    """
    import duckdb

    with TemporaryDirectory(prefix=COPIES) as folder:
        sources = []
        for number, file in enumerate(files):
            place = Path(folder).resolve() / str(number)
            place.mkdir()
            try:
                sources.append(read_source(con, file, options, place))
            except (duckdb.Error, OSError, UnicodeError) as error:
                raise CvaError(_unreadable(file, error, files)) from error
            _check_columns(sources[0], sources[-1])
        try:
            if all(source.typed for source in sources):
                union = " union all by name ".join(source.selects[0] for source in sources)
                made = "view" if all(source.kept for source in sources) else "table"
                con.execute(f"create temp {made} cva_source as {union}")
            else:
                said = [_said(source, _fill(con, source)) for source in sources]
                return tuple(line for line in said if line)
        except duckdb.Error as error:
            only = files[0] if len(files) == 1 else None
            raise CvaError(_unreadable(only, error, files)) from error
    return tuple(line for source in sources if (line := _said(source, 0)))


def _check_columns(first: Source, other: Source) -> None:
    if {name.lower() for name in other.names} != {name.lower() for name in first.names}:
        raise UsageError(
            f"{other.file} has the columns {listed(other.names)}, but {first.file} has"
            f" {listed(first.names)}; load it on its own with --append"
        )


def _fill(con: DuckDBPyConnection, source: Source) -> int:
    """Adds the rows of a file to `cva_text`; how many rows that repeat the header were left out."""
    import duckdb

    exists = con.execute(
        "select 1 from duckdb_tables() where temporary and table_name = 'cva_text'"
    ).fetchone()
    target = f"insert into {TEXT} by name" if exists else "create temp table cva_text as"
    for place, select in enumerate(source.selects, 1):
        if source.typed:
            select = f"select columns(*)::varchar from ({select})"
        try:
            con.execute(f"{target} {select}")
            break
        except duckdb.Error:
            if place < len(source.selects):
                continue
            said = (
                source.layout
                and source.path
                and misfit(con, source.file, source.path, source.layout)
            )
            if said:
                raise CvaError(said) from None
            raise
    return _drop_repeated_headers(con, source)


def _drop_repeated_headers(con: DuckDBPyConnection, source: Source) -> int:
    """Exports that were put one after the other have the header in the middle as well."""
    if not source.header or len(source.names) < 2:
        return 0
    same = " and ".join(
        f"{quoted(name)} is not distinct from nullif({literal(cell)}, '')"
        for name, cell in zip(source.names, source.header, strict=True)
    )
    deleted = con.execute(f"delete from {TEXT} where {same}").fetchone() or (0,)
    return int(deleted[0])


def _said(source: Source, repeated: int) -> str:
    said = list(source.said)
    if repeated:
        said.append(f"{count_of(repeated, 'line')} repeating the header left out")
    return f"{source.file.name}: {'; '.join(said)}" if said else ""


def _unreadable(file: Path | None, error: Exception, files: Sequence[Path]) -> str:
    """One line of the error, which names the file that was given where a copy of it was read."""
    said = COPY.sub(lambda found: str(files[int(found[1])]), one_line(error))
    return f"{file or 'the files'} cannot be read: {said}"
