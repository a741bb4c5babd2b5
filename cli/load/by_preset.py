"""Loads by a preset: a vendor's export fills every raw table that it holds, all or nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.load.checks import check
from cva_sql.cli.load.connection import connected, transaction
from cva_sql.cli.load.databases import copy_tables
from cva_sql.cli.load.formats.source import FOUND_OUT, ReadOptions
from cva_sql.cli.load.inputs import FROM, Input, read_inputs, tables_of
from cva_sql.cli.load.matching import chosen_parts, find_layouts, left_alone, recognised
from cva_sql.cli.load.preset_source import READY, forget_last, make_part
from cva_sql.cli.load.report import LoadReport
from cva_sql.cli.load.rows import count_rows, first_row
from cva_sql.cli.load.table import (
    Into,
    Ready,
    Wanted,
    load_wanted,
    prepare,
    refuse_existing,
    write,
)
from cva_sql.cli.presets.preset import Part, Preset, presets, read_preset
from cva_sql.cli.presets.recognition import layouts_of
from cva_sql.cli.readings.inference import TEXT
from cva_sql.cli.shop.expressions import shortened
from cva_sql.cli.shop.files import size_of
from cva_sql.cli.shop.history import recorded_in
from cva_sql.cli.shop.package import raw_tables, status_meaning
from cva_sql.cli.shop.progress import count_of
from cva_sql.cli.shop.sql_text import column_names
from cva_sql.cli.shop.terminal import json_text
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

YML = (".yml", ".yaml")


@dataclass(frozen=True)
class PresetReport:
    """What a preset filled: a report per table, and what is said of the whole."""

    preset: str
    said: tuple[str, ...]
    tables: tuple[LoadReport, ...]

    def as_json(self) -> str:
        """The reports as one JSON object; money as text."""
        return json_text(dataclasses.asdict(self), default=str)

    def as_text(self) -> str:
        """The reports for the terminal."""
        return "\n".join([*self.said, *(report.as_text() for report in self.tables)])


@dataclass(frozen=True)
class Overrides:
    """What the user says beside the preset, how the files are written, and where its tables are."""

    wanted: Wanted
    options: ReadOptions = FOUND_OUT
    source_schema: str | None = None


def find_preset(name: str) -> Preset | None:
    """The preset of that name or in that yml file; None where a file, folder or table is meant."""
    if name in presets():
        return presets()[name]
    path = Path(name)
    if path.suffix.lower() in YML and path.is_file():
        return read_preset(path)
    return None


def find_named(name: str) -> Preset:
    """The preset of that name or in that yml file; raises UsageError if there is none."""
    preset = find_preset(name)
    if preset is None:
        raise UsageError(
            f"'{shortened(name)}' is no preset; expected a yml file or {', '.join(presets())}"
        )
    return preset


def is_input(name: str) -> bool:
    """Whether the name is an export itself, whose vendor is to be recognised."""
    return name not in raw_tables() and Path(name).exists()


def load_any(
    name: str,
    paths: Sequence[Path],
    overrides: Overrides,
    into: Into,
    *,
    db: Path,
    query: str | None,
    url: str | None = None,
) -> LoadReport | PresetReport:
    """What was loaded into the raw table of that name, by the preset or of the export itself."""
    preset = find_preset(name) if name not in raw_tables() else None
    if preset is None and not is_input(name):
        if overrides.source_schema:
            raise UsageError("--source-schema is for a preset, e.g. cva load fivetran-shopify")
        check_name(name)
        return load_wanted(
            name,
            paths,
            overrides.wanted,
            into,
            db=db,
            query=query,
            url=url,
            options=overrides.options,
        )
    for option, is_given in (("--query", query is not None), ("--lines", overrides.wanted.lines)):
        if is_given:
            raise UsageError(f"{option} is for one table; a preset says itself how it is read")
    given = [Path(name), *paths] if preset is None else paths
    if given and url is not None:
        raise UsageError("expected either files or --from")
    return load_by_preset(preset, given, overrides, into, db=db, url=url)


def check_name(name: str) -> None:
    """Raises UsageError unless it is the name of a raw table."""
    if name not in raw_tables():
        raise UsageError(
            f"'{shortened(name)}' is not a table, a preset or a file; expected one of"
            f" {', '.join(raw_tables())}, or a preset: {', '.join(presets())}"
        )


def load_by_preset(
    preset: Preset | None,
    paths: Sequence[Path],
    overrides: Overrides,
    into: Into,
    *,
    db: Path,
    url: str | None = None,
) -> PresetReport:
    """What the export filled; None as preset is the vendor that its headers tell.

    Without `paths` the tables of `db` itself are the export, or those of the database of `url`. All
    tables change in one transaction, or none does.
    """
    check("orders", overrides.wanted, into)
    name = preset.name if preset else "export"
    with (
        connected(db, into.timezone, size_of(paths)) as con,
        recorded_in(con, f"load {name}") as entry,
    ):
        inputs = _inputs(con, paths, overrides, preset, url)
        told = tuple[str, ...]()
        if preset is None:
            preset = recognised(inputs)
            told = (said_recognised(preset),)
        filled = prepare_export(con, preset, inputs, overrides.wanted, into)
        with transaction(con):
            reports = write_all(con, filled.ready, into)
        entry.rows = sum(report.loaded.rows for report in reports)
    return PresetReport(preset.name, (*told, *filled.said), reports)


@dataclass(frozen=True)
class Filled:
    """Tables that are ready to be written, and what was decided for all of them."""

    said: tuple[str, ...]
    ready: tuple[Ready, ...]


def said_recognised(preset: Preset) -> str:
    """One line on the vendor that the header told."""
    return f"recognised by the header: {preset.name} ({preset.title})"


def prepare_export(
    con: DuckDBPyConnection, preset: Preset, inputs: Sequence[Input], wanted: Wanted, into: Into
) -> Filled:
    """The raw tables that the vendor's inputs fill, ready to be written."""
    found = find_layouts(preset, inputs)
    parts = chosen_parts(preset, inputs, found)
    for part in parts:
        refuse_existing(con, part.table, into)
    said = [f"read from {line}" for one in inputs for line in one.said]
    said += left_alone(preset, inputs, found)
    said += [f"times: {preset.times}"] if preset.times else []
    ready = []
    for part in parts:
        one = _prepare(con, preset, part, found, wanted, into)
        if one is None:
            continue
        if part.table == "orders":
            amount = part.amount or preset.amount
            said += [f"amount: {amount}"] if amount else []
            said += _cancelled(con, one.relation)
        ready.append(set_aside(con, one))
    return Filled(tuple(said), tuple(ready))


