"""Writes workbooks: a sheet after another, as text what a spreadsheet would run."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run
MAX_ROWS = 1_048_576  # of a sheet, its header among them
MAX_CHARACTERS = 32_767  # of a cell
EXACT = 10**15  # a spreadsheet keeps 15 digits of a number
FIRST_DAY = date(1900, 3, 1)  # spreadsheets disagree on the days before
WRAPPED = 60  # a column as wide as this shows its text in several lines


@dataclass(frozen=True)
class Page:
    """A sheet: its rows below a header that stays in view; formats and widths by column, or none.

    `fixed` is the first cell that scrolls.
    """

    name: str
    header: Sequence[str]
    rows: Iterable[Sequence[Any]]
    formats: Sequence[str] = ()
    widths: Sequence[int] = ()
    fixed: str = "A2"


def make_workbook(pages: Iterable[Page], made_at: datetime | None = None) -> bytes:
    """The file; `made_at` is the time that it gives as its own."""
    from openpyxl import Workbook

    book, data = Workbook(write_only=True), io.BytesIO()
    if made_at is not None:
        book.properties.creator = "cva"
        book.properties.created = made_at
    for page in pages:
        _write(book, page)
    book.save(data)
    return data.getvalue()


def _write(book: Any, page: Page) -> None:
    from openpyxl.utils import get_column_letter

    sheet = book.create_sheet(page.name)
    sheet.freeze_panes = page.fixed
    for number, width in enumerate(page.widths, 1):
        sheet.column_dimensions[get_column_letter(number)].width = width
    sheet.append(_heads(sheet, page))
    # A row is written at once, so that the cells serve the next one. Each with its style for good:
    # openpyxl keeps the style itself, and changing it would change the cells above.
    cells, quoted, count = _cells(sheet, page), _cells(sheet, page, is_quoted=True), 1
    for count, row in enumerate(page.rows, 2):  # noqa: B007 - the last is the number of rows
        sheet.append([_filled(*pair) for pair in zip(cells, quoted, row, strict=True)])
    if page.widths:
        sheet.auto_filter.ref = f"A1:{get_column_letter(len(cells))}{count}"


def _heads(sheet: Any, page: Page) -> list[Any]:
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font

    heads = [WriteOnlyCell(sheet, name) for name in page.header]
    for head in heads:
        head.font, head.data_type = Font(bold=True), "s"
    return heads


def _cells(sheet: Any, page: Page, *, is_quoted: bool = False) -> list[Any]:
    """A cell for each column in its style; one that `is_quoted` stays text when it is edited."""
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Alignment

    cells = [WriteOnlyCell(sheet) for _ in page.header]
    for cell, kind in zip(cells, page.formats, strict=False):
        cell.number_format = kind
    for cell, width in zip(cells, page.widths, strict=False):
        if width >= WRAPPED:
            cell.alignment = Alignment(wrap_text=True, vertical="top")
    for cell in cells if is_quoted else ():
        cell.quotePrefix = True
    return cells


def _filled(cell: Any, quoted: Any, value: Any) -> Any:
    """The cell that holds the value: text is text, whatever it begins with."""
    value = _held(value)
    if isinstance(value, str) and value.startswith(FORMULA):
        cell = quoted
    cell.value = value
    if isinstance(value, str):
        cell.data_type = "s"
    return cell


def _held(value: Any) -> Any:
    """A number, date, truth value or text that a sheet holds as it is."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < EXACT else str(value)
    if isinstance(value, float | Decimal):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, date):  # a datetime is one
        day = value.date() if isinstance(value, datetime) else value
        return value if day >= FIRST_DAY else value.isoformat()
    return _text(str(value))


def _text(value: str) -> str:
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    value = ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", value)
    return value if len(value) <= MAX_CHARACTERS else f"{value[: MAX_CHARACTERS - 1]}…"
