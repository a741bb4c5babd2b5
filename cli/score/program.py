"""The SQL of the last run, from raw rows to the features of one customer, as tables in memory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.shop.own_project import PACKAGE
from cva_sql.cli.shop.sql_text import column_names, literal, quoted
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop

STORED = "cva_stored"  # what the shop's database is attached as
FEATURES = "customer_features"
ORDERS, CUSTOMERS = "stg_cva__orders", "stg_cva__customers"
DATES, NEWEST = "int_cva__as_of_dates", "int_cva__newest_order_day"
HELD = "cva_held_id"  # stands for the one id of a customer
# What is of the whole shop, and so as the last run left it.
OF_THE_SHOP = {"int_cva__customer_ids", "int_cva__queries", "int_cva__shop_stats"}
# The texts that were read before stay read.
VECTORS, TEXTS = "int_cva__text_vectors", "int_cva__review_texts"
# Where a run says in SQL what the time is.
NOW = re.compile(r"cast\('\d{4}-\d\d-\d\d[T ][\d:.]+(?:[+-]\d\d:\d\d)?' as timestamptz\)")


@dataclass(frozen=True)
class Program:
    """What a call executes, in order, once the rows are there of the tables in `raw`.

    These are by the schema and name they have. The first `dateless` statements do not go by the
    date that is looked from.
    """

    statements: tuple[str, ...]
    raw: tuple[tuple[str, str], ...]
    orders: str
    customers: str
    dates: str
    features: str
    dateless: int = 2


def compiled(shop: ResolvedShop) -> dict[str, str]:
    """Model -> its SQL as the last run had it; raises CvaError where there was none."""
    root = shop.target_dir() / "compiled" / PACKAGE / "models"
    found = {path.stem: path.read_text(encoding="utf-8") for path in root.glob("*/*.sql")}
    if FEATURES not in found or DATES not in found:
        raise CvaError(f"{root} has not the SQL of a run; make it with: {shop.command('run')}")
    return found


def build(con: DuckDBPyConnection, shop: ResolvedShop) -> Program:
    """Makes the tables that a call fills, in a database in memory under the shop's name.

    The SQL runs as it is. What is of no customer is computed once, here.
    """
    sqls, name = compiled(shop), shop.db.stem
    con.execute(f"attach ':memory:' as {quoted(name)}").fetchall()
    con.execute(f"use {quoted(name)}").fetchall()
    inner = f"{shop.schema}_cva"
    order, found = _in_order(sqls, name)
    raw = sorted({place for place in found if place[1] not in sqls})
    for schema in {shop.schema, inner, *(schema for schema, _ in raw)}:
        con.execute(f"create schema if not exists {quoted(schema)}").fetchall()
    by_customer = [place for place in raw if _make_raw(con, shop, place)]
    statements = list[str]()
    changing = {f"{quoted(schema)}.{quoted(table)}" for schema, table in by_customer}
    for model in order:
        schema = shop.schema if model == FEATURES else inner
        relation = f"{quoted(schema)}.{quoted(model)}"
        sql = NOW.sub("now()", sqls[model])
        if model in OF_THE_SHOP:
            con.execute(f"create view {relation} as from {STORED}.{relation}").fetchall()
        elif model == DATES:
            con.execute(f"create table {relation} as from {STORED}.{relation}").fetchall()
            changing.add(relation)
        elif model == VECTORS and TEXTS in sql:
            con.execute(f"create table {relation} as from {STORED}.{relation} limit 0").fetchall()
            stored = _stored_vectors(relation, inner)
            statements += [f"delete from {relation}", _prepared(con, relation, stored, "stored")]
            statements.append(_prepared(con, relation, sql, model))
            changing.add(relation)
        elif any(f"{quoted(name)}.{one}" in sql for one in changing):
            con.execute(f"create table {relation} as select * from ({sql}) limit 0").fetchall()
            statements += [f"delete from {relation}", _prepared(con, relation, sql, model)]
            changing.add(relation)
        else:
            con.execute(f"create table {relation} as {sql}").fetchall()
    return Program(
        tuple(statements),
        tuple(by_customer),
        f"{quoted(inner)}.{ORDERS}",
        f"{quoted(inner)}.{CUSTOMERS}",
        f"{quoted(inner)}.{DATES}",
        f"{quoted(shop.schema)}.{FEATURES}",
    )


def _in_order(sqls: dict[str, str], database: str) -> tuple[list[str], set[tuple[str, str]]]:
    """The models that the features are made of, the first first, and all that they read."""
    reads = re.compile(rf'{re.escape(quoted(database))}\."([^"]+)"\."([^"]+)"')
    order, found = list[str](), set[tuple[str, str]]()

    def visit(model: str) -> None:
        if model in order:
            return
        for schema, name in (
            reads.findall(sqls[model]) if model not in {DATES, *OF_THE_SHOP} else ()
        ):
            found.add((schema, name))
            if name in sqls and name not in (model, NEWEST):
                visit(name)
        order.append(model)

    visit(ORDERS)
    visit(FEATURES)
    return order, {place for place in found if place[1] != NEWEST}


def _make_raw(con: DuckDBPyConnection, shop: ResolvedShop, place: tuple[str, str]) -> bool:
    """A raw table of this shop in memory: empty where its rows are a customer's, else as it is."""
    relation = ".".join(map(quoted, place))
    if customer_of(con, shop, place) is None:
        con.execute(f"create view {relation} as from {STORED}.{relation}").fetchall()
        return False
    con.execute(f"create table {relation} as from {STORED}.{relation} limit 0").fetchall()
    return True


