"""Loads files or a query into a raw table with canonical columns, all or nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.load import rows as rows
from cva_sql.cli.load.arrivals import Arrival, note_statuses, receive
from cva_sql.cli.load.checks import check, check_table
from cva_sql.cli.load.connection import connected, transaction
from cva_sql.cli.load.currencies import said_of_currencies
from cva_sql.cli.load.databases import read_query
from cva_sql.cli.load.doubts import doubts_about_customers, doubts_about_rows
from cva_sql.cli.load.files import read_files
from cva_sql.cli.load.forgotten import LOADED, leave_out_forgotten
from cva_sql.cli.load.formats.source import FOUND_OUT, ReadOptions
from cva_sql.cli.load.lines import LoadedFrom, orders_from_rows
from cva_sql.cli.load.preset_source import preset_of
from cva_sql.cli.load.report import LoadReport
from cva_sql.cli.load.statuses import settle_statuses
from cva_sql.cli.load.upsert import key_of, newest_versions, upsert
from cva_sql.cli.readings.column import NOTHING_ASKED, Asked
from cva_sql.cli.shop.files import size_of
from cva_sql.cli.shop.history import recorded_in
from cva_sql.cli.shop.package import raw_tables
from cva_sql.cli.shop.sql_text import column_names, literal, quoted
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class Wanted:
    """What is taken of a source, and how: SQL per canonical column, rows, whose the amount is.

    `lines` is None where the rows may tell whether they are order lines. `status_counts` and
    `status_cancelled` are statuses of orders that are a sale and none, `said` is what was decided
    before.
    """

    columns: Mapping[str, str]
    where: str | None = None
    lines: bool | None = False
    amount_per: str | None = None
    asked: Asked = NOTHING_ASKED
    status_counts: Sequence[str] = ()
    status_cancelled: Sequence[str] = ()
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class Into:
    """Where rows go, what becomes of those that are there, and the zone of their times.

    `arrival` is the file of rows that may come in any order.
    """

    schema: str = "raw"
    replace: bool = False
    append: bool = False
    timezone: str = "UTC"
    arrival: Arrival | None = None


@dataclass(frozen=True)
class Ready:
    """Rows that are ready to be written, and what is to be said of them so far."""

    relation: str
    report: LoadReport


def load_table(
    table: str,
    files: Sequence[Path] = (),
    *,
    db: Path,
    query: str | None = None,
    url: str | None = None,
    columns: Mapping[str, str] | None = None,
    where: str | None = None,
    lines: bool = False,
    amount_per: str | None = None,
    replace: bool = False,
    append: bool = False,
    schema: str = "raw",
    timezone: str = "UTC",
    decimal: str | None = None,
    dates: str | None = None,
    status_counts: Sequence[str] = (),
    status_cancelled: Sequence[str] = (),
    options: ReadOptions = FOUND_OUT,
) -> LoadReport:
    """What was loaded into `schema.table` of the DuckDB file `db`, and what could not be used.

    `query` is over that database, or over the one of `url` (or of the environment variable `url`).
    `columns` maps canonical names to SQL expressions over the source's columns; a canonical column
    that is not in it is taken from the source's column of that name. `decimal` (point, comma) and
    `dates` (dmy, mdy, ymd) say how the source is written where its columns do not tell, `options`
    how its files are. Values that cannot be read become NULL. The table changes in one
    transaction, or not at all (CvaError, UsageError). Without `columns`, files with the header of
    a known export are read by its preset.
    """
    wanted = Wanted(
        columns=columns or {},
        where=where,
        lines=lines,
        amount_per=amount_per,
        asked=rows.asked_for(decimal, dates),
        status_counts=status_counts,
        status_cancelled=status_cancelled,
    )
    into = Into(schema, replace, append, timezone)
    return load_wanted(table, files, wanted, into, db=db, query=query, url=url, options=options)


def load_wanted(
    table: str,
    files: Sequence[Path],
    wanted: Wanted,
    into: Into,
    *,
    db: Path,
    query: str | None = None,
    url: str | None = None,
    options: ReadOptions = FOUND_OUT,
) -> LoadReport:
    """The same as `load_table`, with what is wanted put together."""
    check_table(table, wanted, bool(files), query is not None)
    if url is not None and query is None:
        raise UsageError(f"--from needs --query, e.g. --query 'select * from {table}'")
    check(table, wanted, into)
    with (
        connected(db, into.timezone, size_of(files)) as con,
        recorded_in(con, f"load {table}") as entry,
    ):
        refuse_existing(con, table, into)
        if query is None:
            ready = prepare_files(con, table, files, wanted, into, options)
        else:
            if url is not None:
                read_query(con, url, query)
            else:
                rows.run_query(con, query)
            ready = prepare(con, table, "the query", wanted, into)
        with transaction(con):
            report = write(con, ready, into)
        entry.rows = report.loaded.rows
        return report


def prepare_files(
    con: DuckDBPyConnection,
    table: str,
    files: Sequence[Path],
    wanted: Wanted,
    into: Into,
    options: ReadOptions,
) -> Ready:
    """The rows of files as the raw table has them; by a preset where their header is of one."""
    read_as = tuple(f"read from {line}" for line in read_files(con, files, options))
    source, is_plain = str(files[0]), not (wanted.columns or wanted.lines)
    made = preset_of(con, table, source, wanted.asked) if is_plain else None
    if made:
        wanted = dataclasses.replace(
            wanted,
            columns=made.columns,
            amount_per=wanted.amount_per or made.amount_per,
            asked=made.asked,
        )
    wanted = dataclasses.replace(wanted, said=(*read_as, *(made.said if made else ())))
    return prepare(con, table, source, wanted, into)


def prepare(con: DuckDBPyConnection, table: str, source: str, wanted: Wanted, into: Into) -> Ready:
    """The rows of the source that was read, as the raw table has them."""
    line, asked = raw_tables()[table], wanted.asked
    picked = rows.pick_columns(con, line, wanted.columns, wanted.where, source, asked)
    read = rows.read_values(con, line.columns, into.timezone, picked, asked)
    rows_kept = rows.count_rows(con, rows.READ)
    forgotten = leave_out_forgotten(con, table, line, into.schema if into.append else None)
    statuses = _settle(con, table, wanted, into)
    superseded = newest_versions(con, line, dates=into.arrival is None)
    summed, is_orders = None, table == "orders"
    if is_orders:
        taken = LoadedFrom(picked.sources, wanted.where)
        summed = orders_from_rows(con, taken, lines=wanted.lines, amount_per=wanted.amount_per)
    relation = rows.SUMMED if summed else rows.READ
    loaded = rows.totals(con, relation, line)
    if not loaded.rows and not into.append:
        why = f" ({forgotten:,} of people who were forgotten)" if forgotten else ""
        raise CvaError(
            f"{source}: none of {picked.rows:,} rows is left{why}; check --where, order_id"
        )
    report = LoadReport(
        table=table,
        schema=into.schema,
        columns=tuple(column_names(con, f"from {relation}")),
        appended=False,
        rows_read=picked.rows,
        rows_left_out_by_where=picked.rows - rows_kept,
        forgotten=forgotten,
        lines=summed,
        superseded=superseded,
        changes=None,
        unreadable=read.unreadable,
        missing=rows.missing_values(con, relation, line.columns),
        several_customers=rows.ids_of_several_customers(con, relation) if is_orders else 0,
        key=line.key,
        repeated_keys=0,
        statuses=statuses,
        loaded=loaded,
        table_now=loaded,
        said=(*wanted.said, *read.said),
        doubts=doubts_about_rows(con, relation, table),
    )
    return Ready(relation, report)


def _settle(con: DuckDBPyConnection, table: str, wanted: Wanted, into: Into) -> tuple[str, ...]:
    """What the statuses mean; those of an arrival are noted before older versions go."""
    line = raw_tables()[table]
    noun = "lines" if wanted.lines or wanted.amount_per == "line" else "orders"
    said = settle_statuses(con, table, noun, wanted.status_counts, wanted.status_cancelled)
    if into.arrival:
        key = key_of(column_names(con, f"from {rows.READ}"), line)
        note_statuses(con, key, line, into.arrival)
    return said


def write(con: DuckDBPyConnection, ready: Ready, into: Into) -> LoadReport:
    """The report of rows that are written, in the caller's transaction."""
    table, relation = ready.report.table, ready.relation
    line, target = raw_tables()[table], f"{quoted(into.schema)}.{quoted(table)}"
    changes, is_there = None, bool(into.append and _is_there(con, into.schema, table))
    if not is_there:
        rows_of = " limit 0" if into.arrival else ""
        con.execute(f"create schema if not exists {quoted(into.schema)}")
        con.execute(f"create or replace table {target} as from {relation}{rows_of}")
        con.execute(f"comment on table {target} is {literal(f'{LOADED}.')}")
    if is_there or into.arrival:
        _add_columns(con, target, relation, line.columns)
        if into.arrival:
            receive(con, target, relation, line, into.arrival)
        changes = upsert(
            con, target, relation, line, into.timezone, is_arrival=into.arrival is not None
        )
    currencies = said_of_currencies(con, target, into.schema) if table == "orders" else ()
    return dataclasses.replace(
        ready.report,
        appended=changes is not None,
        changes=changes,
        table_now=rows.totals(con, target, line),
        repeated_keys=rows.repeated_keys(con, target, line.key),
        doubts=(*ready.report.doubts, *currencies, *doubts_about_customers(con, target, table)),
    )


