"""The columns of a file of texts: as they are written, and as the user's expressions see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cva_sql.cli.load.reading import refuse_unclear, say_reading
from cva_sql.cli.readings.column import Asked, trimmed
from cva_sql.cli.readings.inference import TEXT, Used, find_columns, type_columns
from cva_sql.cli.readings.numbers import look_at_numbers
from cva_sql.cli.shop.sql_text import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def has_texts(con: DuckDBPyConnection) -> bool:
    """Whether the source is of files whose every column is text."""
    found = con.execute(
        "select 1 from duckdb_tables() where temporary and table_name = 'cva_text'"
        " union all select 1 from duckdb_views() where temporary and view_name = 'cva_text'"
    ).fetchone()
    return found is not None


def plain_column(expression: str, names: list[str]) -> str | None:
    """The column that the expression is and no more, None where it is something made of columns."""
    same = {form: name for name in names for form in (name.lower(), quoted(name).lower())}
    return same.get(expression.strip().lower())


@dataclass(frozen=True)
class Made:
    """SOURCE as a SELECT over the texts, and the lines that say how odd numbers were read."""

    select: str
    said: tuple[str, ...]

    def with_texts(self, names: Iterable[str]) -> str:
        """SOURCE as a relation that has some columns as they are written as well."""
        texts = "".join(f", {quoted(name)} as {written(name)}" for name in dict.fromkeys(names))
        return f"({self.select}{texts} from {TEXT})"


def make_source(
    con: DuckDBPyConnection,
    names: list[str],
    over: Mapping[str, tuple[str, str]],
    asked: Asked,
) -> Made:
    """Makes SOURCE, where columns of numbers and times that expressions name have a type.

    `over` are the options with their expressions and kinds. Raises UsageError where a column of
    numbers can be read in two ways.
    """
    used = [
        Used(option, expression, kind, find_columns(con, expression, names))
        for option, (expression, kind) in over.items()
    ]
    typed = type_columns(con, names, used, asked, None)
    if typed.unclear:
        others = {look_at_numbers(con, TEXT, trimmed(quoted(n))).sure for n in names} - {None}
        mark = others.pop() if len(others) == 1 else None
        typed = type_columns(con, names, used, asked, mark)
    refuse_unclear(typed.unclear, {})
    select = f"select {typed.columns(names)}"
    con.execute(f"create temp view cva_source as {select} from {TEXT}")
    said = (say_reading(con, n, found, typed.typed[n]) for n, found in typed.readings.items())
    return Made(select, tuple(said))


def written(name: str) -> str:
    """The name of a column of texts beside the one of that name that expressions see."""
    return quoted(f"as written: {name}")
