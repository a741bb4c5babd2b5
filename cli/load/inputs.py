"""What a preset is given: files, folders and tables of a database, each a relation of texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.load.files import read_files
from cva_sql.cli.load.formats.source import ReadOptions
from cva_sql.cli.load.rows import SOURCE
from cva_sql.cli.load.source import has_texts
from cva_sql.cli.presets.preset import Layout
from cva_sql.cli.readings.column import trimmed
from cva_sql.cli.readings.inference import TEXT
from cva_sql.cli.shop.sql_text import column_names, literal, quoted
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DATABASE = b"DUCK"  # at byte 8 of a DuckDB file
NESTED = ("STRUCT(", "MAP(", "UNION(")  # types beside lists
FROM = "cva_from"  # what a database file is attached as


@dataclass(frozen=True)
class Input:
    """A file or table: what it is called, its relation, the header, and whether it has types.

    `is_named` inputs were given by themselves, not found in a folder or database; those with a
    `problem` could not be read. `said` is what was decided from the file.
    """

    name: str
    relation: str
    header: tuple[str, ...]
    is_typed: bool
    is_named: bool
    problem: str = ""
    said: tuple[str, ...] = ()


def read_inputs(
    con: DuckDBPyConnection, paths: Sequence[Path], options: ReadOptions
) -> list[Input]:
    """The files, those of a folder as well; of a database file its tables."""
    found: list[Input] = []
    for path in paths:
        if path.is_file() and _is_database(path):
            con.execute(f"attach {literal(str(path.resolve()))} as {FROM} (type duckdb, read_only)")
            found += tables_of(con, FROM, None)
        elif path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.is_file() and p.name[0] != ".")
            if not inside:
                raise UsageError(f"{path} has no files; give the folder of the export")
            for file in inside:
                try:
                    found.append(_read_file(con, file, len(found), False, options))
                except CvaError as error:  # a note, a picture: nothing that the export has to have
                    found.append(Input(str(file), "", (), False, False, str(error)))
        else:
            found.append(_read_file(con, path, len(found), True, options))
    return found


def tables_of(con: DuckDBPyConnection, database: str, schema: str | None) -> list[Input]:
    """The tables of a database that is attached, of one schema or of all."""
    names = con.execute(
        "select table_schema, table_name from information_schema.tables"
        " where table_catalog = $1 and table_name not in ('cva_runs', 'cva_model_audit')"
        " and ($2 is null or table_schema = $2) order by all",
        [database, schema],
    ).fetchall()
    found = []
    for in_schema, table in names:
        relation = f"{quoted(database)}.{quoted(in_schema)}.{quoted(table)}"
        header = tuple(column_names(con, f"from {relation}"))
        found.append(Input(f"{in_schema}.{table}", relation, header, True, False))
    return found


def _is_database(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(12)[8:] == DATABASE


def _read_file(
    con: DuckDBPyConnection, path: Path, number: int, is_named: bool, options: ReadOptions
) -> Input:
    said = read_files(con, [path], options)
    return replace(take_input(con, str(path), number, is_named), said=said)


def take_input(con: DuckDBPyConnection, name: str, number: int = 0, is_named: bool = True) -> Input:
    """What was read last, under a name of its own, so that the next can be read."""
    is_text, relation = has_texts(con), f"cva_input_{number}"
    made = TEXT if is_text else SOURCE
    what = con.execute(
        "select count(*) from duckdb_views() where temporary and view_name = $1",
        [made.removeprefix("temp.")],
    ).fetchone()
    con.execute(f"alter {'view' if what and what[0] else 'table'} {made} rename to {relation}")
    header = tuple(column_names(con, f"from temp.{relation}"))
    return Input(name, f"temp.{relation}", header, not is_text, is_named)


def make_layout(con: DuckDBPyConnection, layout: Layout, inputs: Sequence[Input]) -> str:
    """A relation of the layout's rows: names without blanks around them, values without as well.

    Every column is text, NULL where blank, JSON where nested; optional ones that are missing are
    NULL.
    """
    declared = {" ".join(n.split()).lower(): n for n in (*layout.tells, *layout.optional)}
    selects = []
    for one in inputs:
        values, there, nested = [], set[str](), _nested_columns(con, one)
        for name in one.header:
            plain = " ".join(name.split())
            if plain.lower() in there:
                raise CvaError(f"{one.name} has two columns {plain}; rename one of them")
            there.add(plain.lower())
            shown = declared.get(plain.lower(), plain)
            text = f"to_json({quoted(name)})" if name in nested else quoted(name)
            values.append(f"{trimmed(f'{text}::varchar')} as {quoted(shown)}")
        values += [
            f"null::varchar as {quoted(name)}" for n, name in declared.items() if n not in there
        ]
        selects.append(f"select {', '.join(values)} from {one.relation}")
    relation = f"cva_layout_{layout.name}"
    con.execute(f"create temp view {relation} as {' union all by name '.join(selects)}")
    return f"temp.{relation}"


def _nested_columns(con: DuckDBPyConnection, one: Input) -> set[str]:
    """The columns of structs and lists, as Parquet and JSON have them."""
    if not one.is_typed:
        return set()
    described = con.execute(f"describe {one.relation}").fetchall()
    return {name for name, kind, *_ in described if kind.startswith(NESTED) or kind.endswith("]")}


def absent_columns(layout: Layout, inputs: Iterable[Input]) -> set[str]:
    """The optional columns that none of the inputs has."""
    there = {" ".join(name.split()).lower() for one in inputs for name in one.header}
    return {name for name in layout.optional if " ".join(name.split()).lower() not in there}
