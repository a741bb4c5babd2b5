"""Which raw ids are one person, as the last run and the merges loaded since have it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from cva_sql.cli.shop.connection import find_relation
from cva_sql.cli.shop.sql_text import literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.person.raw import Who
    from cva_sql.cli.shop.shop import ResolvedShop


def any_of(ids: Iterable[str]) -> Who:
    """SQL: whether an id is one of these."""
    listed = ", ".join(map(literal, sorted(ids)))
    return lambda expression: f"({expression} in ({listed}))"


def ids_of_person(con: DuckDBPyConnection, shop: ResolvedShop, customer: str) -> list[str]:
    """Every id of the person whom a raw id, or a customer_id, is of; the person's own first."""
    import duckdb

    pairs = [
        f"select {a} as a, {b} as b from {relation} where {valid}"
        for table, a, b, valid in (
            ("int_cva__customer_ids", "raw_id", "customer_id", "true"),
            (
                "stg_cva__customer_merges",
                "from_customer_id",
                "to_customer_id",
                "reject_reason is null",
            ),
        )
        if (relation := find_relation(con, f"{shop.schema}_cva", table)) is not None
    ]
    seen, new, people = {customer}, {customer}, set[str]()
    while new and pairs:
        is_new = any_of(new)
        found = set[tuple[str, str]]()
        for pair in pairs:
            with suppress(duckdb.Error):  # a view over a table that is no more
                found |= set(
                    con.execute(
                        f"select a, b from ({pair}) where {is_new('a')} or {is_new('b')}"
                    ).fetchall()
                )
        people |= {b for _, b in found}
        new = {one for pair in found for one in pair if one is not None} - seen
        seen |= new
    return sorted(seen, key=lambda one: (one not in people, one))
