"""Writes an audience: for its owner's eyes alone, whole or not at all."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.cli.audience.formats import Sheet
from cva_sql.cli.audience.workbook import FORMULA, Page, make_workbook
from cva_sql.cli.shop.files import unfinished, written_to
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop


@dataclass(frozen=True)
class Audience:
    """The file that was written, how many customers are in it, and how many not, by reason."""

    file: str
    rows: int
    left_out: dict[str, int]


def write_audience(
    shop: ResolvedShop,
    condition: str,
    out: Path,
    to: str,
    *,
    value: str = "predicted_value",
    needs_consent: bool = True,
    suppressed: Iterable[Path] = (),
    is_to_replace: bool = False,
) -> Audience:
    """Writes the customers for whom `condition` holds, for the importer `to`.

    Raises UsageError for what cannot be taken, before anything is read.
    """
    from cva_sql.cli.audience.selection import make_audience

    refuse_existing(out, shop, is_to_replace=is_to_replace)
    sheet = make_audience(
        shop, condition, to, value=value, needs_consent=needs_consent, suppressed=suppressed
    )
    write_sheet(sheet, out, to)
    return Audience(str(out), len(sheet.rows), dict(sheet.left_out))


def refuse_existing(out: Path, shop: ResolvedShop, *, is_to_replace: bool) -> None:
    """Raises UsageError for a place where the file would harm something, or be published."""
    refuse_place(out, shop, "--out", "vip.csv")
    if out.is_symlink() or (out.exists() and not is_to_replace):
        raise UsageError(f"--out {out} exists; name another file, or say --replace")


def refuse_place(out: Path, shop: ResolvedShop, option: str, example: str) -> None:
    """Raises UsageError for a folder, and for a place among the shop's own files."""
    if out.is_dir():
        raise UsageError(
            f"{option} {out} is a folder; expected a file, e.g. {option} {out / example}"
        )
    place = out.resolve()
    if place == shop.db.resolve() or shop.published.resolve() in place.parents:
        raise UsageError(f"{option} {out} is where the shop's own files are; name another file")


def write_sheet(sheet: Sheet, out: Path, to: str) -> None:
    """Writes the rows; only the owner may read the file."""
    rows = [[_cell(value) for value in row] for row in sheet.rows]
    page = Page("customers", sheet.header, rows)
    data = make_workbook([page]) if to == "xlsx" else _csv(sheet.header, rows)
    with written_to(out.parent):
        temporary = unfinished(out)
        temporary.touch(mode=0o600, exist_ok=False)
        try:
            temporary.write_bytes(data)
            temporary.replace(out)
        finally:
            temporary.unlink(missing_ok=True)


def _csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    """A number rounded to a hundredth; a text that no spreadsheet runs, but for phone numbers."""
    if isinstance(value, str):
        is_phone = value[:1] == "+" and value[1:].isdigit()
        return f"'{value}" if value.startswith(FORMULA) and not is_phone else value
    return value if value is None else round(float(value), 2)
