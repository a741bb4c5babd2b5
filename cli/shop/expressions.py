"""Text from the command line that becomes part of SQL: only as one expression over a row."""

from __future__ import annotations

from cva_sql.udfs.errors import UsageError

SHOWN_CHARACTERS = 60  # enough to recognise the text, and the message stays one line


def check_expression(text: str, option: str) -> None:
    """Raises UsageError unless `text` is one scalar expression over the columns of a row.

    DuckDB's own parser judges it, by the rules of the macro `expression_problem`, which holds for
    the dbt vars too. It may be put in brackets, on a line of its own: `(\\n{text}\\n)`. Whether
    its columns exist is not looked at.
    """
    import duckdb

    from cva_sql.cli.shop.package import macro_value

    try:
        query = macro_value("checked_expression.sql", "expression_problem", text)
        with duckdb.connect(":memory:") as con:
            row = con.execute(query).fetchone()
        problem = row[0] if row else "no answer"
    except (duckdb.Error, UnicodeError):  # a NUL, half a character
        problem = "it holds characters that are no text"
    if problem:
        raise UsageError(
            f"{option} is not one expression over the columns of a row: '{shortened(text)}': "
            f'{problem}; write e.g. quantity * "Unit Price"'
        )


def shortened(text: str) -> str:
    """`text` for a message: in one line, 60 characters at most."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARACTERS else line[: SHOWN_CHARACTERS - 1] + "…"
