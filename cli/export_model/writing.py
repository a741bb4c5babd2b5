"""Writes a model's files into a folder, over a former export alone."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cva_sql.cli.shop.files import LAST, write_files
from cva_sql.udfs.errors import UsageError

HASHES = ("sha256", "tokenizer_sha256")  # in every manifest: of the files beside it


def write_export(out: Path, files: Mapping[str, bytes]) -> None:
    """Writes the files; raises UsageError where one would replace what no export wrote."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; expected a folder")
    manifest = _manifest(out / LAST)
    known = {str(manifest[name]) for name in HASHES if name in manifest}
    for name, data in files.items():
        path = out / name
        if not os.path.lexists(path):
            continue
        try:
            found = b"" if path.is_symlink() else path.read_bytes()
        except OSError as error:
            raise UsageError(
                f"{path} cannot be read: {error.strerror}; name another --out"
            ) from None
        is_ours = bool(known) if name == LAST else hashlib.sha256(found).hexdigest() in known
        if path.is_symlink() or not (found == data or is_ours):
            raise UsageError(f"{path} is of no export of cva's; name another folder: --out")
    write_files(out, files)


def _manifest(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
