"""Workbooks (.xlsx, .xls, .xlsb, .ods): one sheet as delimited text, values as they are shown."""

from __future__ import annotations

import csv
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.cli.load.formats.headers import find_header, left_out_above
from cva_sql.cli.load.formats.layout import Layout
from cva_sql.cli.load.formats.source import ReadOptions, Source, unique_names
from cva_sql.cli.load.formats.unpacking import pick_part
from cva_sql.cli.shop.expressions import shortened
from cva_sql.cli.shop.sql_text import quoted
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from python_calamine import CalamineWorkbook

DIGITS = 15  # what a spreadsheet keeps of a number and shows


def workbook_source(file: Path, path: Path, options: ReadOptions, folder: Path) -> Source:
    """The source of the one sheet with data, or of the one that --sheet names."""
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        with path.open("rb") as stream:
            book = CalamineWorkbook.from_filelike(stream)
            name = _sheet_name(file, book, options)
            rows = book.get_sheet_by_name(name).to_python(skip_empty_area=True)
    except (CalamineError, OSError, ValueError) as error:
        raise CvaError(f"{file} cannot be read as a workbook: {str(error)[:200]}") from error
    records = [record for row in rows if any(record := [shown(cell) for cell in row])]
    if not records:
        raise CvaError(f"{file}: sheet {shortened(name)} is empty; expected a header and rows")
    place = find_header(records, len(records[0])) or 0
    columns = [i for i in range(len(records[0])) if any(r[i] for r in records[place:])]
    text = folder / "sheet.csv"
    with text.open("w", encoding="utf-8", newline="") as copy:
        writer = csv.writer(copy, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerows([r[i] for i in columns] for r in records[place:])
    header = tuple(records[place][i] for i in columns)
    layout = Layout(",", header)
    said = [f"sheet {shortened(name)}", *left_out_above(place)]
    names = unique_names(header)
    select = f"select {', '.join(map(quoted, names))} from ({layout.select(text)})"
    return Source(file, names, (select,), header, said=tuple(said), path=text, layout=layout)


def _sheet_name(file: Path, book: CalamineWorkbook, options: ReadOptions) -> str:
    from python_calamine import SheetVisibleEnum

    if options.sheet is not None:
        return pick_part(file, "sheets", list(book.sheet_names), options)
    shown_sheets = [
        meta.name for meta in book.sheets_metadata if meta.visible == SheetVisibleEnum.Visible
    ] or list(book.sheet_names)
    filled = [name for name in shown_sheets if _holds_table(book, name)]
    if not filled:
        raise CvaError(f"{file} has no sheet with a header and rows")
    return filled[0] if len(filled) == 1 else pick_part(file, "sheets", filled, options)


def _holds_table(book: CalamineWorkbook, name: str) -> bool:
    """Whether a sheet has more than one row of more than one filled cell: no cover, no notes."""
    rows = book.get_sheet_by_name(name).to_python(skip_empty_area=True)
    return sum(sum(cell != "" for cell in row) > 1 for row in rows) > 1 or (
        len(rows) > 1 and len(rows[0]) == 1 and len(book.sheet_names) == 1
    )


def shown(cell: Any) -> str:
    """The text of a cell: whole numbers without a point, times as ISO writes them."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        text = f"{cell:.{DIGITS}g}"
        return f"{Decimal(text):f}" if "e" in text else text
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return str(cell)
