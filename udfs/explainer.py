"""Loads what explains a deployed model: its file, and the parts of its formula where it has one."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.coalitions import VALUE, Explainer, Game, Wide
from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.formula import read_formula
from cva_sql.udfs.formula_parts import make_ready
from cva_sql.udfs.manifest import RETRAIN, read_manifest, read_manifest_text, read_model
from cva_sql.udfs.play import FormulaPlay, WholePlay
from cva_sql.udfs.sessions import open_session
from cva_sql.udfs.shapley import SMALLEST

CHECKED = 64  # rows, drawn from what the manifest says of the features
SAME = 1e-9  # in logs: what rounding leaves between a formula and its file


def load_explainer(folder: Path) -> Explainer:
    """The explainer of a model folder; the same object for as long as its manifest is the same.

    Raises ModelError where the model was made before models had a typical customer.
    """
    return _load(folder, read_manifest_text(folder))


@lru_cache(maxsize=4)
def _load(folder: Path, manifest_text: str) -> Explainer:
    manifest = read_manifest(folder)
    explanation = manifest.explanation
    if explanation is None:
        raise ModelError(
            f"model {manifest.version} has no typical customer to explain against; retrain with: "
            "cva train"
        )
    part = _explained_part(read_model(folder, manifest))
    kinds = {feature.name: feature.kind for feature in manifest.features}
    players = tuple(sorted(explanation.reference))
    families = tuple(sorted({explanation.families[name] for name in players}))
    reference = {name: _one(explanation.reference[name], kinds[name]) for name in players}
    family_of = np.array(
        [families.index(explanation.families[name]) for name in players], dtype=np.int64
    )
    is_log = explanation.link == "log"
    formula = read_formula(part, VALUE) if is_log else None
    ready = make_ready(formula, players, family_of, reference) if formula else None
    whole = Wide(open_session(part.SerializeToString()), ((VALUE, 1.0),), is_log)
    by_file = Explainer(
        manifest, explanation, players, families, family_of, reference, whole, None, None
    )
    if ready is None:
        return by_file
    try:
        explainer = replace(by_file, ready=ready, wide=_open_wide(part, ready.total.wide))
        return explainer if is_as_the_file(explainer) else by_file
    except ModelError:  # parts of a file unlike ours
        return by_file


def _explained_part(data: bytes) -> Any:
    """The part of a graph that gives predicted_value; raises ModelError where there is none.

    onnxruntime runs all of a graph, whichever output is asked for.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from onnx.utils import Extractor

    try:
        model = onnx.load_from_string(data)
        return Extractor(model).extract_model([value.name for value in model.graph.input], [VALUE])
    except (DecodeError, ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"the model cannot be explained: {reason}; {RETRAIN}") from None


def _open_wide(part: Any, values: tuple[tuple[str, float], ...]) -> Wide | None:
    from onnx import TensorProto, helper
    from onnx.utils import Extractor

    if not values:
        return None
    names = [name for name, _ in values]
    part.graph.value_info.extend(
        helper.make_tensor_value_info(name, TensorProto.DOUBLE, [1, "filled"]) for name in names
    )
    inputs = [value.name for value in part.graph.input]
    small = Extractor(part).extract_model(inputs, names)
    return Wide(open_session(small.SerializeToString()), values, is_log=False)


def _one(value: float | str | None, kind: str) -> NDArray[Any]:
    if kind == "category":
        return np.array([value or ""], dtype=object)
    return np.array([np.nan if value is None else value], dtype=np.float32)


def is_as_the_file(explainer: Explainer) -> bool:
    """Whether a formula says what its file does, for every coalition of families of drawn rows.

    A row's features are the typical customer's, NULL, or at an end or in the middle of what they
    were learned from; each row has a share of its own that is not the typical customer's.
    """
    random = np.random.default_rng(CHECKED)
    features = {feature.name: feature for feature in explainer.manifest.features}
    share = random.random(CHECKED)
    inputs: dict[str, NDArray[Any]] = {}
    for name in explainer.players:
        typical, feature = explainer.reference[name], features[name]
        if typical.dtype == object:
            others = np.array([*feature.values, ""], dtype=object)
        else:
            ends = [end for end in (feature.low, feature.high) if end is not None] or [0.0, 1.0]
            others = np.array([*ends, sum(ends) / len(ends), np.nan], dtype=np.float32)
        drawn = random.choice(others, CHECKED)
        inputs[name] = np.where(random.random(CHECKED) < share, drawn, typical)
    game = Game(explainer, inputs, CHECKED)
    by_parts, by_file = FormulaPlay(game), WholePlay(game)
    lines, _ = by_parts.families()
    assert explainer.ready is not None
    expected, _ = by_file.families()
    found = np.maximum(np.minimum(lines, explainer.ready.cap), np.log(SMALLEST))
    return np.allclose(found, expected, rtol=SAME, atol=SAME, equal_nan=True)
