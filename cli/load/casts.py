"""SQL casts of a source's columns to the canonical types."""

from __future__ import annotations

import re

from cva_sql.cli.shop.sql_text import literal

SQL_TYPES = {
    "id": "varchar",
    "money": "decimal(18, 4)",
    "time": "timestamp",
    "number": "double",
    "integer": "bigint",
    "text": "varchar",
    "flag": "boolean",
}
WHITE_SPACE = " \t\r\n\f\v\u00a0\u3000"  # DuckDB's own trim leaves tabs and line ends
DATE = r"\d{4}[-/]\d{1,2}[-/]\d{1,2}"  # year first: other orders are ambiguous, so unreadable
CLOCK = r"[ Tt]\d{1,2}:\d{2}(:\d{2}([.]\d{1,9})?)?"
ZONE = r"\s*(Z|UTC|GMT|[+-]\d{2}(:?\d{2}(:?\d{2})?)?|[A-Za-z]+(/[A-Za-z_+-]+)+)"


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
