"""Leaves out of a load whoever was forgotten: a file from before does not bring them back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cva_sql.cli.load import rows as rows
from cva_sql.cli.shop.connection import find_relation
from cva_sql.cli.shop.forgotten import Tombstones, add_orders, read_tombstones
from cva_sql.cli.shop.package import RawTable
from cva_sql.cli.shop.sql_text import column_names

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LOADED = "Loaded by cva load"  # how the comment of a raw table begins that is cva's own


def leave_out_forgotten(
    con: DuckDBPyConnection, table: str, line: RawTable, schema: str | None = None
) -> int:
    """Takes rows of people who are forgotten out of READ; how many.

    A row that names nobody is theirs where its order was. Their orders are noted first, for files
    to come. `schema` has the raw table that rows are added to, whose orders are others'; None for
    rows that take its place.
    """
    known, names = read_tombstones(con), column_names(con, f"from {rows.READ}")
    condition = theirs(known, line, names) if known else None
    if known is None or condition is None:
        return 0
    if table == "orders" and "order_id" in names:
        _note_orders(con, known, condition, names, schema and find_relation(con, schema, table))
    if {"visitor_id", "customer_id", "occurred_at"} <= set(names):
        condition += f" or {of_visitors('customer_id', known.is_customer, rows.READ)}"
    return int(con.execute(f"delete from {rows.READ} where {condition}").fetchall()[0][0])


def _note_orders(
    con: DuckDBPyConnection, known: Tombstones, theirs: str, names: list[str], beside: str | None
) -> None:
    there = column_names(con, f"from {beside}") if beside else names
    others = f"from {beside}" if beside and "order_id" in there else None
    has_store = "store" in names and "store" in there
    add_orders(con, known, f"from {rows.READ}", theirs, has_store=has_store, beside=others)


def theirs(known: Tombstones, line: RawTable, names: list[str]) -> str | None:
    """SQL over canonical columns: whether a row is of somebody forgotten; None where none can be.

    `names` are those columns that there are.
    """
    people = [n for n, (kind, _) in line.columns.items() if kind == "person" and n in names]
    conditions = [known.is_customer(name) for name in people]
    if "order_id" in names and line.role == "facts":
        nobody = "".join(f"{name} is null and " for name in people)
        is_order = known.is_order("order_id", "store" if "store" in names else None)
        conditions.append(f"({nobody}{is_order})")
    return " or ".join(conditions) or None


def of_visitors(person: str, who: Callable[[str], str], relation: str) -> str:
    """SQL: whether a visit that names nobody is theirs, by whom its visitor was named as last."""
    return (
        f"({person} is null and visitor_id in (select visitor_id from {relation} where"
        f" visitor_id is not null and {person} is not null group by visitor_id"
        f" having max_by({who(person)}, (occurred_at, {person}))))"
    )
