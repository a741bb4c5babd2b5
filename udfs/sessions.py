"""ONNX sessions: one per model file and process, shared by DuckDB's threads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.manifest import Manifest, read_manifest, read_manifest_text, read_model

DEPLOYED_FILE = "deployed.json"  # kind -> the version that scores
VALUE = "value"
USUAL_HORIZON_DAYS = 90


@dataclass(frozen=True)
class ValueModel:
    """A model of any kind that is ready to run."""

    manifest: Manifest
    session: Any


def baseline_folder() -> Path:
    """The packaged rule; it may be read-only."""
    return Path(str(files("cva_sql.models_onnx"))) / "artefacts" / "baseline"


def deployed_versions(models_dir: Path) -> dict[str, str]:
    """Kind -> version of every model that is deployed; raises ModelError for a broken file."""
    pointer = models_dir / DEPLOYED_FILE
    try:
        found = json.loads(pointer.read_text(encoding="utf-8"))
        return {str(kind): str(version) for kind, version in found.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError) as error:
        raise ModelError(
            f"{pointer} cannot be read ({error}); deploy again with: cva train"
        ) from None


def deployed_folder(models_dir: Path, kind: str = VALUE) -> Path:
    """The folder of the model that scores: what `deployed.json` names, else the packaged rule.

    Only the value model has a rule: of another kind that is not deployed, raises ModelError.
    """
    version = deployed_versions(models_dir).get(kind)
    if version is not None:
        return models_dir / kind / version
    if kind == VALUE:
        return baseline_folder()
    raise ModelError(f"no model of kind {kind} is deployed; train one with: cva train")


def deployed_horizon(models_dir: Path) -> int:
    """How many days ahead the deployed value model looks; of a rule, which takes any, the usual."""
    return read_manifest(deployed_folder(models_dir)).horizon_days or USUAL_HORIZON_DAYS


def load_model(folder: Path) -> ValueModel:
    """The model of a folder; the same object for as long as its manifest stays the same."""
    return _load(folder, read_manifest_text(folder))


def open_session(data: bytes) -> Any:
    """A session for a model file's bytes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # DuckDB calls from as many threads as it has; more inside a call only get in each other's way.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


@lru_cache(maxsize=16)
def _load(folder: Path, manifest_text: str) -> ValueModel:
    manifest = read_manifest(folder)
    return ValueModel(manifest, open_session(read_model(folder, manifest)))
