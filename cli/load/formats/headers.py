"""Where the header is among the first records of a table: lines may stand above it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from cva_sql.cli.shop.progress import count_of

MOST_ABOVE = 50  # records looked at for a header; more is no preamble
# A number or a time: has a digit, and at most the letters of ISO times, AM and PM.
VALUE = re.compile(r"(?=.*\d)[\s\d.,:/+\-()$€£¥%TZAPM'\u00a0]+")


def usual_width(records: Sequence[Sequence[str]]) -> int:
    """The number of fields that most records have; of several, the largest.

    The first half, where lines above the header are, does not count, nor do lines of one field.
    """
    counts = Counter(len(record) for record in records[len(records) // 2 :] if len(record) > 1)
    return max(counts, key=lambda width: (counts[width], width), default=0)


def find_header(records: Sequence[Sequence[str]], width: int) -> int | None:
    """The place of the header, a record of `width` fields; None if no record looks like one.

    A first record that is wholly filled is the header. Else it is the record with most names: no
    number, no time, at least two and half of the fields. An export's title, even when a spreadsheet
    has padded it with empty fields, is none.
    """
    near = [(i, r) for i, r in enumerate(records[:MOST_ABOVE]) if len(r) == width]
    if near and near[0][0] == 0 and all(cell.strip() for cell in near[0][1]):
        return 0
    filled = {i: sum(bool(cell.strip()) for cell in r) for i, r in near if _has_names_only(r)}
    filled = {i: count for i, count in filled.items() if count >= max(2, width / 2)}
    if filled and _has_values_below(records, len(records[0])):
        return max(filled, key=lambda i: (filled[i], -i))
    # Names that are numbers, e.g. 2023, below a title of one field.
    return near[0][0] if near and len(records[0]) < 2 else None


def _has_names_only(record: Sequence[str]) -> bool:
    return not any(VALUE.fullmatch(cell.strip()) for cell in record if cell.strip())


def _has_values_below(records: Sequence[Sequence[str]], width: int) -> bool:
    """Whether rows are told from names; if not, a first record of several names is the header."""
    return width < 2 or any(VALUE.fullmatch(cell.strip()) for r in records for cell in r)


def left_out_above(count: int) -> list[str]:
    """What is said of the lines above the header, if there are any."""
    return [f"{count_of(count, 'line')} above the header left out"] if count else []
