"""The tables that a run publishes: those whose yml says so, as dbt's manifest has them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.own_project import PACKAGE
from cva_sql.cli.shop.progress import say
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop


@dataclass(frozen=True)
class Mart:
    """A table to publish under its name; `schema` is where dbt built it."""

    schema: str
    name: str
    is_own: bool = False

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
    for mart in sorted(_declared_marts(shop), key=lambda mart: (mart.is_own, mart.name)):
        if (mart.schema.lower(), mart.name.lower()) not in existing:
            if not mart.is_own:
                raise CvaError(
                    f"{mart} does not exist, so nothing was published; build it with: "
                    f"cva run{shop.naming}"
                )
            say(f"{mart} says published and has not been built: build it with dbt, then cva run")
            continue
        other = found.setdefault(mart.name.lower(), mart)
        if other is not mart:
            raise CvaError(f"{mart} and {other} would be published under one name; rename yours")
    return list(found.values())


def _declared_marts(shop: ResolvedShop) -> Iterator[Mart]:
    """The nodes of dbt's manifest whose meta says `cva: {published: true}`."""
    path = shop.target_dir() / "manifest.json"
    try:
        nodes = json.loads(path.read_text(encoding="utf-8"))["nodes"].values()
    except (OSError, ValueError, KeyError):
        raise CvaError(f"{path} cannot be read; build again with: cva run{shop.naming}") from None
    for node in nodes:
        if _says_published(node):
            yield Mart(node["schema"], node["alias"], node["package_name"] != PACKAGE)


def _says_published(node: dict[str, Any]) -> bool:
    said = (node.get("config", {}).get("meta") or {}).get("cva")
    return isinstance(said, dict) and said.get("published") is True
