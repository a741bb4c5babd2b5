"""The source of a raw table that a preset fills, for the load of that table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cva_sql.cli.load.inputs import (
    Input,
    absent_columns,
    make_layout,
    take_input,
)
from cva_sql.cli.load.matching import find_layouts
from cva_sql.cli.load.rows import SOURCE, count_rows
from cva_sql.cli.load.source import has_texts
from cva_sql.cli.presets.preset import NAMED, Part, Preset
from cva_sql.cli.presets.recognition import recognise
from cva_sql.cli.readings.column import Asked
from cva_sql.cli.readings.inference import TEXT, find_columns
from cva_sql.cli.shop.package import raw_tables
from cva_sql.cli.shop.progress import count_of
from cva_sql.cli.shop.sql_text import bind, column_names, quoted
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TEMPORARY = "cva_"  # how the relations of a load begin
INPUTS, READY = "cva_input_", "cva_ready_"  # what was read, and what is to be written


@dataclass(frozen=True)
class Made:
    """How `load_table` takes the source that was made for it; `said` is what is worth a line."""

    columns: Mapping[str, str]
    amount_per: str | None
    asked: Asked
    said: tuple[str, ...]


def make_part(
    con: DuckDBPyConnection,
    preset: Preset,
    part: Part,
    found: Mapping[str, Sequence[Input]],
    asked: Asked,
) -> Made:
    """Makes the texts that `load_table` reads for a part of the preset.

    `found` are the layouts that are there; `asked` what the user says of how they are written.
    """
    forget_last(con)
    made = {name: make_layout(con, preset.layouts[name], found[name]) for name in part.layouts}
    absent = set[str]()
    for name in part.layouts:
        absent |= absent_columns(preset.layouts[name], found[name])
    rows = _rows(part, made)
    names = column_names(con, rows)
    columns = _columns(con, preset, part, names, absent)
    for key, condition in (("where", part.where), ("test", part.test)):
        if condition:
            bind(
                con, f"{preset.name}: {key} of {part.table}", f"select ({condition}) {rows}", names
            )
    kept, said = _kept_rows(con, part, rows)
    first_of_each = _one_per_key(part, columns)
    used = set[str]().union(*(find_columns(con, value, names) for value in columns.values()))
    taken = f"*{_left_out(part, columns, names, used)}"
    if first_of_each:
        taken = ", ".join(quoted(name) for name in names if name in used)
    is_view = part.select in made and not first_of_each  # what is dear is not to be done each time
    con.execute(
        f"create temp {'view' if is_view else 'table'} cva_text as"
        f" select {taken} {rows} {kept}{first_of_each}"
    )
    typed = all(one.is_typed for name in part.layouts for one in found[name])
    return Made(
        columns=columns,
        amount_per=part.amount_per if _has_lines(con, part, columns) else None,
        asked=Asked(
            asked.decimal or preset.decimal or ("point" if typed else None),
            asked.dates or preset.dates or ("ymd" if typed else None),
        ),
        said=said,
    )


def _kept_rows(con: DuckDBPyConnection, part: Part, rows: str) -> tuple[str, tuple[str, ...]]:
    """SQL: which of the rows are taken; and what is to be said of the trials that are not."""
    kept = f"where ({part.where})" if part.where else ""
    if not part.test:
        return kept, ()
    count = count_rows(con, f"(select * {rows} {kept}) where ({part.test})")
    noun = part.table.replace("_", " ").removesuffix("s")
    said = f"left out as trials: {count_of(count, noun)}"
    condition = f"({part.where or 'true'}) and not coalesce(({part.test}), false)"
    return f"where {condition}", (said,) if count else ()


def preset_of(con: DuckDBPyConnection, table: str, source: str, asked: Asked) -> Made | None:
    """The preset whose export was read, as the source of this table; None where none fits.

    A file that has the table's own required columns is none.
    """
    header = column_names(con, f"from {TEXT if has_texts(con) else SOURCE}")
    if {name.lower() for name in header}.issuperset(raw_tables()[table].required):
        return None
    known = recognise(header)
    if len(known) != 1:
        return None
    preset = known[0][0]
    read = take_input(con, source)
    found = find_layouts(preset, [read])
    part = next((p for p in preset.parts_of(set(found)) if p.table == table), None)
    if part is None:
        raise UsageError(
            f"{source} is {preset.title}'s {' and '.join(found)}, which does not fill {table} by"
            f" itself; load the whole export: cva load {preset.name} FOLDER"
        )
    made = make_part(con, preset, part, found, asked)
    others = [p.table for p in preset.parts_of(set(found)) if p.table != table]
    more = f"; for its {' and '.join(others)} as well: cva load {preset.name}" if others else ""
    said = f"recognised by the header: {preset.name} ({preset.title}){more}"
    amount = part.amount or preset.amount if table == "orders" else ""
    return replace(made, said=(said, *([f"amount: {amount}"] if amount else []), *made.said))


def _has_lines(con: DuckDBPyConnection, part: Part, columns: Mapping[str, str]) -> bool:
    """Whether an order is on several rows; where none is, its amount is nobody else's."""
    if part.amount_per != "order":
        return True
    order = columns["order_id"]
    row = con.execute(f"select count({order}) > count(distinct {order}) from {TEXT}").fetchone()
    return bool(row and row[0])


