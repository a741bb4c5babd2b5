"""How the columns of a load are written: what was decided and said, or has to be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cva_sql.cli.readings.column import Asked, Reading, Unclear, trimmed
from cva_sql.cli.readings.counted import COUNTED, count_counted, counted_sql
from cva_sql.cli.readings.inference import TEXT
from cva_sql.cli.readings.numbers import Numbers, decide_number, look_at_numbers
from cva_sql.cli.readings.times import Times, decide_time, look_at_times
from cva_sql.cli.shop.expressions import shortened
from cva_sql.cli.shop.sql_text import literal, quoted
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NUMBERS = ("money", "number", "integer")
RARE = ("%d%m%Y", "%m%d%Y", "%y%m%d", "%Y-%d-%m", "%Y/%d/%m", "%Y%j")
MOST = 0.5  # more values than this count alike: it is a way to count times
Kinds = Mapping[str, tuple[str, bool]]


def decide_columns(
    con: DuckDBPyConnection,
    relation: str,
    kinds: Kinds,
    asked: Asked,
    zone: str,
    spare: Iterable[str],
    sources: Mapping[str, str],
) -> dict[str, Reading]:
    """How the columns of `relation` that a plain cast does not read are to be read.

    `spare` are the file's other columns of text, which are asked where the column itself does not
    tell; `sources` what the columns were taken from. Raises UsageError where nothing tells.
    """
    numbers: dict[str, Numbers] = {}
    times: dict[str, Times] = {}
    described = con.execute(f"describe {relation}").fetchall()
    found: dict[str, Reading | Unclear | None] = dict.fromkeys(name for name, *_ in described)
    for name, given, *_ in described:
        is_text, kind = given == "VARCHAR", kinds[name][0]
        if is_text and kind in NUMBERS:
            numbers[name] = look_at_numbers(con, relation, name)
        elif is_text and kind == "time":
            times[name] = look_at_times(con, relation, name)
        elif kind == "time" and given.endswith(("INT", "INTEGER", "DOUBLE", "FLOAT", ")")):
            found[name] = _counted_time(con, relation, name, zone)
    found |= _decide(numbers, times, asked, zone)
    if any(isinstance(why, Unclear) for why in found.values()):
        mark = _proved_by_others(con, look_at_numbers, numbers, spare)
        order = _proved_by_others(con, look_at_times, times, spare)
        found |= _decide(numbers, times, asked, zone, mark, order)
    if "currency" not in found:
        found |= _several_currencies(numbers, kinds)
    refuse_unclear(found, sources)
    return {name: reading for name, reading in found.items() if isinstance(reading, Reading)}


def _decide(
    numbers: Mapping[str, Numbers],
    times: Mapping[str, Times],
    asked: Asked,
    zone: str,
    mark: str | None = None,
    order: str | None = None,
) -> dict[str, Reading | Unclear | None]:
    """How each column is read, given what the file's other columns prove."""
    found: dict[str, Reading | Unclear | None] = {
        name: decide_number(looked, name, asked.decimal, mark) for name, looked in numbers.items()
    }
    dates = {
        name: decide_time(looked, name, asked.dates, order, zone) for name, looked in times.items()
    }
    return found | dates


def _proved_by_others(
    con: DuckDBPyConnection,
    look: Callable[[DuckDBPyConnection, str, str], Numbers | Times],
    known: Mapping[str, Numbers | Times],
    spare: Iterable[str],
) -> str | None:
    """The one way that columns of the file are written, None where they differ or do not tell."""
    looked = [look(con, TEXT, trimmed(quoted(name))) for name in spare]
    ways = {found.sure for found in (*known.values(), *looked)} - {None}
    return ways.pop() if len(ways) == 1 else None


def text_of(column: str, from_type: str) -> str | None:
    """SQL: a text column without white space around it, NULL where blank; None if it is no text."""
    if from_type not in ("VARCHAR", "JSON", "BLOB") and not from_type.startswith("ENUM"):
        return None
    return trimmed(f"({column} ->> '$')" if from_type == "JSON" else f"{column}::varchar")


def refuse_unclear(found: Mapping[str, Any], sources: Mapping[str, str]) -> None:
    """Raises UsageError that names each column that can be read in two ways, and the options."""
    unclear = {name: why for name, why in found.items() if isinstance(why, Unclear)}
    if not unclear:
        return
    said = "; ".join(f"{name}: {why.why}" for name, why in unclear.items())
    options = {
        why.option.format(column=name, source=_in_shell(sources.get(name, name))): None
        for name, why in unclear.items()
    }
    raise UsageError(f"{said}; add {' '.join(options)}")


def _in_shell(expression: str) -> str:
    """An expression within the double quotes of a command; a plain name stays plain."""
    plain = expression.strip('"')
    return plain if plain.isidentifier() else expression.replace('"', '\\"')


def say_reading(con: DuckDBPyConnection, name: str, reading: Reading, cast: str) -> str:
    """One line of how a column was read, with a value that shows it."""
    row = con.execute(
        f"select {cast} from (select {literal(reading.example)} as {quoted(name)})"
    ).fetchone()
    value = "" if row is None or row[0] is None else f", {shortened(reading.example)} is {row[0]}"
    return f"{name}: {reading.said}{value}"


def advise_format(con: DuckDBPyConnection, name: str, value: str, source: str) -> str:
    """The option that reads a time of a form that is not looked for; "" if none is known."""
    formats = ", ".join(f"try_strptime($1, {literal(form)}) is not null" for form in RARE)
    row = con.execute(f"select {formats}", [value]).fetchone() or ()
    fitting = [form for form, fits in zip(RARE, row, strict=True) if fits]
    options = [
        f"--column \"{name}=try_strptime({_in_shell(source)}, '{form}')\"" for form in fitting
    ]
    return f"give its format: {' or '.join(options)}" if options else ""


def _counted_time(con: DuckDBPyConnection, relation: str, name: str, zone: str) -> Reading | None:
    """How a number is a time; whole days written as yyyymmdd are read by the cast itself."""
    counted = count_counted(con, relation, name)
    row = con.execute(f"select count({name}), min({name})::varchar from {relation}").fetchone()
    ways = {way: n for way, n in counted.items() if row and n > MOST * row[0]}
    if not row or not ways or "yyyymmdd" in ways:
        return None
    way = next(iter(ways))
    expression = counted_sql(way, f"try_cast({name} as double)", zone)
    return Reading(expression, "TIMESTAMP", COUNTED[way].said, row[1])


def _several_currencies(numbers: Mapping[str, Numbers], kinds: Kinds) -> dict[str, Unclear]:
    """Amounts in several currencies are none, unless a column says which row is in which."""
    unclear = {}
    for name, found in numbers.items():
        units = sorted(found.units)
        if kinds[name][0] == "money" and len(units) > 1:
            option = (
                "--column currency=EXPR, or take one of them by --where"
                if "currency" in kinds
                else f"--where \"{{source}} like '%{units[0]}%'\""
            )
            unclear[name] = Unclear(f"amounts in {' and '.join(units)}", option)
    return unclear
