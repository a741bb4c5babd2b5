"""SQL that `cva load` is made of: names, what did not bind, casts to the canonical types."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cva_sql.cli.expressions import shortened
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SQL_TYPES = {
    "id": "varchar",
    "money": "decimal(18, 4)",
    "time": "timestamp",
    "number": "double",
    "integer": "bigint",
    "text": "varchar",
    "flag": "boolean",
}
MAX_LISTED = 30  # columns named in a message
WHITE_SPACE = " \t\r\n\f\v\u00a0\u3000"  # DuckDB's own trim leaves tabs and line ends
DATE = r"\d{4}[-/]\d{1,2}[-/]\d{1,2}"  # year first: other orders are ambiguous, so unreadable
CLOCK = r"[ Tt]\d{1,2}:\d{2}(:\d{2}([.]\d{1,9})?)?"
ZONE = r"\s*(Z|UTC|GMT|[+-]\d{2}(:?\d{2}(:?\d{2})?)?|[A-Za-z]+(/[A-Za-z_+-]+)+)"


def quoted(name: str) -> str:
    """`name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def one_line(error: Exception) -> str:
    """What DuckDB said, without its class, its advice on options and its copy of the query."""
    lines = str(error).split("\n\n")[0].splitlines()
    kept = [line.strip() for line in lines if not line.startswith(("LINE ", "Possible Solution"))]
    kept = [line for line in kept if line][:3]
    return re.sub(r"^([A-Z][\w-]* )+Error: ", "", "; ".join(kept))[:300]


def column_names(con: DuckDBPyConnection, select: str) -> list[str]:
    """The column names of a query, in its order."""
    return [row[0] for row in con.execute(f"describe {select}").fetchall()]


def has_columns(names: Sequence[str]) -> str:
    """The columns of the file, for the end of an error message."""
    return f"the columns are: {listed(names)}"


def listed(names: Sequence[str]) -> str:
    """`names` in one line, which a header full of text does not make endless."""
    shown = [shortened(name) for name in names[:MAX_LISTED]]
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(shown) + more


def bind(con: DuckDBPyConnection, option: str, select: str, names: Sequence[str]) -> None:
    """Raises UsageError if `select`, made from the value of `option`, does not fit `names`."""
    import duckdb

    try:
        con.execute(f"describe {select}")
    except duckdb.Error as error:
        said = one_line(error).split("; Candidate")[0].removesuffix("!")
        said = said.replace(" in FROM clause", "").replace("Referenced column", "column")
        if "operator" in said or "explicit" in said:
            said = said.split(". You might")[0] + "; a cast may help, e.g. try_cast(x as double)"
        raise UsageError(f"{option}: {said}; {has_columns(names)}") from error


def as_text(column: str, sql_type: str) -> str:
    """SQL: `column` as trimmed text, blank → NULL; a whole DOUBLE or DECIMAL without its `.0`."""
    text = f"{column}::varchar"
    if sql_type in ("DOUBLE", "FLOAT"):
        whole = f"{column} = trunc({column}) and abs({column}) < 9e18"
        text = f"case when {whole} then {column}::bigint::varchar else {text} end"
        text = f"case when isfinite({column}) then {text} end"
    elif sql_type.startswith("DECIMAL"):
        whole = f"{column} = trunc({column})"
        text = f"case when {whole} then trunc({column})::varchar else {text} end"
    elif sql_type == "JSON":
        text = f"{column} ->> '$'"
    return f"nullif(trim({text}, {literal(WHITE_SPACE)}), '')"


def as_kind(column: str, sql_type: str, kind: str, timezone: str) -> str:
    """SQL: `column` of `sql_type` as the canonical `kind`; what cannot be read → NULL."""
    text = as_text(column, sql_type)
    if kind in ("id", "text"):
        return text
    if kind == "time":
        return _as_time(column, sql_type, text, literal(timezone))
    if kind == "flag":
        yes = "('true', 't', 'yes', 'y', '1')"
        no = "('false', 'f', 'no', 'n', '0')"
        return (
            f"case when lower({text}) in {yes} then true when lower({text}) in {no} then false end"
        )
    plain = re.match(r"(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|DECIMAL|DOUBLE|FLOAT)", sql_type)
    value = column if plain else text
    if kind == "integer":
        whole = f"try_cast({value} as double) = trunc(try_cast({value} as double))"
        return f"case when {whole} then try_cast({value} as bigint) end"
    if kind == "number":
        cast = f"try_cast({value} as double)"
        return f"case when isfinite({cast}) then {cast} end"
    return f"try_cast({value} as {SQL_TYPES[kind]})"


def _as_time(column: str, sql_type: str, text: str, zone: str) -> str:
    if sql_type == "TIMESTAMP WITH TIME ZONE":
        value = f"({column} at time zone {zone})"
    elif sql_type.startswith("TIMESTAMP") or sql_type == "DATE":
        value = f"try_cast({column} as timestamp)"
    else:
        # A plain cast to TIMESTAMP drops an offset without a word.
        moment = rf"try_cast(regexp_replace({text}, '\s+([Z+-])', '\1') as timestamptz)"
        return (
            f"case when regexp_full_match({text}, '{DATE}({CLOCK})?')"
            f" then try_cast({text} as timestamp)"
            f" when regexp_full_match({text}, '\\d{{8}}') then try_strptime({text}, '%Y%m%d')"
            f" when regexp_full_match({text}, '{DATE}{CLOCK}{ZONE}')"
            f" then {moment} at time zone {zone} end"
        )
    return f"case when isfinite({value}) then {value} end"
