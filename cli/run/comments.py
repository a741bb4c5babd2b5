"""What tables and columns are, said in the published file as in the shop's database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cva_sql.cli.shop.sql_text import literal
from cva_sql.cli.shop.tables import comment_on

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
        f"select column_name, data_type, comment from duckdb_columns() {OF.format('table_name')} "
        "and comment is not null order by column_index",
        place,
    ).fetchall()
    con.begin()  # a commit for each would take as long as the tables
    for (text,) in said:
        if text:
            con.execute(f"comment on table {target} is {literal(text)}").fetchall()
    comment_on(con, target, {name: (kind, text) for name, kind, text in columns})
    con.commit()
