"""The mark by which a workbook is known as what cva wrote, unchanged, of one database."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

from cva_sql.udfs.errors import UsageError

CORE = "docProps/core.xml"  # where a workbook says who made it; the mark is in it
CREATED = re.compile(r"<dcterms:created[^>]*>([^<]*)</dcterms:created>")
MODIFIED = re.compile(r"(<dcterms:modified[^>]*>)[^<]*(</dcterms:modified>)")
MARK = re.compile(r"<dc:identifier>cva publish ([^<]+) ([0-9a-f]{64})</dc:identifier>")
END = "</cp:coreProperties>"
EPOCH = (1980, 1, 1, 0, 0, 0)  # of each part, so that the same tables give the same bytes
MOST = 100_000  # bytes of that part that are read


def sealed(data: bytes, owner: str) -> bytes:
    """The workbook with the mark in it: the database, and a digest of all else."""
    from xml.sax.saxutils import escape

    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as former,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book,
    ):
        for part in former.infolist():
            if part.filename != CORE:
                book.writestr(_named(part.filename), former.read(part))
        core = former.read(CORE).decode()
        created = CREATED.search(core)
        core = MODIFIED.sub(rf"\g<1>{created[1] if created else ''}\g<2>", core)
        name = escape(owner)
        mark = f"<dc:identifier>cva publish {name} {_digest(name, book.infolist())}</dc:identifier>"
        if "xmlns:dc=" not in core:
            mark = mark.replace(">", ' xmlns:dc="http://purl.org/dc/elements/1.1/">', 1)
        book.writestr(_named(CORE), core.replace(END, mark + END))
    return out.getvalue()


def refuse_other(out: Path, owner: str, *, is_to_adopt: bool) -> None:
    """Raises UsageError where a file is there that is no workbook of the database as cva wrote it.

    One of another database is taken where `is_to_adopt`.
    """
    if out.is_symlink():
        raise UsageError(f"--to {out} is a link; name the file itself")
    if not out.exists():
        return
    other = _other_than(out, owner)
    if other is None or (is_to_adopt and other.startswith("is of another database")):
        return
    raise UsageError(f"--to {out} {other}; move it away, or name another file")


def _other_than(out: Path, owner: str) -> str | None:
    """What the file is instead; None where it is a workbook of the database as cva wrote it."""
    from xml.sax.saxutils import unescape

    try:
        with zipfile.ZipFile(out) as book, book.open(CORE) as core:
            mark = MARK.search(core.read(MOST).decode())
            parts = [part for part in book.infolist() if part.filename != CORE]
    except (zipfile.BadZipFile, KeyError, UnicodeError, NotImplementedError, RuntimeError):
        mark = None
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if mark is None:
        return "is no workbook of cva's, or was changed since cva wrote it"
    if _digest(mark[1], parts) != mark[2]:
        return "was changed since cva wrote it"
    if unescape(mark[1]) != owner:
        return (
            f"is of another database, {unescape(mark[1])}, and this is {owner}: if it was renamed"
            " or moved, say --adopt"
        )
    return None


def _named(name: str) -> zipfile.ZipInfo:
    part = zipfile.ZipInfo(name, EPOCH)
    part.compress_type = zipfile.ZIP_DEFLATED
    part.external_attr = 0o644 << 16
    return part


def _digest(name: str, parts: Iterable[zipfile.ZipInfo]) -> str:
    said = [f"{part.filename}\t{part.CRC}\t{part.file_size}" for part in parts]
    return hashlib.sha256("\n".join([name, *sorted(said)]).encode()).hexdigest()
