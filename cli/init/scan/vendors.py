"""Tables that a known vendor wrote: its preset fills the raw tables, and nothing is guessed."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.load.inputs import Input, tables_of
from cva_sql.cli.load.matching import find_layouts
from cva_sql.cli.presets.preset import Part, Preset
from cva_sql.cli.presets.recognition import plain_name, recognise
from cva_sql.cli.shop.package import raw_tables
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TARGET, OTHER = "raw", "loaded"  # where the preset's tables go, and where its own are in `raw`


@dataclass(frozen=True)
class Vendor:
    """A preset, the schema whose tables it reads, the raw tables it fills, and its command."""

    preset: Preset
    schema: str
    target: str
    layouts: dict[str, list[str]]
    parts: tuple[Part, ...]
    unused: tuple[str, ...]
    command: str


def find_vendor(
    con: DuckDBPyConnection, db: Path, schemas: Sequence[str]
) -> tuple[Vendor | None, list[str]]:
    """The vendor whose tables fill orders, and what stands in the way; None where none is sure.

    Orders with cva's own columns were loaded already, and are read as they are.
    """
    (name,) = con.execute("select current_database()").fetchone() or ("",)
    inputs = {schema: tables_of(con, name, schema) for schema in schemas}
    if any(_is_canonical(one) for found in inputs.values() for one in found):
        return None, []
    vendors, problems = [], []
    for schema, tables in inputs.items():
        known = {p.name: p for one in tables for p, _ in recognise(one.header)}
        for preset in known.values():
            try:
                found = find_layouts(preset, tables)
            except UsageError as error:
                problems.append(f"tables of {preset.title}: {error}")
                continue
            parts = tuple(preset.parts_of(set(found)))
            if any(part.table == "orders" for part in parts):
                vendors.append(_vendor(preset, db, schema, len(schemas), found, parts, tables))
    if len(vendors) > 1:
        names = " or ".join(f"{one.preset.name} in {one.schema}" for one in vendors)
        problems.append(f"tables of {names}; load one of them: {vendors[0].command}")
    return (vendors[0] if len(vendors) == 1 else None), problems


def describe_vendor(vendor: Vendor) -> list[str]:
    """What was recognised, what it fills, and what the preset says of it."""
    preset = vendor.preset
    lines = [f"\nrecognised by the columns: {preset.name} ({preset.title})"]
    used = {name for part in vendor.parts for name in part.layouts}
    lines += [f"    {name:<20} {', '.join(vendor.layouts[name])}" for name in sorted(used)]
    lines.append(f"  - fills {', '.join(f'{vendor.target}.{p.table}' for p in vendor.parts)}")
    orders = vendor.parts[0]
    for what, said in (
        ("amount", orders.amount or preset.amount),
        ("times", preset.times),
        ("cancelled, so no sales", orders.cancelled),
        ("left out as trials", orders.test),
    ):
        if said:
            lines.append(f"  - {what}: {said}")
    if vendor.unused:
        lines.append(f"  - not used: {', '.join(vendor.unused)}")
    return lines


def _is_canonical(table: Input) -> bool:
    is_named_so = table.name.split(".", 1)[1].lower() == "orders"
    header = {plain_name(name) for name in table.header}
    return is_named_so and header.issuperset(raw_tables()["orders"].required)


def _vendor(
    preset: Preset,
    db: Path,
    schema: str,
    schema_count: int,
    found: dict[str, list[Input]],
    parts: tuple[Part, ...],
    tables: Sequence[Input],
) -> Vendor:
    target = OTHER if schema.lower() == TARGET else TARGET
    words = ["cva", "load", preset.name, "--db", str(db), "--schema", target]
    words += ["--source-schema", schema] if schema_count > 1 else []
    used = {one.name for part in parts for name in part.layouts for one in found[name]}
    return Vendor(
        preset=preset,
        schema=schema,
        target=target,
        layouts={name: [one.name for one in fitting] for name, fitting in found.items()},
        parts=parts,
        unused=tuple(one.name for one in tables if one.name not in used),
        command=shlex.join(words),
    )
