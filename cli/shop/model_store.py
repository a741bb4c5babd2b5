"""Where trained models live and which of them scores."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from cva_sql.udfs.errors import CvaError, ModelError
from cva_sql.udfs.manifest import MANIFEST_FILE, MODEL_FILE, Manifest
from cva_sql.udfs.sessions import DEPLOYED_FILE, VALUE, deployed_versions


def write_atomic(path: Path, data: bytes) -> None:
    """Writes a file by renaming a finished copy onto it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def store_model(models_dir: Path, data: bytes, manifest: Manifest) -> Path:
    """`models_dir/<kind>/<version>` with model and manifest; it appears complete or not at all.

    The version has the model's hash in it, so a folder of that name has the same model; what else
    is known of it now takes the place of what was.
    """
    root = models_dir / manifest.name
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


def deploy(models_dir: Path, version: str, kind: str = VALUE) -> None:
    """Lets this version of a kind score from now on; other kinds' models go on as they do."""
    _point(models_dir, {**_deployed(models_dir), kind: version})


def withdraw(models_dir: Path, kind: str = VALUE) -> bool:
    """Lets no trained model of this kind score: of the value models the packaged rule does again.

    Says whether one had been deployed.
    """
    versions = _deployed(models_dir)
    _point(models_dir, {name: version for name, version in versions.items() if name != kind})
    return kind in versions


def _deployed(models_dir: Path) -> dict[str, str]:
    """What is deployed; nothing where the file is broken: the next deployment mends it."""
    try:
        return deployed_versions(models_dir)
    except ModelError:
        return {}


def _point(models_dir: Path, versions: Mapping[str, str]) -> None:
    pointer = models_dir / DEPLOYED_FILE
    if not versions:
        pointer.unlink(missing_ok=True)
        return
    write_atomic(pointer, (json.dumps(versions, indent=2) + "\n").encode())


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
