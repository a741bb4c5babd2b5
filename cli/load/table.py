"""Loads files or a query into a raw table with canonical columns, all or nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.load import rows as rows
from cva_sql.cli.load.doubts import doubts_about_customers, said_of_refunds
from cva_sql.cli.load.files import read_files
from cva_sql.cli.load.formats.source import FOUND_OUT, ReadOptions
from cva_sql.cli.load.lines import LoadedFrom, orders_from_rows, refuse_amount_per
from cva_sql.cli.load.report import LoadReport
from cva_sql.cli.load.statuses import settle_statuses
from cva_sql.cli.load.upsert import newest_versions, upsert
from cva_sql.cli.shop.expressions import check_expression, shortened
from cva_sql.cli.shop.package import RawTable, raw_tables
from cva_sql.cli.shop.sql_text import column_names, literal, one_line, quoted
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def load_table(
    table: str,
    files: Sequence[Path] = (),
    *,
    db: Path,
    query: str | None = None,
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

    `columns` maps canonical names to SQL expressions over the source's columns; a canonical column
    that is not in it is taken from the source's column of that name. `decimal` (point, comma) and
    `dates` (dmy, mdy, ymd) say how the source is written where its columns do not tell, `options`
    how its files are. Values that cannot be read become NULL. The table changes in one
    transaction, or not at all (CvaError, UsageError).
    """
    line = _checked_table(table, columns or {}, lines, bool(files), query is not None)
    kinds = line.columns
    if replace and append:
        raise UsageError("--replace and --append exclude each other; give one of them")
    _check_expressions(columns or {}, where)
    refuse_amount_per(table, amount_per)
    asked = rows.asked_for(decimal, dates)
    source = "the query" if query is not None else str(files[0])
    with _connected(db) as con:
        _set_zone(con, timezone)
        exists = _target_exists(con, schema, table, replace or append)
        read_as: tuple[str, ...] = ()
        if query is None:
            read_as = tuple(f"read from {line}" for line in read_files(con, files, options))
        else:
            rows.run_query(con, query)
        picked = rows.pick_columns(con, kinds, columns or {}, where, source, asked)
        rows_read = picked.rows
        read = rows.read_values(con, kinds, timezone, picked, asked)
        noun = "lines" if lines else "orders"
        statuses = settle_statuses(con, table, noun, status_counts, status_cancelled)
        rows_kept = rows.count_rows(con, rows.READ)
        superseded = newest_versions(con, line)
        summed = None
        if table == "orders":
            taken = LoadedFrom(picked.sources, where)
            summed = orders_from_rows(con, taken, lines=lines, amount_per=amount_per)
        relation = rows.SUMMED if summed else rows.READ
        loaded = rows.totals(con, relation, line)
        if not loaded.rows and not append:
            raise CvaError(f"{source}: none of {rows_read:,} rows is left; check --where, order_id")
        missing = rows.missing_values(con, relation, kinds)
        several, refunds = 0, tuple[str, ...]()
        if table == "orders":
            several = rows.ids_of_several_customers(con, relation)
            refunds = said_of_refunds(con, relation)
        names = tuple(column_names(con, f"from {relation}"))
        target = f"{quoted(schema)}.{quoted(table)}"
        with _transaction(con):
            changes = None
            if append and exists:
                _add_columns(con, target, relation, kinds)
                changes = upsert(con, target, relation, line, timezone)
            else:
                con.execute(f"create schema if not exists {quoted(schema)}")
                con.execute(f"create or replace table {target} as from {relation}")
            table_now = rows.totals(con, target, line)
            repeated = rows.repeated_keys(con, target, line.key)
            doubts = doubts_about_customers(con, target, table)
    return LoadReport(
        table=table,
        schema=schema,
        columns=names,
        appended=append and exists,
        rows_read=rows_read,
        rows_left_out_by_where=rows_read - rows_kept,
        lines=summed,
        superseded=superseded,
        changes=changes,
        unreadable=read.unreadable,
        missing=missing,
        several_customers=several,
        key=line.key,
        repeated_keys=repeated,
        statuses=statuses,
        loaded=loaded,
        table_now=table_now,
        said=(*read_as, *read.said),
        doubts=(*refunds, *doubts),
    )


