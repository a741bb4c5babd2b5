"""The files that `cva load` takes, as one relation with a type for every column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cva_sql.cli.load.formats.kinds import read_source
from cva_sql.cli.load.formats.layout import misfit
from cva_sql.cli.load.formats.source import FOUND_OUT, ReadOptions, Source
from cva_sql.cli.load.formats.white_space import WHITE_SPACE as WHITE_SPACE
from cva_sql.cli.shop.package import macro_value
from cva_sql.cli.shop.sql_text import listed, literal, one_line, quoted
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TEXT = "temp.cva_text"


def read_files(
    con: DuckDBPyConnection, files: Sequence[Path], options: ReadOptions = FOUND_OUT
) -> tuple[str, ...]:
    """Makes the temporary relation `cva_source` of `files`, which have the same columns.

    What is text is in `cva_text` as the files write it. Returns what was decided from the files,
    a line for each file that was not plain.
    """
    import duckdb

    with TemporaryDirectory(prefix="cva_load_") as folder:
        sources = []
        for number, file in enumerate(files):
            place = Path(folder, str(number))
            place.mkdir()
            try:
                sources.append(read_source(con, file, options, place))
            except (duckdb.Error, OSError, UnicodeError) as error:
                raise CvaError(_unreadable(file, error)) from error
            _check_columns(sources[0], sources[-1])
        try:
            if all(source.typed for source in sources):
                union = " union all by name ".join(source.selects[0] for source in sources)
                made = "view" if all(source.kept for source in sources) else "table"
                con.execute(f"create temp {made} cva_source as {union}")
            else:
                said = [_said(source, _fill(con, source)) for source in sources]
                _infer_types(con)
                return tuple(line for line in said if line)
        except duckdb.Error as error:
            raise CvaError(_unreadable(files[0] if len(files) == 1 else None, error)) from error
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
        said.append(f"{repeated:,} line{'s' if repeated > 1 else ''} repeating the header left out")
    return f"{source.file.name}: {'; '.join(said)}" if said else ""


def _unreadable(file: Path | None, error: Exception) -> str:
    return f"{file or 'the files'} cannot be read: {one_line(error)}"


def _text_types() -> dict[str, str]:
    """What a text column is, in the order tried, with a check of one value `@`.

    A column takes a type only if every value passes. Numbers with leading zeros and integers that
    a DOUBLE would round stay text, as ids are written that way.
    """
    like = macro_value("casts.sql", "time_patterns")
    return {
        "bigint": r"regexp_full_match(@, '-?(0|[1-9]\d{0,17})')",
        "double": r"regexp_full_match(@, '[+-]?(0|[1-9]\d{0,14})?([.]\d*)?([eE][+-]\d{1,3})?')"
        " and try_cast(@ as double) is not null",
        "timestamp": f"regexp_full_match(@, '{like['date']}({like['clock']})?')"
        " and try_cast(@ as timestamp) is not null",
        "timestamptz": f"regexp_full_match(@, '{like['date']}{like['clock']}{like['zone']}')"
        " and try_cast(@ as timestamptz) is not null",
        "boolean": "lower(@) in ('true', 'false')",
    }


def _infer_types(con: DuckDBPyConnection) -> None:
    left = {
        row[0]: f"trim({quoted(row[0])})"
        for row in con.execute("describe temp.cva_text").fetchall()
        if row[1] == "VARCHAR"
    }
    types: dict[str, str] = {}
    for sql_type, check in _text_types().items():
        fits = left
        for rows in ("(from temp.cva_text limit 1000)", "temp.cva_text"):  # most fail early
            fits = _columns_passing(con, rows, fits, check)
        types.update(dict.fromkeys(fits, sql_type))
        left = {name: value for name, value in left.items() if name not in types}
    casts = "".join(
        f", try_cast(trim({quoted(n)}) as {t}) as {quoted(n)}" for n, t in types.items()
    )
    replaced = f"* replace ({casts[2:]})" if casts else "*"
    con.execute(f"create temp view cva_source as select {replaced} from temp.cva_text")


def _columns_passing(
    con: DuckDBPyConnection, rows: str, columns: Mapping[str, str], check: str
) -> dict[str, str]:
    if not columns:
        return {}
    tests = ", ".join(
        f"coalesce(bool_and({check.replace('@', value)}) filter (where {value} <> ''), false)"
        for value in columns.values()
    )
    passed = con.execute(f"select {tests} from {rows}").fetchone() or ()
    return {name: columns[name] for name, ok in zip(columns, passed, strict=True) if ok}
