"""Numbers as shops write them: decimal point or comma, thousands, currencies, brackets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cva_sql.cli.readings.column import MINORITY, Reading, Shape, Unclear, counts, find_shapes
from cva_sql.cli.shop.sql_text import literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

POINT, COMMA = "point", "comma"
MARKS = {POINT: "[.]", COMMA: ","}
SPACES = " \u00a0\u2009\u202f"
SIGNS = "+\\-\u2212\u2013"
CODES = (
    "AED ARS AUD BGN BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR ISK JPY KRW "
    "KZT MAD MXN MYR NGN NOK NZD PEN PHP PLN RMB RON RSD RUB SAR SEK SGD THB TRY TWD UAH "
    "USD VND ZAR"
)
WORDS = "zł|Kč|kr[.]?|Ft|lei|лв[.]?|руб[.]?|р[.]|грн[.]?|TL|Rs[.]?|S?Fr[.]|RM|Rp|元|円|원"
UNIT = f"(?:[A-Z]{{0,3}}[$£¥฿₠-₿￠-￦＄][A-Z]{{0,3}}|{CODES.replace(' ', '|')}|{WORDS})"
# What needs no look at its shape: whole, or with a point that cannot stand for thousands.
WHOLE = r"[+-]?\d+"
POINTED = (
    r"[+-]?(\d*[.]\d{1,2}|\d*[.]\d{4,}|\d{4,}[.]\d+|0?[.]\d+|\d+[.]|\d*[.]?\d+[eE][+-]?\d{1,3})"
)
POWER = {mark: rf"[+-]?\d+(?:{sign}\d+)?[eE][+-]?\d{{1,3}}" for mark, sign in MARKS.items()}

CASTABLE = r"[+-]?\d+[.]?\d*"


def number_pattern(decimal: str, unit: str = UNIT, has_brackets: bool = True) -> str:
    """A regular expression of numbers with this decimal mark, for Python and DuckDB."""
    mark, group = MARKS[decimal], MARKS[COMMA if decimal == POINT else POINT]
    groups = "|".join(f"(?:{g}\\d{{3}})+" for g in (group, f"[{SPACES}]", "[\u2019\u00b4`']"))
    whole = f"(?:[1-9]\\d{{0,2}}(?:{groups})|[1-9]\\d?(?:{group}\\d{{2}})+{group}\\d{{3}}|\\d+)"
    core = f"(?:{whole}(?:{mark}\\d+)?|{mark}\\d+)"
    space = f"[{SPACES}]*"
    before, after = (f"(?:{unit}{space})?", f"(?:{space}{unit})?") if unit else ("", "")
    inner = f"{before}[{SIGNS}]?{space}{before}{core}{after}"
    in_brackets = f"|{before}[(]{inner}[)]{after}" if has_brackets else ""
    return f"(?:{inner}{space}[-\u2212\u2013]?{in_brackets})"


PATTERNS = {mark: re.compile(f"{number_pattern(mark)}|{POWER[mark]}") for mark in MARKS}


@dataclass(frozen=True)
class Numbers:
    """The values of a column, by which decimal mark can read them.

    `values` are all that are there; `whole` read the same both ways, `either` differently.
    """

    values: int
    whole: int
    only: dict[str, int]
    either: int
    shapes: tuple[Shape, ...] = ()  # those that are more than digits and a point

    @property
    def readable(self) -> int:
        return self.whole + self.either + sum(self.only.values())

    @cached_property
    def possible(self) -> list[str]:
        """The marks that read all values whose mark tells or might, but for slips."""
        marked = self.either + sum(self.only.values())
        least = (1 - MINORITY) * marked
        return [mark for mark, count in self.only.items() if count + self.either >= least]

    @property
    def sure(self) -> str | None:
        """The mark that the values alone prove."""
        marked = bool(self.either or any(self.only.values()))
        return self.possible[0] if marked and len(self.possible) == 1 else None

    @cached_property
    def units(self) -> Counter[str]:
        """The currency signs and codes in the readable values."""
        found: Counter[str] = Counter()
        for shape in self.shapes:
            if _marks(shape.text):
                found.update(dict.fromkeys(re.findall(UNIT, shape.text), shape.count))
        return found


def look_at_numbers(con: DuckDBPyConnection, relation: str, value: str) -> Numbers:
    """What a column of texts holds."""
    full = "regexp_full_match({}, {})".format
    values, whole, pointed = counts(
        con,
        f"(select {value} as value from {relation})",
        ["value is not null", full("value", literal(WHOLE)), full("value", literal(POINTED))],
    )
    only = {POINT: pointed, COMMA: 0}
    if whole + pointed == values:
        return Numbers(values, whole, only, 0)
    either, odd = 0, []
    plain = re.compile(f"{WHOLE}|{POINTED}")
    for shape in find_shapes(con, relation, value, digits="123456789"):
        if plain.fullmatch(shape.text):
            continue
        marks = _marks(shape.text)
        if len(marks) == 1:
            only[marks[0]] += shape.count
        elif marks and _has_mark(shape.text):
            either += shape.count
        elif marks:
            whole += shape.count
        odd.append(shape)
    return Numbers(values, whole, only, either, tuple(odd))


def decide_number(
    numbers: Numbers, value: str, asked: str | None, others: str | None
) -> Reading | Unclear | None:
    """How the column is to be read; None where a plain cast reads it.

    `asked` is what the user says, `others` the mark that the file's other columns prove.
    """
    if not numbers.shapes or numbers.readable == 0:
        return None
    if len(numbers.possible) == 1:
        mark, why = numbers.possible[0], ""
    elif asked:
        mark, why = asked, ""
    elif not numbers.either and numbers.possible:  # nothing has a mark
        mark, why = POINT, ""
    elif others and numbers.possible:
        mark, why = others, ", as in the file's other columns"
    else:
        return Unclear(_why_unclear(numbers), "--decimal point|comma")
    odd = [s for s in numbers.shapes if PATTERNS[mark].fullmatch(s.text)]
    if not odd:
        return None
    told = max(odd, key=lambda shape: (len(shape.text), shape.count, shape.text)).example
    if mark == POINT and all(re.fullmatch(CASTABLE, shape.text) for shape in odd):
        return Reading(value, "VARCHAR", f"decimal {mark}{why}", told) if why else None
    said = [f"decimal {mark}{why}"] if any(re.search("[.,]", shape.text) for shape in odd) else []
    if numbers.units:
        said.append(f"without {', '.join(sorted(numbers.units))}")
    expression = number_sql(value, mark, [shape.text for shape in odd])
    return Reading(expression, "VARCHAR", ", ".join(said) or "digits alone", told)


def number_sql(value: str, mark: str, shapes: Sequence[str]) -> str:
    """SQL: the text of a number as a cast takes it, NULL where it is none of this form.

    Only what the shapes have is looked for, so that the expression stays short.
    """
    digits = f"regexp_replace({value}, '[^0-9{'.' if mark == POINT else ','}]', '', 'g')"
    if mark == COMMA:
        digits = f"replace({digits}, ',', '.')"
    if any(re.search("[-\u2212\u2013(]", shape) for shape in shapes):
        negative = f"regexp_matches({value}, '^[^0-9]*[-\u2212\u2013(]|[-\u2212\u2013]$')"
        digits = f"case when {negative} then '-' else '' end || {digits}"
    found = sorted({unit for shape in shapes for unit in re.findall(UNIT, shape)})
    unit = f"(?:{'|'.join(map(re.escape, found))})" if found else ""
    pattern = number_pattern(mark, unit, any("(" in shape for shape in shapes))
    cases = f"when regexp_full_match({value}, {literal(pattern)}) then {digits}"
    if any(re.fullmatch(POWER[mark], shape) for shape in shapes):
        power = f"regexp_full_match({value}, {literal(POWER[mark])})"
        cases = f"when {power} then replace({value}, ',', '.') {cases}"
    return f"case {cases} end"


def _why_unclear(numbers: Numbers) -> str:
    marks = {shape: _marks(shape.text) for shape in numbers.shapes}
    if numbers.possible:
        either = [s.example for s, found in marks.items() if len(found) > 1 and _has_mark(s.text)]
        return f"{min(either)!r} may have decimals or thousands"
    point, comma = (
        next((shape.example for shape, found in marks.items() if found == [mark]), usual)
        for mark, usual in ((POINT, "12.50"), (COMMA, "12,50"))
    )
    return f"some have a decimal point ({point!r}), others a decimal comma ({comma!r})"


def _marks(shape: str) -> list[str]:
    """The decimal marks that can read a shape."""
    return [mark for mark, pattern in PATTERNS.items() if pattern.fullmatch(shape)]


def _has_mark(shape: str) -> bool:
    return bool(re.search("[.,]", re.sub(UNIT, "", shape)))