def forget_last(con: DuckDBPyConnection, keeps: tuple[str, ...] = (INPUTS, READY)) -> None:
    """Drops the temporary relations of the table that was loaded before, but those so begun."""
    for kind in ("view", "table"):
        names = con.execute(
            f"select {kind}_name from duckdb_{kind}s() where temporary and database_name = 'temp'"
            f" and starts_with({kind}_name, '{TEMPORARY}')"
        ).fetchall()
        for (name,) in names:
            if not name.startswith(keeps):
                con.execute(f"drop {kind} if exists temp.{quoted(name)}")


def _rows(part: Part, made: Mapping[str, str]) -> str:
    """SQL: the part's rows, all columns text, for the end of a SELECT."""
    if part.select in made:
        return f"from {made[part.select]}"
    select = NAMED.sub(lambda named: made[named[1]], part.select)
    return f"from (select columns(*)::varchar from ({select}))"


def _columns(
    con: DuckDBPyConnection, preset: Preset, part: Part, names: list[str], absent: set[str]
) -> dict[str, str]:
    """Canonical column -> SQL over the part's rows, of the columns that the export has."""
    kinds = raw_tables()[part.table].columns
    chosen: dict[str, str] = {}
    for column, alternatives in part.columns.items():
        kind, is_required = kinds[column]
        for text in alternatives:
            value = _fitting(con, text, names, absent)
            if value is None:
                continue
            if preset.offset and kind == "time":
                value = f"({value})::varchar || '{preset.offset}'"
            chosen[column] = value
            break
        else:
            if is_required:
                raise UsageError(
                    f"{preset.title}: {part.table}.{column} is made of {' or '.join(alternatives)},"
                    " which the export has not; export it with these columns"
                )
    if part.cancelled and _fitting(con, part.cancelled, names, absent):
        status = f" else ({chosen['status']})" if "status" in chosen else ""
        chosen["status"] = f"case when ({part.cancelled}) then 'cancelled'{status} end"
    return chosen


def _fitting(con: DuckDBPyConnection, text: str, names: list[str], absent: set[str]) -> str | None:
    """The column of that name, or the expression; None where the export has nothing of it."""
    same = {name.lower(): name for name in names}
    if text.lower() in same:
        name = same[text.lower()]
        return None if name in absent else quoted(name)
    used = find_columns(con, text, names)
    return text if used and not used <= absent else None


def _one_per_key(part: Part, columns: Mapping[str, str]) -> str:
    """SQL: of the rows of a thing that many orders name, the first by its values."""
    table = raw_tables()[part.table]
    if table.role != "entities":
        return ""
    by = ", ".join(f"({value})::varchar" for value in columns.values())
    return f" qualify row_number() over (partition by ({columns[table.key[0]]}) order by {by}) = 1"


def _left_out(part: Part, columns: Mapping[str, str], names: list[str], used: set[str]) -> str:
    """SQL: without the columns that are called like one of the table's and mean something else."""
    known = raw_tables()[part.table].columns.keys() - columns.keys()
    left = [quoted(name) for name in names if name.lower() in known and name not in used]
    return f" exclude ({', '.join(left)})" if left else ""