def _checked_table(
    table: str, columns: Mapping[str, str], lines: bool, files: bool, query: bool
) -> RawTable:
    tables = raw_tables()
    if table not in tables:
        raise UsageError(
            f"'{shortened(table)}' is not a table; expected one of {', '.join(tables)}"
        )
    if files == query:
        raise UsageError("expected either files or --query, e.g. cva load orders orders.csv")
    if lines and table != "orders":
        raise UsageError(f"--lines sums order lines into orders, not {table}; leave it out")
    known = tables[table].columns
    for name in columns.keys() - known.keys():
        expected = ", ".join(known)
        raise UsageError(
            f"--column {shortened(name)}: {table} has no such column; expected {expected}"
        )
    return tables[table]


def _check_expressions(columns: Mapping[str, str], where: str | None) -> None:
    for name, expression in columns.items():
        check_expression(expression, f"--column {name}")
    if where is not None:
        check_expression(where, "--where")


@contextmanager
def _connected(db: Path) -> Iterator[DuckDBPyConnection]:
    import duckdb

    if db.is_dir() or not db.parent.is_dir():
        raise UsageError(f"--db {db}: expected a file in a folder that exists")
    existed = db.exists()
    # Attached as what it has to be: connect() would look into the file, keep nothing if it is a
    # CSV, and fetch an extension over the network if it is SQLite.
    con = duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"})
    name = quoted("shop" if db.stem in ("memory", "system", "temp") else db.stem)
    try:
        con.execute(f"set temp_directory = {literal(f'{db}.tmp')}")
        con.execute(f"attach {literal(str(db.resolve()))} as {name} (type duckdb)")
        con.execute(f"use {name}")
    except duckdb.Error as error:
        con.close()
        if "lock" in str(error):
            holder = re.search(r"PID \d+", str(error))
            by = f" ({holder[0]})" if holder else ""
            raise CvaError(f"{db} is in use by another process{by}; close it, try again") from error
        raise CvaError(f"{db} cannot be opened: {one_line(error)}; give another --db") from error
    try:
        yield con
    except BaseException as error:
        con.close()
        if not existed:  # leave no empty database behind
            db.unlink(missing_ok=True)
            db.with_name(f"{db.name}.wal").unlink(missing_ok=True)
        if isinstance(error, duckdb.Error):
            raise CvaError(f"{db}: {one_line(error)}") from error
        raise
    con.close()


@contextmanager
def _transaction(con: DuckDBPyConnection) -> Iterator[None]:
    con.begin()
    try:
        yield
    except BaseException:
        con.rollback()
        raise
    con.commit()


def _set_zone(con: DuckDBPyConnection, timezone: str) -> None:
    if not rows.first_row(con, "select 1 from pg_timezone_names() where name = ?", [timezone]):
        raise UsageError(
            f"--timezone {shortened(timezone)} is unknown; expected a name like Europe/Berlin"
        )
    con.execute(f"set timezone = {literal(timezone)}")  # the user's expressions go by it as well


def _target_exists(con: DuckDBPyConnection, schema: str, table: str, allowed: bool) -> bool:
    found = rows.first_row(
        con,
        "select table_type from information_schema.tables where table_catalog = current_database()"
        " and lower(table_schema) = lower(?) and lower(table_name) = lower(?)",
        [schema, table],
    )
    if found and found[0] == "VIEW":
        raise UsageError(f"{schema}.{table} is a view; drop it or give another --schema")
    if found and not allowed:
        count = rows.count_rows(con, f"{quoted(schema)}.{quoted(table)}")
        raise UsageError(
            f"{schema}.{table} exists and has {count:,} rows; add --replace to replace them or"
            " --append to keep them"
        )
    return bool(found)


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
