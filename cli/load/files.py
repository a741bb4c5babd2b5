"""The files that `cva load` takes, as one relation."""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.readings.column import WHITE_SPACE
from cva_sql.cli.shop.sql_text import column_names, listed, literal, one_line, quoted
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CSV, TSV, TXT, JSON, PARQUET = "csv", "tsv", "txt", "json", "parquet"
FORMATS = {".csv": CSV, ".tsv": TSV, ".txt": TXT, ".json": JSON, ".jsonl": JSON, ".ndjson": JSON}


def read_files(con: DuckDBPyConnection, files: Sequence[Path]) -> None:
    """Makes a temporary relation of `files`, which have the same columns.

    It is `cva_text`, whose every column is text, or `cva_source` where the files have types.
    """
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
