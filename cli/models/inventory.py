"""The models in a folder: which there are, which scores, whether each file is intact."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.files import size_of
from cva_sql.udfs.errors import ModelError, UsageError
from cva_sql.udfs.model_files import check_inside, is_plain_name

if TYPE_CHECKING:
    from cva_sql.udfs.encoder import EncoderManifest
    from cva_sql.udfs.projection import TextProjection
    from cva_sql.udfs.rating import RatingHead

FIGURES = ("ngini", "spearman", "mae", "d2_tweedie")
UNREAD = {"score_reference", "distributions"}  # of a manifest: too long to be read
RULE, ENCODER = "rule", "encoder"
CANDIDATES = "encoder_candidates"  # of `cva finetune`, no models that score


@dataclass(frozen=True)
class Model:
    """A model on disk; `problem` says why it cannot be read, and the rest is then unknown.

    `kind` is the candidate that a value model is, `rule`, or another kind's name. `as_of` is None
    for the packaged rule, `horizon_days` where it takes any. `figures` are those of FIGURES that it
    was validated with. `bytes` counts model and manifest.
    """

    version: str
    kind: str
    as_of: str | None
    horizon_days: int | None
    is_deployed: bool
    figures: dict[str, float]
    bytes: int
    folder: str
    problem: str | None = None


def value_models(models_dir: Path) -> list[Model]:
    """The trained value models, the newest `as_of` first, and the packaged rule last."""
    from cva_sql.udfs.sessions import VALUE, baseline_folder

    rule = _read(baseline_folder(), _deployed(models_dir, VALUE))
    return [*_trained(models_dir, VALUE), rule]


def other_models(models_dir: Path) -> dict[str, list[Model]]:
    """Kind -> its trained models, the newest first, of all kinds but the value model."""
    from cva_sql.udfs.sessions import VALUE

    kinds = [name for name in _folders(models_dir) if name not in (VALUE, ENCODER, CANDIDATES)]
    found = {kind: _trained(models_dir, kind) for kind in kinds}
    return {kind: models for kind, models in found.items() if models}


def _trained(models_dir: Path, kind: str) -> list[Model]:
    deployed = _deployed(models_dir, kind)
    root = models_dir / kind
    found = [_read(root / name, deployed) for name in _folders(root)]
    found.sort(key=lambda model: (model.as_of or "", model.version), reverse=True)
    return found


def _folders(root: Path) -> list[str]:
    """The names of a folder's folders, none where it is not there; raises ModelError."""
    try:
        return sorted(p.name for p in root.iterdir() if p.is_dir() and is_plain_name(p.name))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ModelError(f"{root} cannot be read: {error.strerror}") from None


def _deployed(models_dir: Path, kind: str) -> Path | None:
    """The folder of what scores; None where nothing does or `deployed.json` cannot be read."""
    from cva_sql.udfs.sessions import deployed_folder

    try:
        return deployed_folder(models_dir, kind)
    except ModelError:
        return None


def _read(folder: Path, deployed: Path | None) -> Model:
    from cva_sql.udfs.manifest import MANIFEST_FILE, MODEL_FILE, check_place, read_manifest
    from cva_sql.udfs.sessions import baseline_folder

    size = _bytes(folder)
    is_deployed = folder == deployed
    try:
        if folder != baseline_folder():
            check_inside(folder, (MODEL_FILE, MANIFEST_FILE))
        manifest = read_manifest(folder)
        if folder != baseline_folder():
            check_place(folder, manifest)
            check_inside(folder, manifest.files)
    except ModelError as error:
        return Model(
            folder.name, "?", None, None, is_deployed, {}, size, str(folder), problem=str(error)
        )
    kind = RULE if manifest.is_baseline else str(manifest.training.get("kind", "?"))
    figures = manifest.evaluation.get("scores", {}).get(kind, {})
    return Model(
        manifest.version,
        kind,
        manifest.training.get("as_of"),
        manifest.horizon_days,
        is_deployed,
        {name: figures[name] for name in FIGURES if figures.get(name) is not None},
        size,
        str(folder),
    )


def _bytes(folder: Path) -> int:
    try:
        return size_of(folder.iterdir())
    except OSError as error:
        raise ModelError(f"{folder} cannot be read: {error.strerror}") from None


