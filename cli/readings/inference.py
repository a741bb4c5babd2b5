"""The types of a file's text columns, for expressions over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cva_sql.cli.readings.column import Asked, Reading, Unclear, trimmed
from cva_sql.cli.readings.numbers import Numbers, decide_number, look_at_numbers
from cva_sql.cli.shop.package import macro_value
from cva_sql.cli.shop.sql_text import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TEXT, SOURCE = "temp.cva_text", "temp.cva_source"
AS_WRITTEN = ("id", "text")  # kinds that are taken as the file has them, never through a number


@dataclass(frozen=True)
class Used:
    """An expression of the user's: what it is called, the kind of its column, its columns."""

    option: str
    expression: str
    kind: str
    columns: frozenset[str]


@dataclass(frozen=True)
class Source:
    """SQL of the columns that are not text, how odd numbers were read, and what is unclear."""

    typed: dict[str, str] = field(default_factory=dict)
    readings: dict[str, Reading] = field(default_factory=dict)
    unclear: dict[str, Unclear] = field(default_factory=dict)

    def columns(self, names: list[str]) -> str:
        """The columns in their order, for a SELECT over the texts."""
        return ", ".join(f"{self.typed.get(n, quoted(n))} as {quoted(n)}" for n in names)


def find_columns(con: DuckDBPyConnection, expression: str, names: list[str]) -> frozenset[str]:
    """Those of `names` that the expression is over."""
    rows = con.execute(
        "with tree as ("
        "select json_serialize_sql('select (' || chr(10) || $1 || chr(10) || ')') as t)"
        " select distinct lower(part.atom ->> '$') from tree, json_tree(tree.t) as part"
        " where ends_with(part.path, 'column_names') and part.atom is not null",
        [expression],
    ).fetchall()
    found = {name for (name,) in rows}
    return frozenset(name for name in names if name.lower() in found)


def type_columns(
    con: DuckDBPyConnection, names: list[str], used: list[Used], asked: Asked, others: str | None
) -> Source:
    """The types of the text columns that the expressions are over."""
    over = [n for n in names if any(n in u.columns for u in used)]
    types = infer_types(con, {name: trimmed(quoted(name)) for name in over})
    source = Source()
    for name, kind in types.items():
        typed = f"try_cast({trimmed(quoted(name))} as {kind})"
        if kind != "double" and _binds(con, names, source, name, typed, used):
            source.typed[name] = typed
    for name in over:
        if types.get(name, "double") != "double":
            continue
        kinds = {u.kind for u in used if name in u.columns}
        value = trimmed(quoted(name))
        if kinds <= set(AS_WRITTEN):
            if name in types and _keeps_its_text(con, value):
                source.typed[name] = f"try_cast({value} as double)"
            continue
        numbers = look_at_numbers(con, TEXT, value)
        if not _is_number(numbers) or not _binds(
            con, names, source, name, f"try_cast({value} as double)", used
        ):
            continue
        decided = decide_number(numbers, value, asked.decimal, others)
        if isinstance(decided, Unclear):
            source.unclear[name] = decided
        elif decided is not None:
            source.readings[name] = decided
        read = decided.expression if isinstance(decided, Reading) else value
        source.typed[name] = f"try_cast({read} as double)"
    return source


def _is_number(numbers: Numbers) -> bool:
    """Whether every value is one, and none starts with a nought, as ids do."""
    is_all = 0 < numbers.values == numbers.readable
    return is_all and not any(s.text[:1] == "0" and s.text[1:2].isdigit() for s in numbers.shapes)


def _keeps_its_text(con: DuckDBPyConnection, value: str) -> bool:
    same = f"bool_and({value} is null or cast(try_cast({value} as double) as varchar) = {value})"
    row = con.execute(f"select {same} from {TEXT}").fetchone()
    return bool(row and row[0])


def _binds(
    con: DuckDBPyConnection,
    names: list[str],
    source: Source,
    name: str,
    value: str,
    used: list[Used],
) -> bool:
    """Whether the expressions take the column so typed; else they read the text themselves."""
    import duckdb

    typed = Source({**source.typed, name: value})
    for use in used:
        if name not in use.columns:
            continue
        for columns, fits in ((typed, True), (source, False)):
            select = (
                f"select (\n{use.expression}\n) from (select {columns.columns(names)} from {TEXT})"
            )
            try:
                con.execute(f"describe {select}")
            except duckdb.Error:
                continue
            if not fits:
                return False
            break
    return True


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


def infer_types(con: DuckDBPyConnection, columns: Mapping[str, str]) -> dict[str, str]:
    """The type of each text column that has one, by its name; `columns` are names and SQL."""
    left = dict(columns)
    types: dict[str, str] = {}
    for sql_type, check in _text_types().items():
        fits = left
        for rows in (f"(from {TEXT} limit 1000)", TEXT):  # most fail early
            fits = _columns_passing(con, rows, fits, check)
        types.update(dict.fromkeys(fits, sql_type))
        left = {name: value for name, value in left.items() if name not in types}
    return types


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
