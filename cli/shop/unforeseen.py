"""What a person is told of an error that nobody foresaw: one line, and where the rest of it is."""

from __future__ import annotations

import errno
import os
import tempfile
import traceback

from cva_sql.cli.shop.expressions import shortened


def unforeseen(error: BaseException) -> str:
    """The error in one line, with the file that has its traceback."""
    return f"{_reason(error)} ({_logged(error)})"


def too_long(error: BaseException) -> str | None:
    """What is wrong with a path that no file system has room for, which any option may be."""
    if not isinstance(error, OSError) or error.errno != errno.ENAMETOOLONG:
        return None
    name = shortened(os.fsdecode(error.filename or ""))
    return f"{name!r} is too long for the name of a file; give a shorter one"


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f"{os.fsdecode(error.filename)}: " if error.filename is not None else ""
        return f"{where}{error.strerror}"
    if isinstance(error, MemoryError):
        return "the memory does not suffice"
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {shortened(first)}".removesuffix(": ")


def _logged(error: BaseException) -> str:
    """Where the traceback was written: a file of this user's alone, as it may quote the data."""
    from importlib.metadata import version

    text = f"cva-sql {version('cva-sql')}\n{''.join(traceback.format_exception(error))}"
    try:
        handle, path = tempfile.mkstemp(prefix="cva-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as full:
        return f"a log could not be written: {full.strerror}"
    return f"the whole of it: {path}"
