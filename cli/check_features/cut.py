"""Takes the future out of a copy of a shop's database, for `cva check-features`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.connection import connect
from cva_sql.cli.shop.dbt_runner import ARTEFACTS, run_dbt
from cva_sql.cli.shop.package import raw_tables
from cva_sql.cli.shop.shop import ResolvedShop

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FEATURES = "model.cva.customer_features"
TODAY = re.compile(r"\b(current_date|current_timestamp|now\s*\(|today\s*\(|get_current_)", re.I)
COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.S)


@dataclass(frozen=True)
class Cut:
    """A table's rows before and after, and the columns that dated them ('' where none does)."""

    name: str
    rows: int
    left: int
    by: str


def cut_tables(
    shop: ResolvedShop, day: date, variables: Mapping[str, Any]
) -> tuple[list[Cut], list[str]]:
    """Cuts every table that a feature may read; what was done, and what could not be.

    `variables` are those that the features were built with, so that dbt need not parse anew.
    """
    con = connect(shop.db)
    try:
        canonical = _canonical(con, shop)
        before = {name: _count(con, name) for name in canonical}
    finally:
        con.close()
    arguments = ["cva.cut_raw_tables", "--args", json.dumps({"as_of": day.isoformat()})]
    run_dbt(shop, "run-operation", variables=variables, arguments=arguments, environment=ARTEFACTS)
    file = shop.target_dir(spine=variables["cva_spine"]) / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    cuts, notes = [], list(_notes(manifest))
    con = connect(shop.db)
    try:
        for name, by in canonical.items():
            cuts.append(Cut(_shown(name), before[name], _count(con, name), by))
        others, elsewhere = _other_tables(con, shop, manifest)
        notes += elsewhere
        for name in others:
            if name not in canonical:
                cuts.append(_cut(con, shop, name, day))
    finally:
        con.close()
    return cuts, notes


Name = tuple[str, str]  # schema, table; as the database spells them


def _canonical(con: DuckDBPyConnection, shop: ResolvedShop) -> dict[Name, str]:
    """The user's tables behind the canonical ones, with the canonical columns that date them."""
    found = {}
    for table, line in raw_tables().items():
        rows = con.execute(
            "select table_schema, table_name from information_schema.tables "
            "where table_catalog = current_database() and lower(table_schema) = lower(?) "
            "and lower(table_name) = lower(?)",
            list(shop.raw_table(table)),
        ).fetchall()
        by = f"its {line.of.removesuffix('s')}" if line.of else ", ".join(line.times)
        found.update({(row[0], row[1]): by for row in rows})
    return found


def _other_tables(
    con: DuckDBPyConnection, shop: ResolvedShop, manifest: dict[str, Any]
) -> tuple[list[Name], list[str]]:
    """Tables in the raw schema and sources that features read, but what dbt builds."""
    built = {
        (node["schema"].lower(), str(node.get("alias") or node["name"]).lower())
        for node in manifest["nodes"].values()
        if node["resource_type"] in ("model", "seed", "snapshot")
    }
    tables = {
        (row[0], row[1])
        for row in con.execute(
            "select schema_name, table_name from duckdb_tables() "
            "where database_name = current_database() and not internal"
        ).fetchall()
    }
    raw = str(shop.var("cva_raw_schema")).lower()
    wanted = {name for name in tables if name[0].lower() == raw}
    notes = []
    for key in _upstream(manifest, FEATURES):
        source = manifest["sources"].get(key)
        if source is None:
            continue
        name = (source["schema"].lower(), source["identifier"].lower())
        found = {table for table in tables if (table[0].lower(), table[1].lower()) == name}
        wanted |= found
        if not found:
            notes.append(f"source {source['name']} is not a table of this database: not cut")
    others = [n for n in wanted if (n[0].lower(), n[1].lower()) not in built]
    return sorted(others), sorted(notes)


def _upstream(manifest: dict[str, Any], key: str) -> Iterator[str]:
    seen, left = {key}, [key]
    while left:
        for parent in manifest["parent_map"].get(left.pop(), []):
            if parent not in seen:
                seen.add(parent)
                left.append(parent)
                yield parent


def _cut(con: DuckDBPyConnection, shop: ResolvedShop, name: Name, day: date) -> Cut:
    """Deletes the rows all of whose dates lie on or after the day: they were not there before."""
    zone = str(shop.var("cva_timezone")).replace("'", "''")
    columns = con.execute(
        "select column_name, data_type from information_schema.columns where table_catalog = "
        "current_database() and table_schema = ? and table_name = ? order by ordinal_position",
        list(name),
    ).fetchall()
    dates = {}
    for column, kind in columns:
        quoted = '"' + column.replace('"', '""') + '"'
        if kind == "TIMESTAMP WITH TIME ZONE":
            dates[column] = f"timezone('{zone}', {quoted})"
        elif kind == "DATE" or kind.startswith("TIMESTAMP"):
            dates[column] = f"cast({quoted} as timestamp)"
    rows = _count(con, name)
    if dates:
        con.execute(
            f"delete from {_quoted(name)} where least({', '.join(dates.values())}) >= "
            f"timestamp '{day.isoformat()}'"
        ).fetchall()
    return Cut(_shown(name), rows, _count(con, name), ", ".join(dates))


def _notes(manifest: dict[str, Any]) -> Iterator[str]:
    """The user's models that ask for today's date, which is the same in both builds."""
    for key in sorted(_upstream(manifest, FEATURES)):
        node = manifest["nodes"].get(key)
        if node is None or node["package_name"] == "cva" or node["resource_type"] != "model":
            continue
        found = TODAY.search(COMMENTS.sub("", node.get("compiled_code") or node["raw_code"]))
        if found:
            yield (
                f"model {node['name']} asks for today ({found.group(1).rstrip('( ')}), which no "
                "cut shows; take as_of_date of the spine instead"
            )


def _count(con: DuckDBPyConnection, name: Name) -> int:
    return int(con.execute(f"select count(*) from {_quoted(name)}").fetchall()[0][0])


def _quoted(name: Name) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in name)


def _shown(name: Name) -> str:
    return ".".join(name)