def customer_of(con: DuckDBPyConnection, shop: ResolvedShop, place: tuple[str, str]) -> str | None:
    """SQL: whether a row of a raw table is the customer's, or of an order of theirs; None for none.

    The placeholder is the list of the customer's raw ids. Ids are read as staging reads them.
    """
    from cva_sql.cli.shop.package import raw_tables

    table = next((name for name in raw_tables() if shop.raw_table(name) == place), None)
    if table is None:
        return None
    known = raw_tables()[table].columns
    whose = column_of(con, shop, table, "customer_id") if "customer_id" in known else None
    order = column_of(con, shop, table, "order_id") if "order_id" in known else None
    conditions = [f"({whose}) in (select unnest($1))"] if whose else []
    plain = plain_column(con, shop, table, "customer_id") if whose else None
    if plain and is_text(con, shop, table, plain):
        # As it is written it holds the id: to look for that costs a tenth of reading it as an id.
        conditions = [f"contains(({plain}), {HELD}) and {conditions[0]}"]
    if order and table != "orders":
        orders = ".".join(map(quoted, shop.raw_table("orders")))
        own = column_of(con, shop, "orders", "order_id")
        nobody = f"({whose}) is null and " if whose else "len($1) > 0 and "
        conditions.append(f"{nobody}({order}) in (select ({own}) from {orders})")
    return " or ".join(conditions) or None


def column_of(con: DuckDBPyConnection, shop: ResolvedShop, table: str, name: str) -> str | None:
    """SQL: a canonical id in a row of the user's table, as staging reads it; None without one."""
    from cva_sql.cli.shop.package import macro_value, raw_tables

    relation = f"{STORED}.{'.'.join(map(quoted, shop.raw_table(table)))}"
    given = plain_column(con, shop, table, name)
    if given is None:
        return None
    ((_, from_type, *_),) = con.execute(f"describe select ({given}) from {relation}").fetchall()
    kind, _ = raw_tables()[table].columns[name]
    return str(macro_value("casts.sql", "cast_kind", f"({given})", kind, from_type))


def is_text(con: DuckDBPyConnection, shop: ResolvedShop, table: str, expression: str) -> bool:
    """Whether an expression over a raw table is text."""
    relation = f"{STORED}.{'.'.join(map(quoted, shop.raw_table(table)))}"
    ((_, kind, *_),) = con.execute(f"describe select ({expression}) from {relation}").fetchall()
    return str(kind) == "VARCHAR"


def plain_column(con: DuckDBPyConnection, shop: ResolvedShop, table: str, name: str) -> str | None:
    """SQL of a canonical column over the user's table, as it is written; None without one."""
    from cva_sql.cli.shop.package import raw_tables

    relation = f"{STORED}.{'.'.join(map(quoted, shop.raw_table(table)))}"
    present = column_names(con, f"from {relation}")
    return raw_tables()[table].chosen(shop.var(f"cva_{table}_columns") or {}, present).get(name)


def _stored_vectors(relation: str, inner: str) -> str:
    return (
        f"select stored.* from {STORED}.{relation} as stored semi join"
        f" {quoted(inner)}.{TEXTS} as texts on stored.text_hash = texts.text_hash"
    )


def _prepared(con: DuckDBPyConnection, relation: str, sql: str, name: str) -> str:
    """The statement that adds to a table what the SQL gives, prepared."""
    statement = quoted(f"cva_step_{name}")
    con.execute(f"prepare {statement} as insert into {relation} {sql}").fetchall()
    return f"execute {statement}"


def attach(con: DuckDBPyConnection, db: Path) -> None:
    """The shop's database, to be read."""
    con.execute(
        f"attach {literal(str(db.resolve()))} as {STORED} (type duckdb, read_only)"
    ).fetchall()