def refuse_existing(con: DuckDBPyConnection, table: str, into: Into) -> None:
    """Raises UsageError where the table is there and nothing says what becomes of its rows."""
    found = _is_there(con, into.schema, table)
    if found == "VIEW":
        raise UsageError(f"{into.schema}.{table} is a view; drop it or give another --schema")
    if found and not (into.replace or into.append):
        count = rows.count_rows(con, f"{quoted(into.schema)}.{quoted(table)}")
        raise UsageError(
            f"{into.schema}.{table} exists and has {count:,} rows; add --replace to replace them or"
            " --append to keep them"
        )


def _is_there(con: DuckDBPyConnection, schema: str, table: str) -> str | None:
    """What the database has of that name: a table or a view."""
    found = rows.first_row(
        con,
        "select table_type from information_schema.tables where table_catalog = current_database()"
        " and lower(table_schema) = lower(?) and lower(table_name) = lower(?)",
        [schema, table],
    )
    return str(found[0]) if found else None


def _add_columns(con: DuckDBPyConnection, target: str, relation: str, kinds: rows.Kinds) -> None:
    """Adds columns of the load that the table has not; a UsageError where types differ."""
    described = con.execute(f"describe {target}").fetchall()
    types = {name.lower(): sql_type.lower().replace(" ", "") for name, sql_type, *_ in described}
    for name in column_names(con, f"from {relation}"):
        expected = rows.sql_type(kinds[name][0])
        found = types.get(name, "")
        if not found:
            con.execute(f"alter table {target} add column {quoted(name)} {expected}")
        elif found != expected.replace(" ", ""):
            raise UsageError(
                f"{target} has {name} as {found}, expected {expected}; load all with --replace"
            )
