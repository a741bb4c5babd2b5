"""`cva models`: what is there to score and to read with, and what is known of it."""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cva_sql.cli.options import DEFAULT_DB, Json, ModelsDir, ShopDb
from cva_sql.cli.own_project import find_project, read_project
from cva_sql.udfs.errors import ModelError, UsageError

if TYPE_CHECKING:
    from cva_sql.udfs.encoder import EncoderManifest
    from cva_sql.udfs.manifest import Manifest

models = typer.Typer(
    name="models",
    help="The trained value models, the packaged rule and the text encoder.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
FIGURES = ("ngini", "spearman", "mae", "d2_tweedie")
RULE, ENCODER = "rule", "encoder"
WIDTH = 100


@dataclass(frozen=True)
class Model:
    """A value model on disk; `problem` says why it cannot be read, and the rest is then unknown.

    `as_of` is None for the packaged rule, `horizon_days` where it takes any. `figures` are those of
    FIGURES that it was validated with. `bytes` counts model and manifest.
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


@models.command("list")
def list_models(db: ShopDb = None, models_dir: ModelsDir = None, as_json: Json = False) -> None:
    """List the trained models, the packaged rule and the encoder; * marks what scores."""
    folder = _models_dir(db, models_dir)
    found = value_models(folder)
    encoder = _encoder_summary(folder)
    if as_json:
        print(json.dumps({"value": [asdict(model) for model in found], "encoder": encoder}))
        return
    print("\n".join(_table(found)))
    print(
        f"* {'encoder ' + encoder['key']:<30}{encoder['name']}, {encoder['dimension']} numbers a "
        f"text, {_size(encoder['bytes'])}, {'own' if encoder['is_own'] else 'packaged'}"
    )


@models.command("info")
def info(
    version: Annotated[
        str | None,
        typer.Argument(
            help="A version that `cva models list` shows, or encoder. Default: what scores.",
            show_default=False,
        ),
    ] = None,
    db: ShopDb = None,
    models_dir: ModelsDir = None,
    as_json: Json = False,
) -> None:
    """Show what is known of a model, and check that its file is the one that was evaluated."""
    folder = _models_dir(db, models_dir)
    if version == ENCODER:
        details, problem = _encoder_details(folder)
    else:
        details, problem = _value_details(_chosen(folder, version))
    if as_json:
        print(json.dumps(details))
    else:
        print("\n".join(_readable(details)))
    if problem is not None:
        raise problem


def _models_dir(db: Path | None, models_dir: Path | None) -> Path:
    """Where the models lie; no database has to be there to look at them."""
    if models_dir is not None:
        return models_dir
    root = find_project(Path()) if db is None else None
    return read_project(root).models_dir if root else (db or DEFAULT_DB).parent / "cva_models"


def value_models(models_dir: Path) -> list[Model]:
    """The trained models, the newest `as_of` first, and the packaged rule last."""
    from cva_sql.udfs.sessions import baseline_folder

    deployed = _deployed(models_dir)
    root = models_dir / "value"
    folders = [p for p in root.iterdir() if p.is_dir()] if root.is_dir() else []
    found = [_read(p, deployed) for p in folders if not p.name.startswith(".")]
    found.sort(key=lambda model: (model.as_of or "", model.version), reverse=True)
    return [*found, _read(baseline_folder(), deployed)]


def _deployed(models_dir: Path) -> Path | None:
    """The folder of what scores; None where `deployed.json` cannot be read."""
    from cva_sql.udfs.sessions import deployed_folder

    try:
        return deployed_folder(models_dir)
    except ModelError:
        return None


def _read(folder: Path, deployed: Path | None) -> Model:
    from cva_sql.udfs.manifest import read_manifest

    size = _bytes(folder)
    is_deployed = folder == deployed
    try:
        manifest = read_manifest(folder)
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
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def _table(found: Sequence[Model]) -> list[str]:
    head = ("version", "as of", "days", "kind", *FIGURES, "size")
    rows = [
        (
            model.version,
            model.as_of or "",
            str(model.horizon_days or "any"),
            model.kind,
            *(_figure(model.figures.get(name)) for name in FIGURES),
            _size(model.bytes),
        )
        for model in found
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    cells = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, *rows]
    ]
    lines = [f"  {cells[0]}"]
    for model, line in zip(found, cells[1:], strict=True):
        lines.append(f"{'*' if model.is_deployed else ' '} {line}")
        if model.problem:
            lines.append(f"    {model.problem}")
    return lines


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _chosen(models_dir: Path, version: str | None) -> Model:
    found = value_models(models_dir)
    if version is None:
        from cva_sql.udfs.sessions import deployed_folder

        folder = deployed_folder(models_dir)
        version = folder.name if folder.parent == models_dir / "value" else found[-1].version
    for model in found:
        if version == model.version:
            return model
    known = ", ".join([*(model.version for model in found), ENCODER])
    raise UsageError(f"there is no model {version}; there are: {known} (cva models list)")


def _value_details(model: Model) -> tuple[dict[str, Any], ModelError | None]:
    """What the manifest says and whether the file is its file; what is wrong with it, if anything.

    The training reference is left out, and of a text projection the numbers.
    """
    from cva_sql.udfs.manifest import read_manifest, read_model

    manifest = read_manifest(Path(model.folder))
    problem = None
    try:
        read_model(Path(model.folder), manifest)
    except ModelError as error:
        problem = error
    training = {k: v for k, v in manifest.training.items() if k != "score_reference"}
    return {
        "version": model.version,
        "is_deployed": model.is_deployed,
        "folder": model.folder,
        "bytes": model.bytes,
        "sha256": manifest.sha256,
        "is_sha256_verified": problem is None,
        "horizon_days": manifest.horizon_days,
        "training": training,
        "text_projection": _projection(manifest),
        "features": [feature.name for feature in manifest.features],
        "evaluation": manifest.evaluation,
    }, problem


def _projection(manifest: Manifest) -> dict[str, Any] | None:
    projection = manifest.text_projection
    if projection is None:
        return None
    return {"components": len(projection.components), "encoder_key": projection.encoder_key}


def _encoder(models_dir: Path) -> tuple[EncoderManifest, Path]:
    from cva_sql.udfs.encoder import encoder_folder, read_encoder_manifest

    folder = encoder_folder(models_dir)
    return read_encoder_manifest(folder), folder


def _encoder_summary(models_dir: Path) -> dict[str, Any]:
    manifest, folder = _encoder(models_dir)
    return {
        "key": manifest.key,
        "name": manifest.source,
        "dimension": manifest.dimension,
        "bytes": _bytes(folder),
        "is_own": folder.parent == models_dir,
        "folder": str(folder),
    }


def _encoder_details(models_dir: Path) -> tuple[dict[str, Any], ModelError | None]:
    from cva_sql.udfs.encoder import MODEL_FILE, TOKENIZER_FILE

    manifest, folder = _encoder(models_dir)
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
    summary = _encoder_summary(models_dir)
    del summary["name"]
    return {
        **summary,
        "is_sha256_verified": problem is None,
        **json.loads(manifest.to_json()),
    }, problem


def _readable(details: Mapping[str, Any]) -> list[str]:
    """The details, a line each; the figures of the validation as a table."""
    from cva_sql.cli.train import score_table

    lines = []
    for name, value in details.items():
        if name == "horizon_days":
            lines.append(f"{name}: {value or 'any'}")
        elif name == "evaluation":
            scores = value.get("scores")
            if scores:
                dates = ", ".join(value["validation_dates"])
                lines += [f"validated forward in time on {dates} (means):", *score_table(scores)]
                lines.append(f"verdict: {value['verdict']}")
        elif isinstance(value, dict):
            lines += [f"{name}: {'' if value else 'none'}".rstrip()]
            lines += [f"  {key}: {_plain(item)}" for key, item in value.items()]
        else:
            text = f"{name}: {_plain(value)}"
            lines += textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_long_words=False)
    return lines


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "none" if value is None else str(value)
