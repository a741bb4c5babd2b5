"""Reads the files of a model's folder; whatever is wrong with one is a ModelError in one line."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, NoReturn

from cva_sql.udfs.errors import ModelError

PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")  # a name that is no path and no option


def is_plain_name(name: object) -> bool:
    """Whether a version or kind can be the name of a folder, and of nothing else."""
    return isinstance(name, str) and PLAIN.fullmatch(name) is not None


def read_file(path: Path, remedy: str) -> bytes:
    """The bytes of a file; raises ModelError, with the remedy, where it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path} is missing; {remedy}") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}); {remedy}") from None


def read_checked(path: Path, sha256: str, remedy: str) -> bytes:
    """The bytes of a file whose manifest says this hash; raises ModelError where it has another."""
    data = read_file(path, remedy)
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        raise ModelError(
            f"{path} has sha256 {digest[:12]}…, its manifest says {sha256[:12]}…; {remedy}"
        )
    return data


def read_text_file(path: Path, what: str, remedy: str) -> str:
    """The UTF-8 text of a file that should be `what`; raises ModelError as `read_file` does."""
    try:
        return read_file(path, remedy).decode()
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is not {what} ({error}); {remedy}") from None


def parse_object(text: str) -> dict[str, Any]:
    """The JSON object in a text; raises ValueError where it is something else.

    NaN and infinity are not JSON, and Python gives up on what is nested too deeply.
    """
    try:
        found = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"{type(found).__name__}, expected an object")
    return found


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def check_inside(folder: Path, names: tuple[str, ...] = ()) -> None:
    """Raises ModelError where a model's folder, or one of its files, is a link to elsewhere."""
    for path in (folder.parent, folder, *(folder / name for name in names)):
        if path.is_symlink():
            raise ModelError(f"{path} is a link; put the model's own folder and files there")
