"""Files beside the database that may name a person: dbt's, caches, reports and workbooks."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from html import unescape
from pathlib import Path

from cva_sql.cli.audience.selection import FOLDER as AUDIENCE
from cva_sql.cli.forget.published import FOLDER
from cva_sql.cli.publish.mark import refuse_other
from cva_sql.cli.publish.tables import identity
from cva_sql.cli.report.mark import other_than
from cva_sql.cli.shop.files import written_to
from cva_sql.cli.shop.forgotten import Tombstones
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.errors import UsageError
from cva_sql.udfs.journal import clear_journals
from cva_sql.udfs.places import WORK_FOLDER

# Where dbt works in the shop's .cva/, and what it says there: the next run makes its own anew.
TARGET = re.compile(r"target(-cva_\w+)?(-scoring|-training)?")  # see ResolvedShop.target_dir
LOGS = "logs/dbt.log*"
CELL = re.compile(r"<(?:t|v)(?: [^>]*)?>([^<]*)</(?:t|v)>")
BETWEEN_TAGS = re.compile(r">([^<]+)<")


def clear_work(shop: ResolvedShop) -> None:
    """Removes dbt's files, logs and what was read of texts and not stored yet."""
    work = shop.work_dir
    own = work.parent if work.name == WORK_FOLDER else work  # where copies are checked
    folders = [work / FOLDER, work / AUDIENCE, own / WORK_FOLDER / "check"]
    with written_to(work):
        folders += [path for path in work.iterdir() if TARGET.fullmatch(path.name)]
        for folder in folders:
            if folder.is_dir() and not folder.is_symlink():
                shutil.rmtree(folder)
        for log in work.glob(LOGS):
            log.unlink()
        for folder in {work, shop.db.resolve().parent / WORK_FOLDER}:
            clear_journals(folder, shop.db.stem)


def clear_pages(
    shop: ResolvedShop, known: Tombstones, ids: Iterable[str]
) -> tuple[list[str], list[str]]:
    """Removes reports and workbooks that name them, as cva wrote them; these, and what is left.

    Looked for beside the database and in the current folder. `ids` are known by name in this call.
    In what cva wrote, and can write anew, a number that is an id counts as one.
    """
    removed, left = [], []
    for file in _pages(shop):
        try:
            other = _other_than(file, shop)
            if not any(
                known.is_named(text) or known.names_in(text, counts=other is None)
                for text in _texts(file)
            ):
                continue
        except (OSError, zipfile.BadZipFile, UnicodeError):
            continue  # none of cva's, or damaged: nobody reads it
        if other is None:
            with written_to(file.parent):
                file.unlink()
            removed.append(str(file))
        else:
            left.append(f"{file}, which names them, {other}")
    left += [f"{log}, a log of an error, names them" for log in _logs(list(ids))]
    return removed, left


def _pages(shop: ResolvedShop) -> Iterator[Path]:
    for folder in dict.fromkeys([shop.db.resolve().parent, Path.cwd().resolve()]):
        for ending in ("*.html", "*.xlsx"):
            for file in sorted(folder.glob(ending)):
                if file.is_file() and not file.is_symlink():
                    yield file


def _texts(file: Path) -> Iterator[str]:
    """The texts of a report, or of the cells of a workbook."""
    if file.suffix == ".html":
        page = unescape(file.read_text(encoding="utf-8"))
        yield from BETWEEN_TAGS.findall(page)
        yield from page.splitlines()
        return
    with zipfile.ZipFile(file) as book:
        for part in book.namelist():
            if part.startswith("xl/") and part.endswith(".xml"):
                yield from map(unescape, CELL.findall(book.read(part).decode()))


def _other_than(file: Path, shop: ResolvedShop) -> str | None:
    """Why a file is none of cva's on this database; None where it is as cva wrote it."""
    if file.suffix == ".html":
        with file.open("rb") as page:
            return other_than(page, shop.db)
    try:
        refuse_other(file, identity(shop), is_to_adopt=False)
    except UsageError as error:
        return str(error).removeprefix(f"--to {file} ").split(";")[0]
    return None


def _logs(ids: list[str]) -> Iterator[Path]:
    """Logs of errors that nobody foresaw, of this user's."""
    for log in Path(tempfile.gettempdir()).glob("cva-*.log"):
        try:
            if log.stat().st_uid == os.getuid() and not log.is_symlink():
                text = log.read_text(encoding="utf-8", errors="replace")
                if any(re.search(rf"(?<!\w){re.escape(one)}(?!\w)", text) for one in ids):
                    yield log
        except (OSError, AttributeError):
            continue
