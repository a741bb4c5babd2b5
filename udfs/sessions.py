"""ONNX sessions: one per model file and process, shared by DuckDB's threads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.manifest import (
    MANIFEST_FILE,
    MODEL_FILE,
    OUTPUTS,
    RETRAIN,
    Manifest,
    check_place,
    read_manifest,
    read_manifest_text,
    read_model,
)
from cva_sql.udfs.model_files import check_inside, is_plain_name, parse_object, read_text_file

DEPLOYED_FILE = "deployed.json"  # kind -> the version that scores
VALUE = "value"
USUAL_HORIZON_DAYS = 90
NUMBER_TYPE, CATEGORY_TYPE = "tensor(float)", "tensor(string)"
OUTPUT_TYPES = ("tensor(double)", "tensor(float)")
SILENT = 4  # of onnxruntime's levels: fatal errors alone
LONGEST_REASON = 300  # characters of what onnxruntime says


@dataclass(frozen=True)
class ValueModel:
    """A model of any kind that is ready to run."""

    manifest: Manifest
    session: Session


def baseline_folder() -> Path:
    """The packaged rule; it may be read-only."""
    return Path(str(files("cva_sql.models_onnx"))) / "artefacts" / "baseline"


def deployed_versions(models_dir: Path) -> dict[str, str]:
    """Kind -> version of every model that is deployed; raises ModelError for a broken file."""
    pointer = models_dir / DEPLOYED_FILE
    remedy = "deploy again with: cva train"
    try:
        pointer.lstat()
    except FileNotFoundError:
        return {}
    except OSError:
        pass  # reading it says what is wrong
    text = read_text_file(pointer, "a list of what is deployed", remedy)
    try:
        found = parse_object(text)
        if not all(isinstance(version, str) for version in found.values()):
            raise ValueError("a version is no text")
        return found
    except ValueError as error:
        raise ModelError(f"{pointer} cannot be read ({error}); {remedy}") from None


def deployed_folder(models_dir: Path, kind: str = VALUE) -> Path:
    """The folder of the model that scores: what `deployed.json` names, else the packaged rule.

    Only the value model has a rule: of another kind that is not deployed, raises ModelError; also
    where the folder has another model than it is named after, or lies elsewhere.
    """
    version = deployed_versions(models_dir).get(kind)
    if version is not None:
        if not (is_plain_name(kind) and is_plain_name(version)):
            raise ModelError(
                f"{models_dir / DEPLOYED_FILE} names {ascii(version)[:60]} of kind "
                f"{ascii(kind)[:60]}; expected plain names, deploy again with: cva train"
            )
        folder = models_dir / kind / version
        check_inside(folder, (MODEL_FILE, MANIFEST_FILE))
        try:
            manifest = read_manifest(folder)
        except ModelError:
            return folder  # whoever opens it says what is wrong
        check_place(folder, manifest)
        return folder
    if kind == VALUE:
        return baseline_folder()
    raise ModelError(f"no model of kind {kind} is deployed; train one with: cva train")


def deployed_horizon(models_dir: Path) -> int:
    """How many days ahead the deployed value model looks; of a rule, which takes any, the usual."""
    return read_manifest(deployed_folder(models_dir)).horizon_days or USUAL_HORIZON_DAYS


def deployed_features(models_dir: Path) -> list[str]:
    """The names of what the deployed value model reads."""
    return [feature.name for feature in read_manifest(deployed_folder(models_dir)).features]


def load_model(folder: Path) -> ValueModel:
    """The model of a folder; the same object for as long as its manifest stays the same."""
    return _load(folder, read_manifest_text(folder))


class Session:
    """An ONNX file that can be run; what onnxruntime says against it is a ModelError.

    `data` are its bytes, or where it lies, for one with weights in files beside it.
    """

    def __init__(self, data: bytes | str, remedy: str = RETRAIN) -> None:
        import onnxruntime

        self._remedy = remedy

        options = onnxruntime.SessionOptions()
        # DuckDB calls from as many threads as it has; more inside a call only get in each other's
        # way.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = SILENT  # what is wrong is in the error
        with _one_line("no ONNX file that can be run here", remedy):
            self._session = onnxruntime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"]
            )

    def run(self, outputs: Sequence[str] | None, inputs: Mapping[str, Any]) -> list[Any]:
        """The outputs for these inputs; raises ModelError where the model cannot give them."""
        with _one_line("an ONNX file that fails on these rows", self._remedy):
            return list(self._session.run(outputs, inputs))

    def inputs(self) -> dict[str, str]:
        """The types of the inputs by name."""
        return {value.name: value.type for value in self._session.get_inputs()}

    def widths(self) -> dict[str, int | None]:
        """The columns of the inputs by name; None where the file does not say."""
        found = {}
        for value in self._session.get_inputs():
            last = value.shape[-1] if len(value.shape) > 1 else 1
            found[value.name] = last if isinstance(last, int) else None
        return found

    def outputs(self) -> dict[str, str]:
        """The types of the outputs by name."""
        return {value.name: value.type for value in self._session.get_outputs()}


def open_session(data: bytes) -> Session:
    """A session for a model file's bytes; raises ModelError where onnxruntime does not take it."""
    return Session(data)


def check_fits(manifest: Manifest, session: Session) -> None:
    """Raises ModelError where a file's inputs or outputs are not those of its manifest."""
    inputs = session.inputs()
    expected = {
        feature.name: CATEGORY_TYPE if feature.kind == "category" else NUMBER_TYPE
        for feature in manifest.features
    }
    if inputs != expected:
        wrong = sorted(set(inputs.items()) ^ set(expected.items()))
        raise ModelError(
            f"inputs of {manifest.version} and its features differ: {wrong[:3]}; {RETRAIN}"
        )
    found = session.outputs()
    is_value = manifest.is_baseline or manifest.name == VALUE
    for name in (*manifest.outputs, *(OUTPUTS if is_value else ())):
        if name not in manifest.outputs or found.get(name) not in OUTPUT_TYPES:
            raise ModelError(
                f"output {name} of {manifest.version} is {found.get(name, 'missing')}; "
                f"expected {OUTPUT_TYPES[0]}; {RETRAIN}"
            )


@contextmanager
def _one_line(what: str, remedy: str) -> Iterator[None]:
    """Raises what onnxruntime raises as a ModelError that says it in one line."""
    try:
        yield
    except _errors() as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"the model is {what}: {reason[:LONGEST_REASON]}; {remedy}") from None


@lru_cache(maxsize=1)
def _errors() -> tuple[type[Exception], ...]:
    """What onnxruntime raises; its own errors have no class in common."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    kinds = [kind for kind in vars(state).values() if isinstance(kind, type)]
    own = [kind for kind in kinds if issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError, MemoryError)


@lru_cache(maxsize=16)
def _load(folder: Path, manifest_text: str) -> ValueModel:
    manifest = read_manifest(folder)
    session = open_session(read_model(folder, manifest))
    check_fits(manifest, session)
    return ValueModel(manifest, session)
