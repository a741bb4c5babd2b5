"""What a file is by its first bytes, and the file within a packed one."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import zipfile
import zlib
from collections.abc import Callable
from io import BufferedIOBase
from pathlib import Path, PurePosixPath

from cva_sql.cli.load.formats.source import ReadOptions
from cva_sql.cli.shop.expressions import shortened
from cva_sql.cli.shop.sql_text import listed
from cva_sql.udfs.errors import CvaError, UsageError

PACKED: dict[bytes, Callable[[Path], BufferedIOBase]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}
ZIP, OLD_EXCEL, PARQUET = b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"PAR1"
OTHERS = {  # what people try as well: the start of the file, what it is
    b"%PDF": "a PDF",
    b"SQLite format 3": "an SQLite database",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "packed by zstd",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}
MARKUP = (b"<!doctype", b"<html", b"<table", b"<?xml")  # what some shops call .xls
BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError)
DEEPEST = 3  # a zip of a gzip is seen; more is a mistake or an attack


def unpack(file: Path, options: ReadOptions, folder: Path) -> tuple[Path, list[str]]:
    """The file with the rows, which is a copy in `folder` if `file` is packed, and what is said."""
    if not file.is_file():
        raise UsageError(f"{file} is not a file; check the path")
    path, said = file, list[str]()
    for _ in range(DEEPEST):
        start = first_bytes(path)
        if not start:
            raise CvaError(f"{file} is empty; expected a header and at least one row")
        opener = next((opener for magic, opener in PACKED.items() if start.startswith(magic)), None)
        inner = folder / f"{path.name[:80]}.inner"
        try:
            if opener:
                with opener(path) as stream, inner.open("wb") as copy:
                    shutil.copyfileobj(stream, copy, 1 << 20)
            elif start.startswith(ZIP) and not is_workbook(path):
                said.append(_unzip(file, path, options, inner))
            else:
                return path, said
        except BROKEN as error:
            raise CvaError(f"{file} cannot be read: {str(error)[:200]}") from error
        path = inner
    raise CvaError(f"{file} is packed more than {DEEPEST} times; unpack it")


def first_bytes(path: Path) -> bytes:
    """The first bytes of a file, enough to tell what it is."""
    try:
        with path.open("rb") as stream:
            return stream.read(512)
    except OSError as error:
        raise CvaError(f"{path} cannot be read: {error}") from error


def is_workbook(path: Path) -> bool:
    """Whether a file is a workbook: .xlsx, .xlsb, .ods or the old .xls."""
    start = first_bytes(path)
    if start.startswith(OLD_EXCEL):
        return True
    if not start.startswith(ZIP):
        return False
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        if any(name.startswith("xl/workbook") for name in names):
            return True
        return "mimetype" in names and b"opendocument.spreadsheet" in archive.read("mimetype")


def refuse_others(file: Path, start: bytes) -> None:
    """Raises CvaError if `start` begins a file that has no rows of text."""
    for magic, kind in OTHERS.items():
        if start.startswith(magic):
            raise CvaError(f"{file} is {kind}; expected CSV, a workbook, JSON or Parquet")
    if start.lstrip(b"\xef\xbb\xbf \r\n\t").lower().startswith(MARKUP):
        raise CvaError(f"{file} is a page of HTML or XML; save it as .xlsx or CSV")


def _unzip(file: Path, path: Path, options: ReadOptions, inner: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        names = [info.filename for info in archive.infolist() if _holds_data(info)]
        if not names:
            raise CvaError(f"{file} holds no file with data")
        name = names[0] if len(names) == 1 else pick_part(file, "files", names, options)
        with archive.open(name) as stream, inner.open("wb") as copy:
            shutil.copyfileobj(stream, copy, 1 << 20)
    return f"file {shortened(name)} of the archive"


def _holds_data(info: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(info.filename).parts
    hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
    return not info.is_dir() and not hidden and info.file_size > 0


def pick_part(file: Path, kind: str, names: list[str], options: ReadOptions) -> str:
    """The one of `names` that --sheet names; without it UsageError, as there are several."""
    if options.sheet is not None:
        wanted = options.sheet.lower()
        found = [name for name in names if name.lower() == wanted]
        found = found or [n for n in names if n.lower().rsplit("/", 1)[-1] == wanted]
        if len(found) == 1:
            return found[0]
        raise UsageError(
            f"--sheet {shortened(options.sheet)}: {file} has the {kind} {listed(names)}"
        )
    raise UsageError(
        f"{file} has data in {len(names)} {kind}: {listed(names)}; name one, e.g. --sheet"
        f" {_shell_word(names[0])}"
    )


def _shell_word(name: str) -> str:
    return name if name.replace("_", "").replace(".", "").isalnum() else f"'{shortened(name)}'"