def chosen_model(models_dir: Path, version: str | None) -> Model:
    """The model of this version, of whatever kind; without one, the value model that scores."""
    found = value_models(models_dir)
    others = [model for models in other_models(models_dir).values() for model in models]
    if version is None:
        from cva_sql.udfs.sessions import deployed_folder

        folder = deployed_folder(models_dir)
        version = folder.name if folder.parent == models_dir / "value" else found[-1].version
    known = [model.version for model in (*found, *others)]
    version = version if version in known else _newest(models_dir, version)
    for model in (*found, *others):
        if version == model.version:
            return model
    raise UsageError(
        f"there is no model {version}; there are: {', '.join([*known, ENCODER])} (cva models list)"
    )


def _newest(models_dir: Path, name: str) -> str:
    """The version of the added model of this name; the name itself where there is none."""
    from cva_sql.cli.train.added import added_models

    added = added_models(models_dir).get(name)
    return added.version if added else name


def model_details(model: Model) -> tuple[dict[str, Any], ModelError | None]:
    """What the manifest says and whether its files are its; what is wrong with them, if anything.

    The training reference and distributions are left out, and of a text projection the numbers.
    """
    from cva_sql.udfs.manifest import OUTPUTS, read_manifest
    from cva_sql.udfs.members import check_files

    manifest = read_manifest(Path(model.folder))
    problem = None
    try:
        check_files(Path(model.folder), manifest)
    except ModelError as error:
        problem = error
    training = {k: v for k, v in manifest.training.items() if k not in UNREAD}
    named = {"outputs": list(manifest.outputs)} if manifest.outputs != OUTPUTS else {}
    return {
        "version": model.version,
        "is_deployed": model.is_deployed,
        "folder": model.folder,
        "bytes": model.bytes,
        "sha256": manifest.sha256,
        "is_sha256_verified": problem is None,
        "horizon_days": manifest.horizon_days,
        "training": training,
        "text_projection": _projection(manifest.text_projection),
        "words_projection": _projection(manifest.words_projection),
        "rating_head": _head(manifest.rating_head),
        "features": [feature.name for feature in manifest.features],
        **named,
        "evaluation": manifest.evaluation,
    }, problem


def _projection(projection: TextProjection | None) -> dict[str, Any] | None:
    if projection is None:
        return None
    return {"components": len(projection.components), "encoder_key": projection.encoder_key}


def _head(head: RatingHead | None) -> dict[str, Any] | None:
    return None if head is None else {"terms": len(head.terms), "encoder_key": head.encoder_key}


def _encoder(models_dir: Path, tier: str) -> tuple[EncoderManifest, Path]:
    from cva_sql.udfs.encoder import read_encoder_manifest
    from cva_sql.udfs.encoder_tiers import encoder_folder

    folder = encoder_folder(models_dir, tier)
    return read_encoder_manifest(folder), folder


def encoder_summary(models_dir: Path, tier: str) -> dict[str, Any]:
    manifest, folder = _encoder(models_dir, tier)
    return {
        "key": manifest.key,
        "name": manifest.source,
        "dimension": manifest.dimension,
        "bytes": _bytes(folder),
        "is_own": folder.parent == models_dir,
        "folder": str(folder),
    }


def encoder_details(models_dir: Path, tier: str) -> tuple[dict[str, Any], ModelError | None]:
    from cva_sql.udfs.encoder import MODEL_FILE, TOKENIZER_FILE

    manifest, folder = _encoder(models_dir, tier)
    expected = {MODEL_FILE: manifest.sha256, TOKENIZER_FILE: manifest.tokenizer_sha256}
    problem = None
    for name, digest in expected.items():
        path = folder / name
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
        if found != digest:
            problem = ModelError(
                f"{path} has sha256 {found[:12]}…, its manifest says {digest[:12]}…; "
                f"write it anew with: cva export-model encoder --out {folder}"
            )
    summary = encoder_summary(models_dir, tier)
    del summary["name"]
    return {
        **summary,
        "is_sha256_verified": problem is None,
        **json.loads(manifest.to_json()),
    }, problem
