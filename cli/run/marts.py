"""The tables that a run publishes: those whose yml says so, as the model cva_marts has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cva_sql.cli.shop.progress import say
from cva_sql.cli.shop.sql_text import quoted
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop


@dataclass(frozen=True)
class Mart:
    """A table to publish under its name; `schema` is where dbt built it.

    One that is about something optional is published `only_with_rows`.
    """

    schema: str
    name: str
    is_own: bool = False
    only_with_rows: bool = False

    @property
    def sql(self) -> str:
        """The table as SQL names it."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def find_marts(shop: ResolvedShop, con: DuckDBPyConnection) -> list[Mart]:
    """What the last dbt build published, the package's first, each by name.

    Raises CvaError where a table of the package does not exist, or two would have one name. One of
    the user's own that has not been built is said and left out: `cva run` does not build it.
    """
    rows = con.execute(
        "select lower(table_schema), lower(table_name) from information_schema.tables "
        "where table_catalog = current_database()"
    ).fetchall()
    existing, found = set(rows), dict[str, Mart]()
    declared = [*_declared_marts(shop, con), *_made_marts(shop, con)]
    for mart in sorted(declared, key=lambda mart: (mart.is_own, mart.name)):
        if (mart.schema.lower(), mart.name.lower()) not in existing:
            if not mart.is_own:
                raise CvaError(
                    f"{mart} does not exist, so nothing was published; build it with: "
                    f"{shop.command('run')}"
                )
            say(f"{mart} says published and has not been built: build it with dbt, then cva run")
            continue
        if mart.only_with_rows and not con.execute(f"from {mart.sql} limit 1").fetchall():
            continue
        other = found.setdefault(mart.name.lower(), mart)
        if other is not mart:
            raise CvaError(f"{mart} and {other} would be published under one name; rename yours")
    return list(found.values())


def _made_marts(shop: ResolvedShop, con: DuckDBPyConnection) -> list[Mart]:
    """The tables of recommendations, where there are any."""
    from cva_sql.cli.run.recommendations import made_tables

    return [Mart(shop.schema, name, only_with_rows=True) for name in made_tables(con, shop.schema)]


def _declared_marts(shop: ResolvedShop, con: DuckDBPyConnection) -> list[Mart]:
    """What cva_marts says."""
    import duckdb

    table = f"{quoted(f'{shop.schema}_cva')}.cva_marts"
    try:
        rows = con.execute(
            f"select schema_name, table_name, is_own, only_with_rows from {table}"
        ).fetchall()
    except duckdb.CatalogException:
        raise CvaError(f"{table} does not exist; build it with: {shop.command('run')}") from None
    return [Mart(*row) for row in rows]