def write_all(
    con: DuckDBPyConnection, ready: Sequence[Ready], into: Into
) -> tuple[LoadReport, ...]:
    """The reports of tables that are written, in the caller's transaction."""
    reports = []
    for one in ready:
        forget_last(con)
        reports.append(write(con, one, into))
    return tuple(reports)


def _inputs(
    con: DuckDBPyConnection,
    paths: Sequence[Path],
    overrides: Overrides,
    preset: Preset | None,
    url: str | None,
) -> list[Input]:
    """What was given; the tables of the shop's own database where nothing was."""
    schema = overrides.source_schema
    if preset is not None and url is not None:
        con.execute(f"attach ':memory:' as {FROM}")
        known = preset
        copy_tables(con, url, FROM, schema, lambda header: bool(layouts_of(known, header)))
        return tables_of(con, FROM, schema)
    if not paths:
        own = con.execute("select current_database()").fetchone() or ("",)
        return tables_of(con, own[0], schema)
    inputs = read_inputs(con, paths, overrides.options)
    return [one for one in inputs if not schema or one.name.startswith(f"{schema}.")]


def _prepare(
    con: DuckDBPyConnection,
    preset: Preset,
    part: Part,
    found: Mapping[str, Sequence[Input]],
    given: Wanted,
    into: Into,
) -> Ready | None:
    """The part's rows; None where the export has none for it and does not need to, as returns."""
    made = make_part(con, preset, part, found, given.asked)
    if part.table != "orders" and not count_rows(con, TEXT):
        return None
    known, is_of_orders = raw_tables()[part.table].columns, part.table == "orders"
    own = {name: text for name, text in given.columns.items() if name in known}
    wanted = Wanted(
        columns={**made.columns, **own},
        where=given.where if is_of_orders else None,
        amount_per=(given.amount_per or made.amount_per) if is_of_orders else None,
        asked=made.asked,
        status_counts=given.status_counts if is_of_orders else (),
        status_cancelled=given.status_cancelled if is_of_orders else (),
        said=made.said,
    )
    names = " and ".join(dict.fromkeys(one.name for n in part.layouts for one in found[n]))
    return prepare(con, part.table, names, wanted, into)


def set_aside(con: DuckDBPyConnection, ready: Ready) -> Ready:
    """The same under a name of its own, so that the next table can be prepared."""
    relation = f"{READY}{ready.report.table}"
    con.execute(f"alter table {ready.relation} rename to {relation}")
    return replace(ready, relation=f"temp.{relation}")


def _cancelled(con: DuckDBPyConnection, relation: str) -> list[str]:
    """How many of the orders are cancelled, in a line if any is."""
    if "status" not in column_names(con, f"from {relation}"):
        return []
    is_cancelled = f"{status_meaning('status')} = 'cancelled'"
    count, amount = first_row(
        con, f"select count(*), coalesce(sum(amount), 0) from {relation} where {is_cancelled}"
    )
    said = f"cancelled, so no sales: {count_of(count, 'order')} of {amount:,.2f}"
    return [said] if count else []
