"""The rows of a load on their way from the source's columns to the canonical ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cva_sql.cli.load.reading import advise_format, decide_columns, say_reading, text_of
from cva_sql.cli.load.report import Totals, Unreadable
from cva_sql.cli.load.source import has_texts, make_source, plain_column, written
from cva_sql.cli.readings.column import NOTHING_ASKED, Asked, Reading
from cva_sql.cli.readings.inference import TEXT
from cva_sql.cli.readings.numbers import MARKS
from cva_sql.cli.readings.times import ORDERS
from cva_sql.cli.shop.expressions import shortened
from cva_sql.cli.shop.package import RawTable, macro_value
from cva_sql.cli.shop.sql_text import bind, column_names, has_columns, one_line
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


def asked_for(decimal: str | None, dates: str | None) -> Asked:
    """The options that say how a file is written; raises UsageError for what is none of them."""
    for option, given, known in (("--decimal", decimal, MARKS), ("--dates", dates, ORDERS)):
        if given is not None and given not in known:
            raise UsageError(f"{option} {shortened(given)} is none; expected {' or '.join(known)}")
    return Asked(decimal, dates)


@dataclass(frozen=True)
class Picked:
    """What PICKED was made of: rows of SOURCE, SQL per column, columns not picked, what to say."""

    rows: int
    sources: Mapping[str, str]
    spare: tuple[str, ...]
    said: tuple[str, ...]


@dataclass(frozen=True)
class Read:
    """What became of the values: those that were lost, and how the columns were read."""

    unreadable: tuple[Unreadable, ...]
    said: tuple[str, ...]


def pick_columns(
    con: DuckDBPyConnection,
    table: RawTable,
    expressions: Mapping[str, str],
    where: str | None,
    source: str,
    asked: Asked = NOTHING_ASKED,
) -> Picked:
    """Makes PICKED of the rows of SOURCE that satisfy `where`.

    A column of texts that is taken as it is stays text, without white space around it, NULL where
    blank; expressions see those that are numbers or times as such.
    """
    is_text = has_texts(con)
    names = column_names(con, f"from {TEXT if is_text else SOURCE}")
    chosen, kinds = _choose(table, expressions, names, source), table.columns
    plain = {name: plain_column(text, names) for name, text in chosen.items()}
    relation, said = SOURCE, tuple[str, ...]()
    if is_text:
        over = {f"--column {n}": (text, kinds[n][0]) for n, text in expressions.items()}
        over = {o: pair for o, pair in over.items() if not plain[o.removeprefix("--column ")]}
        over |= {"--where": (where, "number")} if where is not None else {}
        made = make_source(con, names, over, asked)
        relation, said = made.with_texts(n for n in plain.values() if n), made.said
    for name, expression in expressions.items():
        select = f"select (\n{expression}\n) from {SOURCE}"
        bind(con, f"--column {name}={shortened(expression)}", select, names)
    condition = f"where (\n{where}\n)" if where is not None else ""
    bind(con, f"--where {shortened(where or '')}", f"select 1 from {SOURCE} {condition}", names)
    values = ", ".join(
        f"{written(column)} as {name}" if is_text and column else f"(\n{chosen[name]}\n) as {name}"
        for name, column in plain.items()
    )
    _make_picked(con, f"select {values} from {relation} {condition}", source)
    spare = tuple(n for n in names if n not in plain.values()) if is_text else ()
    return Picked(count_rows(con, SOURCE), chosen, spare, said)


def _choose(
    table: RawTable, expressions: Mapping[str, str], names: Sequence[str], source: str
) -> dict[str, str]:
    """SQL of the canonical columns; raises UsageError where a required one is not there."""
    chosen = table.chosen(expressions, names)
    absent = [name for name in table.required if name not in chosen]
    if absent:
        raise UsageError(
            f"{source} has no column {' or '.join(absent)}; add"
            f" {' '.join(f'--column {name}=…' for name in absent)}; {has_columns(names)}"
        )
    return chosen


def _make_picked(con: DuckDBPyConnection, select: str, source: str) -> None:
    """Makes PICKED, whose texts have no white space around them and are NULL where blank."""
    import duckdb

    try:
        types = {name: kind for name, kind, *_ in con.execute(f"describe {select}").fetchall()}
        values = ", ".join(f"{text_of(n, t) or n} as {n}" for n, t in types.items())
        con.execute(f"create temp table cva_picked as select {values} from ({select})")
    except duckdb.Error as error:
        raise CvaError(f"{source}: {one_line(error)}; try_cast gives NULL instead") from error


def read_values(
    con: DuckDBPyConnection,
    kinds: Kinds,
    timezone: str,
    picked: Picked,
    asked: Asked = NOTHING_ASKED,
) -> Read:
    """The values of PICKED that cannot be read; makes READ, where they are NULL.

    Raises UsageError where a column can be read in two ways.
    """
    readings = decide_columns(con, PICKED, kinds, asked, timezone, picked.spare, picked.sources)
    rows = con.execute(f"describe {PICKED}").fetchall()
    casts = {n: _cast(n, t, kinds[n][0], timezone, readings.get(n)) for n, t, *_ in rows}
    values = ", ".join(f"{cast} as {name}" for name, cast in casts.items())
    con.execute(f"create temp table cva_read as select {values} from {PICKED}")
    before, after = (_count_values(con, relation, casts) for relation in (PICKED, READ))
    lost = (
        _lost_values(con, name, cast, kinds[name][0], picked.sources[name])
        for name, cast in casts.items()
        if before[name] != after[name] or kinds[name][0] == "vector"
    )
    unreadable = tuple(column for column in lost if column.values)
    said = (say_reading(con, n, reading, casts[n]) for n, reading in readings.items())
    return Read(unreadable, (*picked.said, *said))


def _count_values(con: DuckDBPyConnection, relation: str, names: Iterable[str]) -> dict[str, int]:
    counts = ", ".join(f"count({name})" for name in names)
    return dict(zip(names, first_row(con, f"select {counts} from {relation}"), strict=True))


def _lost_values(
    con: DuckDBPyConnection, name: str, cast: str, kind: str, source: str
) -> Unreadable:
    """The values of a column of PICKED that its cast loses; nobody is no value.

    A vector that is none becomes [0], so that it is counted wherever the table is read.
    """
    where = f"{name} is not null and ({cast}) is null"
    if kind == "vector":
        where = f"({cast}) = [0]"
    if kind == "person":
        nobody = macro_value("casts.sql", "is_nobody", f"{name}::varchar")
        where += f" and not {nobody}"
    count, example = first_row(
        con, f"select count(*), min({name}::varchar) from {PICKED} where {where}"
    )
    is_format = kind == "time" and example is not None
    advice = advise_format(con, name, example, source) if is_format else ""
    return Unreadable(name, count, (example or "")[:EXAMPLE_CHARACTERS], advice)


def sql_type(kind: str) -> str:
    """The type of a kind of canonical column, as DuckDB calls it."""
    name = str(macro_value("casts.sql", "kind_type", kind))
    return "varchar" if name == "string" else name


def _cast(column: str, from_type: str, kind: str, timezone: str, reading: Reading | None) -> str:
    """SQL: `column` of PICKED as staging would read it, without the infinities of files."""
    if reading is not None:
        column, from_type = reading.expression, reading.type
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
