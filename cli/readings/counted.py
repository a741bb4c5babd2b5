"""Times that are one number: seconds since 1970, a spreadsheet's days, digits without marks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cva_sql.cli.readings.column import counts
from cva_sql.cli.shop.sql_text import literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FIRST, LAST = 631_152_000, 4_102_444_800  # 1990 and 2100, in seconds since 1970


@dataclass(frozen=True)
class Counted:
    """A way to count: the numbers that it can be, none of which is another's, and its SQL."""

    low: int
    high: int
    said: str
    sql: str
    is_utc: bool = False


def _digits(form: str) -> str:
    return f"try_strptime(({{0}})::bigint::varchar, '{form}')"


COUNTED: Mapping[str, Counted] = {
    "days": Counted(
        *(18_264, 73_415),  # 1950 to 2100
        "a spreadsheet's day numbers",
        "timestamp '1899-12-30' + to_seconds(round({0} * 86400))",
    ),
    "yyyymmdd": Counted(19_000_101, 21_001_231, "", _digits("%Y%m%d")),
    "seconds": Counted(FIRST, LAST, "seconds since 1970", "to_timestamp({0})", True),
    "minutes_written": Counted(
        190_001_010_000, 210_012_312_359, "year to minute without marks", _digits("%Y%m%d%H%M")
    ),
    "milliseconds": Counted(
        FIRST * 1000, LAST * 1000, "milliseconds since 1970", "to_timestamp({0} / 1e3)", True
    ),
    "seconds_written": Counted(
        *(19_000_101_000_000, 21_001_231_235_959),
        "year to second without marks",
        _digits("%Y%m%d%H%M%S"),
    ),
    "microseconds": Counted(
        FIRST * 10**6, LAST * 10**6, "microseconds since 1970", "to_timestamp({0} / 1e6)", True
    ),
    "nanoseconds": Counted(
        FIRST * 10**9, LAST * 10**9, "nanoseconds since 1970", "to_timestamp({0} / 1e9)", True
    ),
}


def count_counted(con: DuckDBPyConnection, relation: str, value: str) -> dict[str, int]:
    """How many values each way of counting may have; only those that have any."""
    number = f"try_cast({value} as double)"
    found = counts(
        con,
        f"(select {number} as number from {relation})",
        [f"number between {way.low} and {way.high}" for way in COUNTED.values()],
    )
    return {name: count for name, count in zip(COUNTED, found, strict=True) if count}


def counted_sql(name: str, number: str, zone: str) -> str:
    """SQL: the number as a TIMESTAMP of `zone`, NULL where it cannot be one."""
    way = COUNTED[name]
    value = way.sql.format(number)
    value = f"timezone({literal(zone)}, {value})" if way.is_utc else value
    return f"case when {number} between {way.low} and {way.high} then {value} end"
