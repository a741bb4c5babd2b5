"""Where trained models live and which of them scores."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.files import unfinished, write_atomic, written_to
from cva_sql.cli.shop.tables import write_table
from cva_sql.udfs.errors import ModelError, UsageError
from cva_sql.udfs.manifest import MANIFEST_FILE, MODEL_FILE, Manifest, read_manifest, read_model
from cva_sql.udfs.model_files import check_inside, is_plain_name, parse_object
from cva_sql.udfs.sessions import DEPLOYED_FILE, VALUE, deployed_folder, deployed_versions

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop

DEPLOYED_COLUMNS = {
    "kind": ("varchar", "kind of model"),
    "version": ("varchar", "the version that scores"),
    "horizon_days": ("integer", "length of its forecast; null for one that takes any"),
}
DEPLOYMENTS_FILE = "deployments.jsonl"  # what was deployed before, a line a change


def store_model(
    models_dir: Path, data: bytes, manifest: Manifest, beside: Mapping[str, bytes] | None = None
) -> Path:
    """`models_dir/<kind>/<version>` with model and manifest; it appears complete or not at all.

    `beside` are further files for the folder, by name.

    What was stored never changes: scores depend on the manifest too. The version has the model's
    hash in it; the same model with another manifest becomes `<version>-2` and so on. The manifest
    in the folder says which. A folder whose files are broken is mended.
    """
    root = models_dir / manifest.name
    for number in count(1):
        version = manifest.version if number == 1 else f"{manifest.version}-{number}"
        kept = replace(manifest, version=version)
        final = root / version
        check_inside(final)
        former = _sound_manifest(final)
        if former is None or former.to_json() == kept.to_json():
            break
    files = {**(beside or {}), MODEL_FILE: data, MANIFEST_FILE: kept.to_json().encode()}
    with written_to(root):
        if final.is_dir():
            _write(final, files if former is None else {MANIFEST_FILE: files[MANIFEST_FILE]})
            return final
        root.mkdir(parents=True, exist_ok=True)
        work = unfinished(final)
        try:
            work.mkdir()
            _write(work, files)
            work.rename(final)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return final


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        write_atomic(folder / name, content)


def _sound_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder whose files are the manifest's; None for others or none."""
    from cva_sql.udfs.members import check_files

    try:
        manifest = read_manifest(folder)
        check_files(folder, manifest)
    except ModelError:
        return None
    return manifest


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


def deployed_version(models_dir: Path, kind: str = VALUE) -> str | None:
    """The version of a trained model that scores; None where there is none."""
    return _deployed(models_dir).get(kind)


def version_before(models_dir: Path, kind: str = VALUE) -> str | None:
    """The version that scored before the one that does now, None for the packaged rule.

    Raises UsageError where nothing else ever did.
    """
    now = deployed_version(models_dir, kind)
    for versions in reversed(_deployments(models_dir)):
        if versions.get(kind) != now:
            return versions.get(kind)
    raise UsageError(
        f"no other model of kind {kind} was deployed before; choose one of cva models list"
    )


def _deployments(models_dir: Path) -> list[dict[str, str]]:
    """What was deployed, by and by, the newest last; lines that cannot be read are none."""
    try:
        lines = _written(models_dir / DEPLOYMENTS_FILE).decode().splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    found = []
    for line in lines:
        try:
            found.append(_plain(parse_object(line)["deployed"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return found


def _deployed(models_dir: Path) -> dict[str, str]:
    """What is deployed; nothing where the file is broken: the next deployment mends it."""
    try:
        return _plain(deployed_versions(models_dir))
    except ModelError:
        return {}


def _plain(versions: Mapping[Any, Any]) -> dict[str, str]:
    """Those of the kinds and versions that can be names of folders: others were never deployed."""
    return {str(k): str(v) for k, v in versions.items() if is_plain_name(k) and is_plain_name(v)}


def _point(models_dir: Path, versions: Mapping[str, str]) -> None:
    pointer, before = models_dir / DEPLOYED_FILE, _deployed(models_dir)
    with written_to(models_dir):
        if versions != before:
            _remember(models_dir, before)
        if not versions:
            pointer.unlink(missing_ok=True)
        else:
            write_atomic(pointer, (json.dumps(versions, indent=2) + "\n").encode())


def _remember(models_dir: Path, versions: Mapping[str, str]) -> None:
    """Adds what was deployed until now to the list of deployments."""
    models_dir.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"until": datetime.now(UTC).isoformat(), "deployed": versions})
    file = models_dir / DEPLOYMENTS_FILE
    write_atomic(file, _written(file) + line.encode() + b"\n")


def _written(file: Path) -> bytes:
    """What a list of ours has so far; a link is none of ours."""
    return file.read_bytes() if file.is_file() and not file.is_symlink() else b""


def note_deployed(shop: ResolvedShop, command: str, strategy: str | None = None) -> None:
    """Writes table cva_deployed_models: kind, version and horizon_days of what scores.

    For dbt without our functions, which has no other way to know the horizon. What changed in the
    folder since it was last looked at gets its rows in cva_model_audit, as done by `command`.
    """
    from cva_sql.cli.shop.audit import note_changes

    note_changes(shop, command, strategy)
    rows = []
    for kind, version in _deployed(shop.models_dir).items():
        try:
            manifest = read_manifest(deployed_folder(shop.models_dir, kind))
        except ModelError:
            continue
        rows.append({"kind": kind, "version": version, "horizon_days": manifest.horizon_days})
    write_table(shop, "cva_deployed_models", DEPLOYED_COLUMNS, rows, f"{shop.schema}_cva")


def require_target(shop: ResolvedShop) -> None:
    """Raises UsageError where the deployed value model predicts another thing than `cva_target`."""
    from cva_sql.udfs.target import target_problem

    problem = target_problem(shop.models_dir, shop.target)
    if problem:
        raise UsageError(problem)


def exported_files(folder: Path) -> dict[str, bytes]:
    """A model's file and manifest by name, without ids that old manifests have.

    What its members say apart stays in the shop: the manifest names no file that is not beside it.
    """
    manifest = replace(read_manifest(folder), members=None)
    model = read_model(folder, manifest)
    return {MODEL_FILE: model, MANIFEST_FILE: manifest.to_json().encode()}
