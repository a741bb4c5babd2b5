"""Where trained models live and which of them scores."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from cva_sql.udfs.errors import CvaError
from cva_sql.udfs.manifest import MANIFEST_FILE, MODEL_FILE, Manifest
from cva_sql.udfs.sessions import DEPLOYED_FILE


def write_atomic(path: Path, data: bytes) -> None:
    """Writes a file by renaming a finished copy onto it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def store_model(models_dir: Path, data: bytes, manifest: Manifest) -> Path:
    """`models_dir/value/<version>` with model and manifest; it appears complete or not at all.

    The version has the model's hash in it, so a folder of that name has the same model; what else
    is known of it now takes the place of what was.
    """
    root = models_dir / "value"
    final = root / manifest.version
    try:
        if final.exists():
            write_atomic(final / MANIFEST_FILE, manifest.to_json().encode())
            return final
        root.mkdir(parents=True, exist_ok=True)
        work = root / f".{manifest.version}.{os.getpid()}"
        work.mkdir()
        write_atomic(work / MODEL_FILE, data)
        write_atomic(work / MANIFEST_FILE, manifest.to_json().encode())
        work.rename(final)
    except OSError as error:
        raise CvaError(f"the model cannot be written to {root}: {error.strerror}") from None
    return final


def deploy(models_dir: Path, version: str) -> None:
    """Lets this version score from now on."""
    text = json.dumps({"value": version}, indent=2) + "\n"
    write_atomic(models_dir / DEPLOYED_FILE, text.encode())


def withdraw(models_dir: Path) -> bool:
    """Lets the packaged rule score again; says whether a model had been deployed."""
    pointer = models_dir / DEPLOYED_FILE
    existed = pointer.exists()
    pointer.unlink(missing_ok=True)
    return existed


def write_files(out: Path, files: Mapping[str, bytes]) -> None:
    """Writes files by name into `out`, each whole or not at all, the manifest last."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in sorted(files, key=lambda name: name == MANIFEST_FILE):
            write_atomic(out / name, files[name])
    except OSError as error:
        raise CvaError(f"{out} cannot be written: {error.strerror}") from None


def copy_model(folder: Path, out: Path) -> None:
    """Copies a model folder's two files into `out`."""
    write_files(out, {name: (folder / name).read_bytes() for name in (MODEL_FILE, MANIFEST_FILE)})
