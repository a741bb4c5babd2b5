"""Where taught encoders lie, which of them reads, and the way back.

A taught encoder is a folder `encoder_candidates/<key>` among the shop's models and never changes.
To deploy one copies it to `encoder`, which a run reads by; what was there before is kept among the
candidates, whoever made it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from cva_sql.cli.shop.encoder_place import ENCODER, PACKAGED, PARKED, WANTED, mend
from cva_sql.cli.shop.files import unfinished, write_atomic, written_to
from cva_sql.udfs.encoder import (
    MANIFEST_FILE,
    EncoderManifest,
    load_encoder,
    packaged_manifest,
    read_encoder_manifest,
)
from cva_sql.udfs.encoder_tiers import EXACT, encoder_folder
from cva_sql.udfs.errors import CvaError, ModelError, UsageError
from cva_sql.udfs.model_files import is_plain_name

CANDIDATES = "encoder_candidates"


def candidate_folder(models_dir: Path, key: str) -> Path:
    """Where the encoder of this key is kept."""
    return models_dir / CANDIDATES / key


def store_candidate(models_dir: Path, key: str, files: Mapping[str, bytes]) -> Path:
    """The folder with these files; it appears complete or not at all."""
    final = candidate_folder(models_dir, key)
    with written_to(final.parent):
        if (final / MANIFEST_FILE).is_file():
            for name, data in files.items():
                write_atomic(final / name, data)
            return final
        final.parent.mkdir(parents=True, exist_ok=True)
        work = unfinished(final)
        try:
            work.mkdir()
            for name, data in files.items():
                write_atomic(work / name, data)
            work.rename(final)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return final


def candidates(models_dir: Path) -> list[str]:
    """The keys of those that are kept, by name."""
    root = models_dir / CANDIDATES
    if not root.is_dir():
        return []
    found = sorted(one.name for one in root.iterdir() if (one / MANIFEST_FILE).is_file())
    return [name for name in found if is_plain_name(name)]


def put_in_place(models_dir: Path, key: str, tier: str = EXACT) -> EncoderManifest:
    """Lets the candidate of this key read from now on, or the packaged one of a tier; its manifest.

    The packaged one is known by its key as well. What was in `encoder` is kept as a candidate
    first. Raises UsageError for a key that is not there, ModelError for one whose files are not its
    manifest's, CvaError for an `encoder` that nobody can tell what it is.
    """
    if key not in candidates(models_dir) and key == packaged_manifest(tier).key:
        key = PACKAGED
    source = candidate_folder(models_dir, key)
    if key != PACKAGED:
        if key not in candidates(models_dir):
            known = ", ".join([*candidates(models_dir), PACKAGED])
            raise UsageError(f"--deploy {key[:80]}: there is no such encoder; there are: {known}")
        load_encoder(source, read_encoder_manifest(source).key)
    own = models_dir / ENCODER
    with written_to(models_dir):
        mend(models_dir)
        former = _keep_former(models_dir)
        if key != PACKAGED and former == read_encoder_manifest(source).key:
            return read_encoder_manifest(own)
        work = unfinished(own)
        try:
            if key != PACKAGED:
                shutil.copytree(source, work)
            if key != PACKAGED or former is not None:
                _swap(models_dir, work, key, is_former=former is not None)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return read_encoder_manifest(encoder_folder(models_dir, tier))


def _swap(models_dir: Path, work: Path, key: str, *, is_former: bool) -> None:
    """Renames `work` to the encoder that reads; for the packaged one nothing takes its place.

    The key is written first, so that a kill between two names leaves no doubt of it.
    """
    own, parked, wanted = (models_dir / name for name in (ENCODER, PARKED, WANTED))
    write_atomic(wanted, f"{key}\n".encode())
    try:
        if is_former:
            own.rename(parked)
        if key != PACKAGED:
            work.rename(own)
    except OSError:
        mend(models_dir)
        raise
    shutil.rmtree(parked, ignore_errors=True)
    if not parked.exists():
        wanted.unlink(missing_ok=True)


def _keep_former(models_dir: Path) -> str | None:
    """Keeps a copy of the encoder in use among the candidates; its key, None for the packaged."""
    own = models_dir / ENCODER
    if own.is_symlink():
        raise CvaError(f"{own} is a link, which cva does not write through; remove it")
    if not own.exists():
        return None
    try:
        key = read_encoder_manifest(own).key
    except ModelError as error:
        raise CvaError(f"{error}; or move the folder away: it is not overwritten") from None
    kept = candidate_folder(models_dir, key)
    if not (kept / MANIFEST_FILE).is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        work = unfinished(kept)
        try:
            shutil.copytree(own, work)
            work.rename(kept)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return key
