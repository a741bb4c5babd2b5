"""Writes a model's files into a folder, over a former export alone."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from cva_sql.cli.shop.files import LAST, write_files
from cva_sql.udfs.encoder import TOKENIZER_FILE, read_encoder_manifest
from cva_sql.udfs.errors import ModelError, UsageError
from cva_sql.udfs.manifest import MODEL_FILE, read_manifest


def write_export(out: Path, files: Mapping[str, bytes]) -> None:
    """Writes the files; raises UsageError where one would replace what no export wrote."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; expected a folder")
    there = {name: _read(out / name) for name in files if os.path.lexists(out / name)}
    exported = _exported(out) if LAST in there else {}
    ours = {
        name
        for name, data in there.items()
        if data == files[name] or hashlib.sha256(data).hexdigest() == exported.get(name)
    }
    if exported and MODEL_FILE in ours:  # the model that a manifest names is beside it
        ours.add(LAST)
    for name in there:
        if name not in ours:
            raise _not_ours(out / name)
    write_files(out, files)


def _read(path: Path) -> bytes:
    if path.is_symlink():
        raise _not_ours(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; name another --out") from None


def _exported(out: Path) -> dict[str, str]:
    """The hashes in the manifest of a model or an encoder, by file; empty where it is neither."""
    try:
        return {MODEL_FILE: read_manifest(out).sha256}
    except ModelError:
        pass
    try:
        encoder = read_encoder_manifest(out)
    except ModelError:
        return {}
    return {MODEL_FILE: encoder.sha256, TOKENIZER_FILE: encoder.tokenizer_sha256}


def _not_ours(path: Path) -> UsageError:
    return UsageError(f"{path} is of no export of cva's; name another folder: --out")
