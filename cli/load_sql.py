"""What `cva load` lets into its SQL: checked expressions, and casts to the canonical types."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

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
WHITE_SPACE = " \t\r\n\f\v\u00a0\u3000"  # DuckDB's own trim leaves tabs and line ends
DATE = r"\d{4}[-/]\d{1,2}[-/]\d{1,2}"  # year first: other orders are ambiguous, so unreadable
CLOCK = r"[ Tt]\d{1,2}:\d{2}(:\d{2}([.]\d{1,9})?)?"
ZONE = r"\s*(Z|UTC|GMT|[+-]\d{2}(:?\d{2}(:?\d{2})?)?|[A-Za-z]+(/[A-Za-z_+-]+)+)"

# Expression classes of DuckDB's parser that stay within one row or window of the file.
ALLOWED_CLASSES = {
    *("BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION"),
    *("CONSTANT", "FUNCTION", "LAMBDA", "LAMBDA_REF", "OPERATOR", "TYPE", "WINDOW"),
}
# Scalar functions that reach outside the file, or change the session or the database.
DENIED_FUNCTIONS = {
    *("current_connection_id", "current_query", "current_query_id", "current_setting", "currval"),
    *("getenv", "getvariable", "nextval", "setseed", "setval", "sleep_ms", "write_log"),
}


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


def check_expression(con: DuckDBPyConnection, option: str, expression: str) -> None:
    """Raises UsageError unless `expression` is one scalar expression over the file's columns.

    It is parsed bare and in brackets, each on lines of its own: what fits both can neither leave
    the brackets that it is put in nor comment out what follows them.
    """
    what = f"{option} is not one expression over the file's columns"
    for text in (f"select {expression}\n", f"select (\n{expression}\n)"):
        row = con.execute("select json_serialize_sql(?::varchar)", [text]).fetchone()
        parsed = json.loads(row[0]) if row else {"error": True, "error_message": "no answer"}
        if parsed["error"]:
            reason = parsed["error_message"].splitlines()[0]
            raise UsageError(f'{what}: {reason}; write e.g. Quantity * "Unit Price"')
        node = parsed["statements"][0]["node"]
        bare = ("where_clause", "group_expressions", "having", "qualify", "sample", "modifiers")
        if (
            len(parsed["statements"]) != 1
            or node["type"] != "SELECT_NODE"
            or len(node["select_list"]) != 1
            or node["from_table"]["type"] != "EMPTY"
            or node["cte_map"]["map"]
            or any(node[part] for part in bare)
            or node["select_list"][0]["alias"]
        ):
            raise UsageError(f"{what}: expected a single value, without from, where, order or as")
        _check_parts(con, what, node["select_list"][0])


def _check_parts(con: DuckDBPyConnection, what: str, tree: Any) -> None:
    rows = con.execute(
        "select function_type, lower(function_name) from duckdb_functions() where internal"
    ).fetchall()
    per_row = {name for kind, name in rows if kind in ("scalar", "macro")} - DENIED_FUNCTIONS
    windowed = {name for kind, name in rows if kind in ("aggregate", "window")} - per_row
    for part in _parts(tree):
        if part["class"] not in ALLOWED_CLASSES or part["type"] == "GROUPING_FUNCTION":
            kind = part["class"].replace("_", " ").lower()
            raise UsageError(f"{what}: it holds a {kind}; read other tables with --query instead")
        if part["class"] not in ("FUNCTION", "WINDOW"):
            continue
        name = str(part["function_name"]).lower()
        if part["schema"] or part["catalog"]:
            raise UsageError(f"{what}: write {name}(column) without a name before it")
        if part["class"] == "FUNCTION" and (name in windowed or name == "count_star"):
            raise UsageError(f"{what}: {name}() needs over (…) to give one value per row")
        if name not in per_row and not (part["class"] == "WINDOW" and name in windowed):
            raise UsageError(f"{what}: {name}() is not a function of DuckDB that may be used here")


def _parts(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        if "class" in tree:
            yield tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for child in tree:
            yield from _parts(child)


def column_names(con: DuckDBPyConnection, select: str) -> list[str]:
    """The column names of a query, in its order."""
    return [row[0] for row in con.execute(f"describe {select}").fetchall()]


def has_columns(names: Sequence[str]) -> str:
    """The columns of the file, for the end of an error message."""
    return f"the columns are: {', '.join(names)}"


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
