"""The mark by which a report is known as what cva wrote, unchanged, of one database."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

PLACE = '<meta charset="utf-8">\n'  # the mark comes after it
MARK = re.compile(rb'<meta name="cva-report" content="(\S{1,800}) ([0-9a-f]{64})">\n')
HEAD_BYTES = 2000  # the mark is in them
TITLE = b"<title>Customer value: "  # in what any version wrote


def marked(page: str, db: Path) -> str:
    """The page with a mark that names the database and has the digest of all else."""
    name = _name(db)
    digest = _digest(name.encode(), page.encode())
    mark = f'<meta name="cva-report" content="{name} {digest}">\n'
    return page.replace(PLACE, PLACE + mark, 1)


def other_than(file: BinaryIO, db: Path) -> str | None:
    """What a page is instead of a report on the database as cva wrote it; None where it is one."""
    head = file.read(HEAD_BYTES)
    found = MARK.search(head)
    if found is None:
        if TITLE in head:
            return "has no mark of cva's, as reports of former versions have none"
        return "is no report of cva's"
    name, digest = found.groups()
    page = head + file.read()
    if _digest(name, page[: found.start()] + page[found.end() :]) != digest.decode():
        return "was changed since cva wrote it"
    if name != _name(db).encode():
        return f"is the report on another database, {name.decode()}"
    return None


def _name(db: Path) -> str:
    """The name of the database's file in letters that HTML leaves as they are."""
    return quote(os.fsencode(db.resolve().name))


def _digest(name: bytes, page: bytes) -> str:
    return hashlib.sha256(name + b"\n" + page).hexdigest()
