"""The registry of raw tables: each entry is whole, and the package has what it names."""

from __future__ import annotations

from typing import Any

import pytest

from cva_sql.cli.shop.package import macro_value, project_dir, raw_tables

ENTRIES: dict[str, dict[str, Any]] = macro_value("raw_tables.sql", "raw_tables")
NEEDED = {"role", "key", "columns", "name", "words"}
KNOWN = NEEDED | {
    "date",
    "is_plan",
    "of",
    "since",
    "states",
    "moves_as_of",
    "kept",
    "replaces",
    "valid",
    "daily",
    "family",
    "tells",
    "contact",
    "aliases",
}
KINDS = {"id", "person", "text", "money", "time", "number", "integer", "flag", "vector"}


@pytest.mark.parametrize("table", ENTRIES)
def test_an_entry_is_whole(table: str) -> None:
    entry = ENTRIES[table]
    assert NEEDED <= entry.keys() <= KNOWN
    assert entry["role"] in ("facts", "entities", "people", "identity", "outcomes")
    assert {kind for kind, _, _ in entry["columns"].values()} <= KINDS
    assert bool(entry["key"]) == ("kept" in entry)
    assert entry.get("of", "orders") in ENTRIES


@pytest.mark.parametrize("table", ENTRIES)
def test_what_an_entry_names_is_there(table: str) -> None:
    entry, columns = ENTRIES[table], set(ENTRIES[table]["columns"])
    states = entry.get("states", {})
    named = {*entry["key"], *entry.get("tells", ()), *states}
    named |= {*entry.get("contact", ()), *entry.get("aliases", ())}
    assert named.union(*states.values()) <= columns
    models = {path.stem for path in (project_dir() / "models").rglob("*.sql")}
    named_models = {f"stg_cva__{table}", *entry.get("valid", ())[:1]}
    assert named_models | {entry.get("daily", f"stg_cva__{table}")} <= models


def test_every_time_is_a_date_a_start_or_a_state() -> None:
    """Else a later one would stay in `cva check-features`, which takes the future away."""
    for table, entry in ENTRIES.items():
        said = [entry.get("date"), *entry.get("since", ()), *entry.get("states", {})]
        assert {name for name in said if name} == set(raw_tables()[table].times), table


def test_facts_have_a_date_or_a_table_that_dates_them() -> None:
    for table, entry in ENTRIES.items():
        assert (entry["role"] in ("facts", "outcomes")) == ("date" in entry or "of" in entry), table
        assert (entry["role"] == "people") == ("since" in entry), table


@pytest.mark.parametrize(
    ("kind", "from_type", "expected"),
    [
        ("id", "BIGINT", "cast(x as varchar)"),
        ("money", "decimal(18,4)", "x"),
        ("time", "TIMESTAMP WITH TIME ZONE", "timezone('Europe/Paris', x)"),
    ],
)
def test_a_macro_is_read_without_dbt(kind: str, from_type: str, expected: str) -> None:
    zone = {"cva_timezone": "Europe/Paris"}
    found = macro_value("casts.sql", "cast_kind", "x", kind, from_type, settings=zone)
    assert found == expected
