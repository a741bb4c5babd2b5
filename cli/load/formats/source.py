"""What a file is before it is read: the SELECTs that may read it, its columns, what was decided."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.shop.sql_text import literal

if TYPE_CHECKING:
    from cva_sql.cli.load.formats.layout import Layout


@dataclass(frozen=True)
class ReadOptions:
    """What the user said of the files; None is to be found out from the file.

    `sheet` is the sheet of a workbook, the file of an archive or the list of a JSON object.
    """

    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None


FOUND_OUT = ReadOptions()


@dataclass(frozen=True)
class Source:
    """One file, ready to be read.

    `selects` are tried in this order until one reads the whole file. `header` are the names as the
    file writes them, for rows that repeat it; () where rows cannot. `kept` is false for a copy that
    goes when the load is over. `layout` is how the text in UTF-8 at `path` is delimited, if it is.
    """

    file: Path
    names: tuple[str, ...]
    selects: tuple[str, ...]
    header: tuple[str, ...] = ()
    typed: bool = False
    kept: bool = True
    said: tuple[str, ...] = ()
    path: Path | None = None
    layout: Layout | None = None


def sql_path(path: Path) -> str:
    """`path` as an SQL string that names one file and is no pattern."""
    return literal(re.sub(r"([*?\[])", r"[\1]", str(path.resolve())))


def unique_names(cells: Sequence[str]) -> tuple[str, ...]:
    """Column names of a header: trimmed, named by their place where blank, told apart by case."""
    names: list[str] = []
    taken: set[str] = set()
    for place, cell in enumerate(cells):
        base = cell.replace("\0", "").strip() or f"column{place}"
        name, count = base, 0
        while name.lower() in taken:
            count += 1
            name = f"{base}_{count}"
        taken.add(name.lower())
        names.append(name)
    return tuple(names)
