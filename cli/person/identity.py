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
    keyed = _by_key(con, shop)
    seen, new, people = {customer}, {customer}, set[str]()
    while new and (pairs or keyed):
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
        for pair in keyed:
            found |= set(
                con.execute(
                    f"select distinct a, b from ({pair}) where {is_new('a')} or {is_new('b')}"
                ).fetchall()
            )
        new = {one for pair in found for one in pair if one is not None} - seen
        seen |= new
    return sorted(seen, key=lambda one: (one not in people, one.startswith("key-"), one))


def _by_key(con: DuckDBPyConnection, shop: ResolvedShop) -> list[str]:
    """SQL of ids and the customer key beside each, of raw rows that no run may have seen yet."""
    from cva_sql.cli.person.raw import KEY, raw_sources

    if not shop.var("cva_customer_key"):
        return []
    return [
        f"select customer_id as a, {KEY} as b from ({source.rows})"
        for source in raw_sources(con, shop)
        if source.has_key and "customer_id" in source.columns
    ]
