"""The files that `cva load` takes, as one relation with a type for every column."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.shop.package import macro_value
from cva_sql.cli.shop.sql_text import column_names, listed, literal, one_line, quoted
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CSV, TSV, TXT, JSON, PARQUET = "csv", "tsv", "txt", "json", "parquet"
FORMATS = {".csv": CSV, ".tsv": TSV, ".txt": TXT, ".json": JSON, ".jsonl": JSON, ".ndjson": JSON}
WHITE_SPACE = " \t\r\n\f\v\u00a0\u3000"  # DuckDB's own trim leaves tabs and line ends


def read_files(con: DuckDBPyConnection, files: Sequence[Path]) -> None:
    """Makes the temporary relation `cva_source` of `files`, which have the same columns."""
    import duckdb

    selects: dict[Path, str] = {}
    names: dict[Path, list[str]] = {}
    formats = {file: _format(file) for file in files}
    for file in files:
        try:
            selects[file] = _select_file(con, file, formats[file])
            names[file] = column_names(con, selects[file])
        except (duckdb.Error, OSError, EOFError, UnicodeError) as error:
            raise CvaError(_unreadable(file, error)) from error
        if len(names[file]) == 1 and re.search(r"[,;|\t]", names[file][0]):
            raise CvaError(
                f"{file}: not every row has the columns of the header {listed(names[file])}"
            )
        if {name.lower() for name in names[file]} != {name.lower() for name in names[files[0]]}:
            raise UsageError(
                f"{file} has the columns {listed(names[file])}, but {files[0]} has"
                f" {listed(names[files[0]])}; load it on its own with --append"
            )
    try:
        union = " union all by name ".join(selects.values())
        if set(formats.values()) == {PARQUET}:
            con.execute(f"create temp view cva_source as {union}")
        else:
            con.execute(f"create temp table cva_text as {union}")
            _infer_types(con)
    except duckdb.Error as error:
        raise CvaError(_unreadable(files[0] if len(files) == 1 else None, error)) from error


def _unreadable(file: Path | None, error: Exception) -> str:
    said = one_line(error)
    if "unicode" in said.lower() or isinstance(error, UnicodeError):
        said = "it is not UTF-8; convert it, e.g. iconv -f latin1 -t utf-8"
    return f"{file or 'the files'} cannot be read: {said}"


def _format(file: Path) -> str:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    packed = suffixes[-1:] == [".gz"]
    ending = suffixes[-2:-1] if packed else suffixes[-1:]
    known = FORMATS if packed else {**FORMATS, ".parquet": PARQUET}
    if not ending or ending[0] not in known:
        raise UsageError(
            f"{file} has an unknown extension; expected {', '.join(FORMATS)} (each also .gz)"
            " or .parquet"
        )
    if not file.is_file():
        raise UsageError(f"{file} is not a file; check the path")
    try:
        with gzip.open(file) if packed else file.open("rb") as stream:
            empty = not stream.read(1)
    except (OSError, EOFError) as error:
        raise CvaError(_unreadable(file, error)) from error
    if empty:
        raise CvaError(f"{file} is empty; expected a header and at least one row")
    return known[ending[0]]


def _select_file(con: DuckDBPyConnection, file: Path, file_format: str) -> str:
    path = literal(re.sub(r"([*?\[])", r"[\1]", str(file.resolve())))  # a name, not a pattern
    if file_format == PARQUET:
        return f"select * from read_parquet({path}, hive_partitioning = false)"
    if file_format == TXT:
        return _select_columns_in_lines(con, file, path)
    if file_format == JSON:
        probe = f"select * from read_json({path}, sample_size = -1, maximum_depth = 1)"
        fields = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in column_names(con, probe))
        return f"select * from read_json({path}, columns = {{{fields}}}, hive_partitioning = false)"
    # Comments and leading lines to skip are not guessed: that would drop rows without a word.
    options = "header = true, all_varchar = true, comment = '', skip = 0, hive_partitioning = false"
    delimiter = ", delim = '\t'" if file_format == TSV else ""
    return f"select * from read_csv({path}, {options}{delimiter})"


def _select_columns_in_lines(con: DuckDBPyConnection, file: Path, path: str) -> str:
    skip, header = 0, list[str]()
    with gzip.open(file) if file.suffix.lower() == ".gz" else file.open("rb") as stream:
        while not header and (line := stream.readline()):
            skip, header = skip + 1, line.decode("utf-8-sig").split()
    lines = (
        f"read_csv({path}, columns = {{'line': 'VARCHAR'}}, auto_detect = false, header = false,"
        f" skip = {skip}, delim = chr(31), quote = '', escape = '', comment = '')"
    )
    trimmed = f"trim(line, {literal(WHITE_SPACE)})"
    split = (
        f"(select string_split_regex({trimmed}, '\\s+') as parts"
        f" from {lines} where {trimmed} <> '')"
    )
    odd = con.execute(
        f"select min(array_to_string(parts, ' ')), count(*) from {split} where len(parts) <> ?",
        [len(header)],
    ).fetchone()
    if odd and odd[1]:
        raise CvaError(
            f"{file}: {odd[1]:,} lines do not have the {len(header)} columns of the header"
            f" ({listed(header)}), e.g. {odd[0][:60]!r}"
        )
    values = ", ".join(f"parts[{i}] as {quoted(name)}" for i, name in enumerate(header, 1))
    return f"select {values} from {split}"


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
