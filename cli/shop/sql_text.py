"""Pieces of SQL text: quoted names, literals, and what DuckDB says of them in one line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from cva_sql.cli.shop.expressions import shortened
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MAX_LISTED = 30  # columns named in a message


def quoted(name: str) -> str:
    """`name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


@cache
def _keywords() -> frozenset[str]:
    import duckdb

    with duckdb.connect(":memory:") as con:
        words = con.execute(
            "select keyword_name from duckdb_keywords() where keyword_category <> 'unreserved'"
        ).fetchall()
    return frozenset(word for (word,) in words)


def name_in_sql(name: str) -> str:
    """`name` as an SQL identifier, quoted only where it has to be."""
    is_plain = re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) and name.lower() not in _keywords()
    return name if is_plain else quoted(name)


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


def has_name(expression: str, name: str) -> bool:
    """Whether the SQL mentions a column of that name, quoted or not."""
    plain = rf'(?<![\w"]){re.escape(name)}(?![\w"])'
    return re.search(f"{plain}|{re.escape(quoted(name))}", expression, re.IGNORECASE) is not None


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
