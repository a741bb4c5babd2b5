"""`cva load`: files of the shop become a canonical raw table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cva_sql.cli import load_rows as rows
from cva_sql.cli.expressions import check_expression, shortened
from cva_sql.cli.load_files import read_files
from cva_sql.cli.load_report import LoadReport
from cva_sql.cli.load_sql import (
    SQL_TYPES,
    column_names,
    literal,
    one_line,
    quoted,
)
from cva_sql.cli.progress import step
from cva_sql.cli.project import canonical_tables
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

KEYS = {
    "orders": "order_id",
    "products": "product_id",
    "returns": "return_id",
    "reviews": "review_id",
}
SLOW_BYTES = 20_000_000  # a second or two of work; below it, progress is noise


def load(
    table: str = typer.Argument(help="Canonical table: orders, order_items, customers …"),
    files: list[Path] = typer.Argument(
        default_factory=list,
        show_default=False,
        help="Files with the same columns: CSV, TSV, JSON lines, white-space TXT (each also .gz)"
        " or Parquet.",
    ),
    db: Path = typer.Option(Path("shop.duckdb"), help="DuckDB file; created if absent."),
    query: str | None = typer.Option(None, help="A SELECT over the database instead of files."),
    column: list[str] = typer.Option(
        [], help="canonical=EXPR over the file's columns, e.g. amount='Quantity * Price'."
    ),
    where: str | None = typer.Option(None, help="Take only the rows of the file that satisfy it."),
    lines: bool = typer.Option(False, "--lines", help="One row per order line: sum into orders."),
    replace: bool = typer.Option(False, "--replace", help="Replace the table if it exists."),
    append: bool = typer.Option(False, "--append", help="Add to the table if it exists."),
    schema: str = typer.Option("raw", help="Schema of the table."),
    timezone: str = typer.Option("UTC", help="Zone that times with an offset are converted to."),
    as_json: bool = typer.Option(False, "--json", help="Print the report as JSON."),
) -> None:
    """Load files or a query into a raw table with canonical columns."""
    slow = query is not None or sum(f.stat().st_size for f in files if f.is_file()) > SLOW_BYTES
    with step(f"loading {table}") if slow else nullcontext():
        report = load_table(
            table,
            files,
            db=db,
            query=query,
            columns=_named_expressions(column),
            where=where,
            lines=lines,
            replace=replace,
            append=append,
            schema=schema,
            timezone=timezone,
        )
    print(report.as_json() if as_json else report.as_text())


def load_table(
    table: str,
    files: Sequence[Path] = (),
    *,
    db: Path,
    query: str | None = None,
    columns: Mapping[str, str] | None = None,
    where: str | None = None,
    lines: bool = False,
    replace: bool = False,
    append: bool = False,
    schema: str = "raw",
    timezone: str = "UTC",
) -> LoadReport:
    """What was loaded into `schema.table` of the DuckDB file `db`, and what could not be used.

    `columns` maps canonical names to SQL expressions over the source's columns; a canonical column
    that is not in it is taken from the source's column of that name. Values that cannot be read
    become NULL. The table changes in one transaction, or not at all (CvaError, UsageError).
    """
    kinds = _checked_kinds(table, columns or {}, lines, bool(files), query is not None)
    if replace and append:
        raise UsageError("--replace and --append exclude each other; give one of them")
    _check_expressions(columns or {}, where)
    source = "the query" if query is not None else str(files[0])
    with _connected(db) as con:
        _set_zone(con, timezone)
        exists = _target_exists(con, schema, table, replace or append)
        if query is None:
            read_files(con, files)
        else:
            rows.run_query(con, query)
        rows_read = rows.pick_columns(con, kinds, columns or {}, where, source)
        unreadable = rows.read_values(con, kinds, timezone)
        rows_kept = rows.count_rows(con, rows.READ)
        summed = rows.sum_lines(con) if lines else None
        relation = rows.SUMMED if lines else rows.READ
        loaded = rows.totals(con, relation, kinds)
        if not loaded.rows and not append:
            raise CvaError(f"{source}: none of {rows_read:,} rows is left; check --where, order_id")
        missing = rows.missing_values(con, relation, kinds)
        names = tuple(column_names(con, f"from {relation}"))
        target = f"{quoted(schema)}.{quoted(table)}"
        with _transaction(con):
            _write(con, schema, target, relation, kinds, append and exists)
            table_now = rows.totals(con, target, kinds)
            repeated = rows.repeated_keys(con, target, KEYS.get(table))
    return LoadReport(
        table=table,
        schema=schema,
        columns=names,
        appended=append and exists,
        rows_read=rows_read,
        rows_left_out_by_where=rows_read - rows_kept,
        lines=summed,
        unreadable=unreadable,
        missing=missing,
        key=KEYS.get(table),
        repeated_keys=repeated,
        loaded=loaded,
        table_now=table_now,
    )


def _checked_kinds(
    table: str, columns: Mapping[str, str], lines: bool, files: bool, query: bool
) -> rows.Kinds:
    tables = canonical_tables()
    if table not in tables:
        raise UsageError(
            f"'{shortened(table)}' is not a table; expected one of {', '.join(tables)}"
        )
    if files == query:
        raise UsageError("expected either files or --query, e.g. cva load orders orders.csv")
    if lines and table != "orders":
        raise UsageError(f"--lines sums order lines into orders, not {table}; leave it out")
    for name in columns.keys() - tables[table].keys():
        expected = ", ".join(tables[table])
        raise UsageError(
            f"--column {shortened(name)}: {table} has no such column; expected {expected}"
        )
    return tables[table]


def _named_expressions(options: Sequence[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for option in options:
        name, _, expression = option.partition("=")
        name = name.strip().lower()
        if not name or not expression.strip():
            raise UsageError(
                f"--column {shortened(option)}: expected canonical=EXPR, e.g. order_id=Invoice"
            )
        if name in named:
            raise UsageError(f"--column {shortened(name)} is given twice; give it once")
        named[name] = expression
    return named


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


def _write(
    con: DuckDBPyConnection,
    schema: str,
    target: str,
    relation: str,
    kinds: rows.Kinds,
    append: bool,
) -> None:
    con.execute(f"create schema if not exists {quoted(schema)}")
    if not append:
        con.execute(f"create or replace table {target} as from {relation}")
        return
    described = con.execute(f"describe {target}").fetchall()
    types = {name.lower(): sql_type.lower().replace(" ", "") for name, sql_type, *_ in described}
    for name in column_names(con, f"from {relation}"):
        expected = SQL_TYPES[kinds[name][0]]
        found = types.get(name, "")
        if not found:
            con.execute(f"alter table {target} add column {quoted(name)} {expected}")
        elif found != expected.replace(" ", ""):
            raise UsageError(
                f"{target} has {name} as {found}, expected {expected}; load all with --replace"
            )
    con.execute(f"insert into {target} by name from {relation}")
