"""DuckDB's types in PostgreSQL, and values as its COPY reads them."""

from __future__ import annotations

import re

from cva_sql.cli.publish.tables import Column, Table
from cva_sql.cli.shop.sql_text import literal, quoted
from cva_sql.udfs.errors import CvaError

# As PostgreSQL's format_type() writes them.
TYPES = {
    "VARCHAR": "text",
    "DOUBLE": "double precision",
    "FLOAT": "real",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP": "timestamp without time zone",
    "TIMESTAMP_S": "timestamp without time zone",
    "TIMESTAMP_MS": "timestamp without time zone",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
    "TIME": "time without time zone",
    "INTERVAL": "interval",
    "TINYINT": "smallint",
    "UTINYINT": "smallint",
    "SMALLINT": "smallint",
    "USMALLINT": "integer",
    "INTEGER": "integer",
    "UINTEGER": "bigint",
    "BIGINT": "bigint",
    "UBIGINT": "numeric(20,0)",
    "HUGEINT": "numeric(39,0)",
    "UHUGEINT": "numeric(39,0)",
    "UUID": "uuid",
    "BLOB": "bytea",
    "JSON": "jsonb",
}
NESTED = re.compile(r"\]$|^(STRUCT|MAP|UNION)\(")  # lists, arrays and what has fields
ESCAPED = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))


def type_of(column: Column, table: Table) -> str:
    """The column's type in PostgreSQL; raises CvaError where it has none."""
    if found := TYPES.get(column.kind):
        return found
    if column.kind.startswith("DECIMAL("):
        return column.kind.replace("DECIMAL", "numeric").replace(" ", "")
    if column.kind.startswith("ENUM("):
        return "text"
    if is_nested(column):
        return "jsonb"
    raise CvaError(
        f"{table.name}.{column.name} is {column.kind}, which PostgreSQL has no type for; cast it in"
        " the model to one that it has, e.g. varchar"
    )


def is_nested(column: Column) -> bool:
    """Whether it holds lists, arrays, maps or structs."""
    return NESTED.search(column.kind) is not None


def copied_rows(table: Table) -> str:
    """The query that gives each row as a line of PostgreSQL's COPY in its text format."""
    values = " || chr(9) || ".join(_written(column) for column in table.columns)
    return f"select {values} || chr(10) from {quoted(table.name)}"


def _written(column: Column) -> str:
    """The column's value as text; an unquoted \\N is NULL."""
    name = quoted(column.name)
    value = f"cast({name} as varchar)"
    if column.kind == "BLOB":
        value = f"'\\x' || hex({name})"
    elif is_nested(column):
        value = f"cast(to_json({name}) as varchar)"
    for character, escaped in ESCAPED:
        value = f"replace({value}, {literal(character)}, {literal(escaped)})"
    return f"coalesce({value}, '\\N')"
