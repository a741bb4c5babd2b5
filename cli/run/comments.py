"""What tables and columns are, said in the published file as in the shop's database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cva_sql.cli.shop.sql_text import literal, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.run.marts import Mart

OF = "where database_name = current_database() and lower(schema_name) = ? and lower({}) = ?"


def copy_comments(con: DuckDBPyConnection, mart: Mart, target: str) -> None:
    """Puts the comments on a mart and its columns on `target`, a copy of it."""
    place = [mart.schema.lower(), mart.name.lower()]
    said = con.execute(
        f"select comment from duckdb_tables() {OF.format('table_name')} union all "
        f"select comment from duckdb_views() {OF.format('view_name')}",
        place * 2,
    ).fetchall()
    columns = con.execute(
        f"select column_name, comment from duckdb_columns() {OF.format('table_name')} "
        "and comment is not null order by column_index",
        place,
    ).fetchall()
    statements = [f"comment on table {target} is {literal(text)}" for (text,) in said if text]
    statements += [
        f"comment on column {target}.{quoted(name)} is {literal(text)}" for name, text in columns
    ]
    con.begin()  # a commit for each would take as long as the tables
    for statement in statements:
        con.execute(statement).fetchall()
    con.commit()
