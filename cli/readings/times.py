"""Times as shops write them: which number is the day, names of months, zones, counted times."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from cva_sql.cli.readings import words
from cva_sql.cli.readings.column import MINORITY, Reading, Shape, Unclear, counts, find_shapes
from cva_sql.cli.readings.counted import COUNTED, count_counted, counted_sql
from cva_sql.cli.readings.formats import format_of
from cva_sql.cli.shop.package import macro_value
from cva_sql.cli.shop.sql_text import literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ORDERS = {"dmy": "day first", "mdy": "month first", "ymd": "year first"}
THREE = r"(?:^|\D)(\d{1,2})([-/. ]|[.] )(\d{1,2})(?:[-/. ]|[.] )(\d{4}|\d{2})(?:\D|$)"
FEW, MANY = 5, 12  # of a year and of a day: how many different numbers tell which is which


@dataclass(frozen=True)
class Times:
    """The values of a column of texts, by how they can be read as times.

    `usual` are written year first, as staging reads them; `formats` those of the other shapes, with
    their counts; `orders` which of day, month and year may come first, and how many values each
    reads of the `ordered` ones; `counted` the share of what counts from a day.
    """

    values: int
    usual: int
    shapes: tuple[Shape, ...] = ()
    steps: tuple[tuple[str, str], ...] = ()
    formats: dict[str, int] = field(default_factory=dict)
    ordered: int = 0
    orders: dict[str, int] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)

    @property
    def readable(self) -> int:
        return self.usual + sum(self.formats.values()) + max(self.counted.values(), default=0)

    @property
    def possible(self) -> list[str]:
        """The orders that read all dates of which the order matters, but for slips."""
        least = (1 - MINORITY) * self.ordered
        return [order for order, count in self.orders.items() if count >= least]

    @property
    def sure(self) -> str | None:
        """The order that the values alone prove."""
        return self.possible[0] if self.ordered and len(self.possible) == 1 else None


def usual_time(value: str) -> str:
    """SQL: whether staging reads the text as a time by itself."""
    like = macro_value("casts.sql", "time_patterns")
    written = f"{like['date']}({like['clock']}({like['zone']})?)?|(19|20)[0-9]{{6}}"
    return f"regexp_full_match({value}, {literal(written)})"


def look_at_times(con: DuckDBPyConnection, relation: str, value: str) -> Times:
    """What a column of texts holds."""
    texts = f"(select {value} as value from {relation})"
    values, usual = counts(con, texts, ["value is not null", usual_time("value")])
    if values == usual:
        return Times(values, usual)
    rest = f"(select value from {texts} where not {usual_time('value')})"
    shapes = find_shapes(con, rest, "value")
    steps = words.plain_steps([shape.text for shape in shapes])
    formats: dict[str, int] = {}
    for shape in shapes:
        found = format_of(words.make_plain(shape.text, steps))
        if found:
            formats[found] = formats.get(found, 0) + shape.count
    ordered, orders = 0, dict[str, int]()
    if any("%1" in found for found in formats):
        has_short = any("%y" in found and "%1" in found for found in formats)
        leads = all(found.startswith("%1") for found in formats if "%1" in found) and not steps
        start = "left(value, 10)" if leads else words.plain_sql("value", steps)
        ordered, orders = _count_orders(con, f"(select {start} as value from {rest})", has_short)
    is_counted = any(re.fullmatch(r"9+(?:[.,]9+)?", shape.text) for shape in shapes)
    counted = count_counted(con, rest, "value") if is_counted else {}
    return Times(values, usual, tuple(shapes), tuple(steps), formats, ordered, orders, counted)


def _count_orders(
    con: DuckDBPyConnection, relation: str, has_short: bool
) -> tuple[int, dict[str, int]]:
    """How many dates there are whose order matters, and how many each order can read.

    Of two digits a year is one from 1970 to the next year.
    """
    parts = f"regexp_extract(value, {literal(THREE)}, ['a', 'sep', 'b', 'c'])"
    number = "try_cast(part.{0} as integer) as {0}".format
    grouped = f"select value, count(*) as n from {relation} group by 1"
    con.execute(
        f"create or replace temp table cva_dates as select {number('a')}, {number('b')},"
        f" {number('c')}, sum(n)::bigint as n from (select {parts} as part, n from ({grouped}))"
        " where part.a <> '' group by 1, 2, 3"
    )
    soon = date.today().year % 100 + 1
    a_year, c_year = (f"{name} not between {soon + 1} and 69" for name in ("a", "c"))
    row = con.execute(
        f"select sum(n), sum(n) filter (a <= 31 and b <= 12 and {c_year}),"
        f" sum(n) filter (a <= 12 and b <= 31 and {c_year}),"
        f" sum(n) filter (b <= 12 and c <= 31 and {a_year}),"
        " count(distinct a), count(distinct c) from cva_dates"
    ).fetchone()
    con.execute("drop table cva_dates")
    total, day, month, year, first, last = (int(count or 0) for count in row or (0,) * 6)
    orders = {"dmy": day, "mdy": month, **({"ymd": year} if has_short else {})}
    # 28/12/24 reads year first as well, but a year has few numbers and a day has many.
    if last <= FEW and first > MANY:
        orders.pop("ymd", None)
    elif first <= FEW and last > MANY and "ymd" in orders:
        orders = {"ymd": year}
    return total, orders


def decide_time(
    times: Times, value: str, asked: str | None, others: str | None, zone: str
) -> Reading | Unclear | None:
    """How the column is to be read, as a TIMESTAMP of `zone`; None where staging does by itself.

    `asked` is the order that the user says, `others` the one that the file's other columns prove.
    """
    zone_word = words.unclear_zone([shape.text for shape in times.shapes])
    if zone_word and times.formats:
        offset = words.SEVERAL_ZONES[zone_word]
        example = next(s.example for s in times.shapes if zone_word in s.text)
        return Unclear(
            f"{example!r}: {zone_word} is more than one zone",
            f"--column \"{{column}}=replace({{source}}, '{zone_word}', '{offset}')\"",
        )
    order, why = _choose_order(times, asked, others)
    if times.ordered and order is None:
        return _unclear_order(times)
    parts = _format_parts(times, value, order, zone)
    said = []
    if order:
        said.append(ORDERS[order] + why)
    for name, count in times.counted.items():
        if count >= MINORITY * times.values:
            parts.append(counted_sql(name, f"try_cast({value} as double)", zone))
            said.append(COUNTED[name].said)
    if not parts:
        return None
    if times.usual:
        usual = macro_value("casts.sql", "read_time", value, settings={"cva_timezone": zone})
        parts.insert(0, str(usual))
    shown = max(
        (s for s in times.shapes if _is_read(s, times)),
        key=lambda s: (s.count, s.text),
        default=times.shapes[0],
    )
    expression = parts[0] if len(parts) == 1 else f"coalesce({', '.join(parts)})"
    said += [f"{zone} is {offset}" for zone, offset in words.zones_in(shown.text).items()]
    return Reading(expression, "TIMESTAMP", ", ".join(said) or "read as times", shown.example)


def _is_read(shape: Shape, times: Times) -> bool:
    return format_of(words.make_plain(shape.text, times.steps)) is not None or bool(times.counted)


def _choose_order(times: Times, asked: str | None, others: str | None) -> tuple[str | None, str]:
    possible = times.possible
    if not times.ordered:
        return None, ""
    if len(possible) == 1:
        return possible[0], ""
    if asked in times.orders and (not possible or asked in possible):
        return asked, ""
    if others in possible:
        return others, ", as in the file's other columns"
    return None, ""


def _unclear_order(times: Times) -> Unclear:
    shown = min(
        s.example
        for s in times.shapes
        if "%1" in (format_of(words.make_plain(s.text, times.steps)) or "")
    )
    option = f"--dates {'|'.join(times.possible or times.orders)}"
    if times.possible:
        return Unclear(f"{shown!r}: no value tells which number is the day", option)
    return Unclear(f"some dates have the day first, others the month ({shown!r})", option)


def _format_parts(times: Times, value: str, order: str | None, zone: str) -> list[str]:
    """SQL that reads the formats: those of local times, and those with an offset."""
    if not times.formats:
        return []
    text = words.plain_sql(value, times.steps)
    formats = [_in_order(found, order) for found in times.formats]
    # %y before %Y, which would take 23 for the year 23.
    formats.sort(key=lambda found: ("%Y" in found, found))
    local = [found for found in formats if "%z" not in found]
    offset = [found for found in formats if "%z" in found]
    parts = []
    if local:
        parts.append(f"try_strptime({text}, {_listed(local)})")
    if offset:
        parts.append(f"timezone({literal(zone)}, try_strptime({text}, {_listed(offset)}))")
    return parts


def _in_order(found: str, order: str | None) -> str:
    if "%1" not in found or order is None:
        return found
    if order == "ymd" and "%y" in found:
        return found.replace("%y", "%3").replace("%1", "%y").replace("%2", "%m").replace("%3", "%d")
    first, second = ("%m", "%d") if order == "mdy" else ("%d", "%m")
    return found.replace("%1", first).replace("%2", second)


def _listed(formats: Sequence[str]) -> str:
    listed = ", ".join(literal(found) for found in dict.fromkeys(formats))
    return listed if len(set(formats)) == 1 else f"[{listed}]"
