"""The tables of a database that hold something of a person, and which of them are cva's."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from cva_sql.cli.load.forgotten import LOADED
from cva_sql.cli.person.raw import Who
from cva_sql.cli.run.recommendations import made_tables
from cva_sql.cli.shop.connection import find_relation
from cva_sql.cli.shop.forgotten import TABLE as TOMBSTONES
from cva_sql.cli.shop.package import project_dir
from cva_sql.cli.shop.sql_text import literal, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop

VISITS = "int_cva__browse_days"  # a visitor is whom they were named as last
OUTLIERS = "cva_training_runs"  # names customers who were too large to learn from
# Tables that commands make without a model of dbt.
COMMANDS = {
    "cva_runs", "cva_alert_acks", "cva_model_metrics", "cva_model_deciles", "cva_model_groups",
    OUTLIERS,
}  # fmt: skip
# Models of the package with a name that nobody else's has, in whatever schema a project puts them.
OURS = re.compile(r"(cva|int_cva_|stg_cva_|feat_cva_)_.*")
# Schemas that a command fills for itself, and those that dbt puts beside them: see check_schemas.
SIDES = re.compile(r"cva_(train|evaluate|check)(_cva)?", re.IGNORECASE)
ALERT_DATE = len("@2024-01-31")  # what an alert_id has after its customer
NAMES = re.compile(r"(.*_)?(customer_id|raw_id|person_id)", re.IGNORECASE)


@dataclass(frozen=True)
class Holding:
    """A table with columns that name customers: as SQL names it, and SQL of the ids in a row.

    `is_ours`: cva made it.
    """

    schema: str
    table: str
    ids: tuple[str, ...]
    is_ours: bool

    @property
    def relation(self) -> str:
        """The table as SQL names it."""
        return f"{quoted(self.schema)}.{quoted(self.table)}"

    @property
    def shown(self) -> str:
        """Its name for people."""
        return f"{self.schema}.{self.table}"

    def of(self, who: Who) -> str:
        """SQL: whether a row is theirs."""
        return " or ".join(f"coalesce({who(expression)}, false)" for expression in self.ids)


def holdings(
    con: DuckDBPyConnection, shop: ResolvedShop, leave: Collection[str] = ()
) -> list[Holding]:
    """The tables of the database with columns that name customers, but those that are left."""
    rows = con.execute(
        "select schema_name, table_name, list(column_name order by column_index),"
        f" coalesce(starts_with(max(duckdb_tables.comment), {literal(LOADED)}), false) from"
        " duckdb_columns() join duckdb_tables() using (database_name, schema_name, table_name)"
        " where database_name = current_database() and not duckdb_tables.internal"
        " group by schema_name, table_name order by all"
    ).fetchall()
    marts = _marts(con, shop)
    found = []
    for schema, table, columns, is_loaded in rows:
        ids = _ids(table, columns, f"{quoted(schema)}.{quoted(table)}")
        one = Holding(schema, table, ids, is_loaded or _is_ours(schema, table, marts))
        if ids and one.relation not in leave and table != TOMBSTONES:
            found.append(one)
    return found


def _ids(table: str, columns: list[str], relation: str) -> tuple[str, ...]:
    """SQL of the ids of customers in a row."""
    ids = [f"cast({quoted(name)} as varchar)" for name in columns if NAMES.fullmatch(name)]
    if "alert_id" in columns:
        ids.append(f"left(alert_id, greatest(length(alert_id) - {ALERT_DATE}, 0))")
    if table == VISITS:
        ids.append(
            "case when customer_id is null then (select max_by(n.customer_id, (n.named_at,"
            f" n.customer_id)) from {relation} as n where n.visitor_id = {VISITS}.visitor_id) end"
        )
    if table == OUTLIERS:
        ids.append("case when name = 'outlier' then text end")
    return tuple(ids)


def _is_ours(schema: str, table: str, marts: Collection[tuple[str, str]]) -> bool:
    name = table.lower()
    is_named = name in COMMANDS or (OURS.fullmatch(name) is not None and name in _model_names())
    is_side = SIDES.fullmatch(schema) is not None
    return is_named or is_side or (schema.lower(), name) in marts


def _marts(con: DuckDBPyConnection, shop: ResolvedShop) -> set[tuple[str, str]]:
    """Schema and name, in lower case, of the package's tables with plain names."""
    found = {(shop.schema.lower(), name) for name in _model_names()}
    found |= {(shop.schema.lower(), name) for name in made_tables(con, shop.schema)}
    declared = find_relation(con, f"{shop.schema}_cva", "cva_marts")
    if declared is not None:
        found |= set(
            con.execute(
                f"select lower(schema_name), lower(table_name) from {declared} where not is_own"
            ).fetchall()
        )
    return found


@cache
def _model_names() -> frozenset[str]:
    return frozenset(path.stem.lower() for path in (project_dir() / "models").rglob("*.sql"))
