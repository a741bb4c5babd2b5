"""The rows of a load on their way from the source's columns to the canonical ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cva_sql.cli.load.files import WHITE_SPACE
from cva_sql.cli.load.report import Totals, Unreadable
from cva_sql.cli.shop.expressions import shortened
from cva_sql.cli.shop.package import RawTable, macro_value
from cva_sql.cli.shop.sql_text import (
    bind,
    column_names,
    has_columns,
    literal,
    one_line,
    quoted,
)
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Temporary relations, in the order made: the source's columns, the canonical ones as they came,
# those with canonical types, and the orders that lines were summed into.
SOURCE, PICKED = "temp.cva_source", "temp.cva_picked"
READ, SUMMED = "temp.cva_read", "temp.cva_summed"

EXAMPLE_CHARACTERS = 40  # enough to recognise a value, and the line stays one line
Kinds = Mapping[str, tuple[str, bool]]  # canonical name -> (kind, required)


def first_row(
    con: DuckDBPyConnection, select: str, parameters: Sequence[Any] = ()
) -> tuple[Any, ...]:
    """The first row of a query; () if it has none."""
    return con.execute(select, list(parameters)).fetchone() or ()


def count_rows(con: DuckDBPyConnection, relation: str) -> int:
    """The number of rows of a relation."""
    return int(first_row(con, f"select count(*) from {relation}")[0])


def run_query(con: DuckDBPyConnection, query: str) -> None:
    """Makes SOURCE of a SELECT, which is trusted to read what it likes."""
    import duckdb

    try:
        statements = con.extract_statements(query)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise UsageError("--query: expected one SELECT, e.g. --query 'select * from sales'")
        con.execute(f"create temp table cva_source as {statements[0].query}")
    except duckdb.Error as error:
        raise UsageError(f"--query: {one_line(error)}") from error


def pick_columns(
    con: DuckDBPyConnection,
    kinds: Kinds,
    expressions: Mapping[str, str],
    where: str | None,
    source: str,
) -> int:
    """The number of rows of SOURCE; makes PICKED of those that satisfy `where`."""
    import duckdb

    names = column_names(con, f"from {SOURCE}")
    chosen = expressions_of(con, kinds, expressions)
    absent = [name for name, (_, required) in kinds.items() if required and name not in chosen]
    if absent:
        raise UsageError(
            f"{source} has no column {' or '.join(absent)}; add"
            f" {' '.join(f'--column {name}=…' for name in absent)}; {has_columns(names)}"
        )
    for name, expression in expressions.items():
        select = f"select (\n{expression}\n) from {SOURCE}"
        bind(con, f"--column {name}={shortened(expression)}", select, names)
    condition = f"where (\n{where}\n)" if where is not None else ""
    bind(con, f"--where {shortened(where or '')}", f"select 1 from {SOURCE} {condition}", names)
    values = ", ".join(f"(\n{value}\n) as {name}" for name, value in chosen.items())
    try:
        con.execute(f"create temp table cva_picked as select {values} from {SOURCE} {condition}")
    except duckdb.Error as error:
        raise CvaError(f"{source}: {one_line(error)}; try_cast gives NULL instead") from error
    return count_rows(con, SOURCE)


def expressions_of(
    con: DuckDBPyConnection, kinds: Kinds, expressions: Mapping[str, str]
) -> dict[str, str]:
    """Canonical column -> SQL over SOURCE: what was given for it, else its column of that name."""
    same = {name.lower(): quoted(name) for name in column_names(con, f"from {SOURCE}")}
    chosen = {name: expressions.get(name) or same.get(name) for name in kinds}
    return {name: value for name, value in chosen.items() if value}


def read_values(con: DuckDBPyConnection, kinds: Kinds, timezone: str) -> tuple[Unreadable, ...]:
    """The values of PICKED that cannot be read; makes READ, where they are NULL."""
    rows = con.execute(f"describe {PICKED}").fetchall()
    casts = {name: _cast(name, given, kinds[name][0], timezone) for name, given, *_ in rows}
    values = ", ".join(f"{cast} as {name}" for name, cast in casts.items())
    con.execute(f"create temp table cva_read as select {values} from {PICKED}")
    lost = {
        name: f"filter ({name} is not null and trim({name}::varchar) <> '' and ({cast}) is null)"
        for name, cast in casts.items()
    }
    counts = ", ".join(f"count(*) {f}, min({name}::varchar) {f}" for name, f in lost.items())
    found = first_row(con, f"select {counts} from {PICKED}")
    return tuple(
        Unreadable(name, found[2 * i], found[2 * i + 1][:EXAMPLE_CHARACTERS])
        for i, name in enumerate(lost)
        if found[2 * i]
    )


def sql_type(kind: str) -> str:
    """The type of a kind of canonical column, as DuckDB calls it."""
    name = str(macro_value("casts.sql", "kind_type", kind))
    return "varchar" if name == "string" else name


def _cast(column: str, from_type: str, kind: str, timezone: str) -> str:
    """SQL: `column` as staging would read it, without the white space and infinities of files."""
    if from_type in ("VARCHAR", "JSON", "BLOB") or from_type.startswith("ENUM"):
        text = f"{column} ->> '$'" if from_type == "JSON" else f"{column}::varchar"
        column, from_type = f"nullif(trim({text}, {literal(WHITE_SPACE)}), '')", "VARCHAR"
    zone = {"cva_timezone": timezone}
    value = macro_value("casts.sql", "cast_kind", f"({column})", kind, from_type, settings=zone)
    return f"case when isfinite({value}) then {value} end" if kind == "time" else str(value)


def totals(con: DuckDBPyConnection, relation: str, table: RawTable) -> Totals:
    """Rows, customers, span of the date or first time, and sum of the required amount."""
    names = column_names(con, f"from {relation}")
    times = [name for name in (table.date, *table.times) if name in names]
    money = [name for name, spec in table.columns.items() if spec == ("money", True)]
    values = [
        "count(*)",
        "count(distinct customer_id)" if "customer_id" in names else "null",
        f"min({times[0]}), max({times[0]})" if times else "null, null",
        f"sum({money[0]})" if money else "null",
    ]
    return Totals(*first_row(con, f"select {', '.join(values)} from {relation}"))


def missing_values(con: DuckDBPyConnection, relation: str, kinds: Kinds) -> dict[str, int]:
    """Rows with a NULL, by required column that has any."""
    required = [name for name, (_, needed) in kinds.items() if needed]
    counts = ", ".join(f"count(*) - count({name})" for name in required)
    found = zip(required, first_row(con, f"select {counts} from {relation}"), strict=True)
    return {name: count for name, count in found if count}


def repeated_keys(con: DuckDBPyConnection, relation: str, key: Sequence[str]) -> int:
    """How many values of `key`, the first of which is not NULL, are on more than one row."""
    names = column_names(con, f"from {relation}")
    by = [name for name in key if name in names]
    if not by:
        return 0
    grouped = f"select 1 from {relation} where {by[0]} is not null group by {', '.join(by)}"
    return count_rows(con, f"({grouped} having count(*) > 1)")


def ids_of_several_customers(con: DuckDBPyConnection, relation: str) -> int:
    """How many ids of orders, of one store where that is known, several customers have."""
    names = column_names(con, f"from {relation}")
    by = ", ".join(name for name in ("order_id", "store") if name in names)
    grouped = f"select 1 from {relation} where order_id is not null group by {by}"
    return count_rows(con, f"({grouped} having min(customer_id) <> max(customer_id))")
