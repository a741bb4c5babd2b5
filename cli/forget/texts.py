"""Takes away what was read of texts that only people wrote who are forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cva_sql.cli.person.texts import READINGS, SCORES, every_text
from cva_sql.cli.shop.sql_text import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.person.raw import RawSource, Who, WhoseOrder


def delete_readings(
    con: DuckDBPyConnection, sources: Sequence[RawSource], who: Who, is_order: WhoseOrder
) -> dict[str, int]:
    """Deletes vectors of texts that nobody else wrote, in the caller's transaction; rows by table.

    To be called while the texts are still there.
    """
    tables = con.execute(
        "select schema_name, table_name from duckdb_tables() where database_name ="
        " current_database() and list_contains(?, table_name) order by all",
        [[*READINGS, SCORES]],
    ).fetchall()
    readings = [one for one in tables if one[1] in READINGS]
    if not readings:
        return {}
    _find_texts(con, sources, who, is_order, [one[0] for one in tables if one[1] == SCORES])
    deleted = {}
    for schema, table in readings:
        relation = f"{quoted(schema)}.{quoted(table)}"
        rows = con.execute(
            f"delete from {relation} where text_hash in (select text_hash from temp.cva_texts)"
        ).fetchall()
        deleted[f"{schema}.{table}"] = int(rows[0][0])
    con.execute("drop table temp.cva_texts").fetchall()
    return deleted


def _find_texts(
    con: DuckDBPyConnection,
    sources: Sequence[RawSource],
    who: Who,
    is_order: WhoseOrder,
    scored: Sequence[str],
) -> None:
    """Makes temp.cva_texts: the hashes of texts that are theirs alone."""
    parts = every_text(sources, who, is_order)
    parts += [
        f"select text_hash, {who('customer_id')} as is_theirs from {quoted(schema)}.{SCORES}"
        for schema in scored
    ]
    every = " union all ".join(parts) or "select null::varchar as text_hash, false as is_theirs"
    con.execute(
        "create or replace temp table cva_texts as select text_hash from"
        f" ({every}) group by text_hash having bool_and(is_theirs)"
    ).fetchall()
