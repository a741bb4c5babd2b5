"""A column of texts as this room looks at it: its shapes, what was decided and what is unclear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cva_sql.cli.shop.package import macro_value

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MINORITY = 0.01  # values that the column's form cannot read: slips, which are counted and not used
SHAPES = 5_000  # more of them is prose; the most frequent are looked at
SHAPE_CHARACTERS = 80  # no number or time is longer


@dataclass(frozen=True)
class Asked:
    """What the user says of how the file is written; None where the columns have to tell."""

    decimal: str | None = None  # point or comma
    dates: str | None = None  # dmy, mdy or ymd


NOTHING_ASKED = Asked()


@dataclass(frozen=True)
class Shape:
    """Values that differ in their digits alone: how many there are, and the first by text."""

    text: str
    count: int
    example: str


@dataclass(frozen=True)
class Reading:
    """SQL that reads the column, its type, and how that is said; nothing is said of what is usual.

    `example` is a value that shows it.
    """

    expression: str
    type: str
    said: str = ""
    example: str = ""


@dataclass(frozen=True)
class Unclear:
    """Why a column can be read in two ways, and what to write to settle it."""

    why: str
    option: str


def trimmed(column: str) -> str:
    """SQL: the text without white space around it, NULL where nothing is left."""
    return str(macro_value("engine.sql", "trimmed", column))


def find_shapes(
    con: DuckDBPyConnection, relation: str, value: str, digits: str = "0123456789"
) -> list[Shape]:
    """The shapes of a text, the most frequent first: each of `digits` is written as 9."""
    nines = "9" * len(digits)
    rows = con.execute(
        f"select translate(value, '{digits}', '{nines}') as shape, count(*), min(value)"
        f" from (select left({value}, {SHAPE_CHARACTERS}) as value from {relation})"
        f" where value is not null group by 1 order by 2 desc, 1 limit {SHAPES}"
    ).fetchall()
    return [Shape(*row) for row in rows]


def counts(con: DuckDBPyConnection, relation: str, conditions: Sequence[str]) -> list[int]:
    """How many rows satisfy each condition."""
    asked = ", ".join(f"count(*) filter ({condition})" for condition in conditions)
    row = con.execute(f"select {asked} from {relation}").fetchone() or ()
    return [int(count) for count in row]
