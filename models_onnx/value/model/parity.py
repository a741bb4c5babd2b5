"""The gate that a model's file and the fitted model say the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.manifest import OUTPUTS, Manifest
from cva_sql.udfs.members import open_members, run_members
from cva_sql.udfs.predict import run_session
from cva_sql.udfs.sessions import ValueModel, open_session

PARITY_TOLERANCE = 1e-4  # relative; single precision inputs leave 1e-7, the rest is a wrong graph
PARITY_ROWS = 5000


@dataclass(frozen=True)
class Parity:
    """How far the file is from the fitted model: the largest relative difference, and where."""

    rows: int
    worst: float
    output: str


class Predicts(Protocol):
    """What gives the contract's outputs for rows."""

    def predict(self, rows: Dataset) -> dict[str, Floats]: ...


def check_parity(
    model: Predicts, data: bytes, manifest: Manifest, rows: Dataset, company: float = 0.0
) -> Parity:
    """Compares file and fitted model on `rows`, in one batch and row by row in odd ones.

    Raises ModelError where any output differs by more than PARITY_TOLERANCE, or where a row's
    result depends on its batch by more than `company`, relative.
    """
    loaded = ValueModel(manifest, open_session(data))
    sample, inputs = _sample(manifest, rows)
    whole = run_session(loaded, inputs, len(sample))
    for first, count in ((0, 1), (1, 7), (5, 100), (3, 2048)):
        part = {name: column[first : first + count] for name, column in inputs.items()}
        size = len(sample.customer_id[first : first + count])
        for name, value in run_session(loaded, part, size).items():
            if not np.allclose(value, whole[name][first : first + count], rtol=company, atol=0.0):
                raise ModelError(
                    f"{name} of a row depends on the rows beside it; the model is not deployed"
                )
    parity = _largest_difference(model.predict(sample), whole)
    if not parity.worst <= PARITY_TOLERANCE:
        raise ModelError(
            f"{parity.output} differs by {parity.worst:.1e} between the fitted model and its ONNX "
            f"file; expected at most {PARITY_TOLERANCE:.0e}, so the model is not deployed"
        )
    return parity


def check_members(model: Predicts, data: bytes, manifest: Manifest, rows: Dataset) -> None:
    """Raises ModelError where the members' geometric mean is not what the model predicts."""
    members = manifest.members
    if members is None:
        return
    sample, inputs = _sample(manifest, rows)
    logs = run_members(open_members(manifest, data), inputs, len(sample))
    mean = np.sum([weight * logs[name] for name, weight in members.weights.items()], axis=0)
    value = {"predicted_value": np.exp(np.minimum(mean, members.log_highest))}
    expected = {name: model.predict(sample)[name] for name in value}
    worst = _largest_difference(expected, value).worst
    if not worst <= PARITY_TOLERANCE:
        raise ModelError(
            f"the members' geometric mean differs by {worst:.1e} from the model; expected at most "
            f"{PARITY_TOLERANCE:.0e}, so the model is not deployed"
        )


def _sample(manifest: Manifest, rows: Dataset) -> tuple[Dataset, dict[str, Any]]:
    """At most PARITY_ROWS of the rows, and as inputs of the file."""
    step = max(1, -(-len(rows) // PARITY_ROWS))
    sample = rows.select(np.arange(len(rows)) % step == 0)
    inputs: dict[str, Any] = {}
    for feature in manifest.features:
        column = (sample.numbers if feature.kind == "number" else sample.categories)[feature.name]
        inputs[feature.name] = column.reshape(-1, 1)
    return sample, inputs


def _largest_difference(expected: dict[str, Any], got: dict[str, Any]) -> Parity:
    worst, where, rows = 0.0, OUTPUTS[0], 0
    for name, values in expected.items():
        rows = len(values)
        other = got[name]
        if not np.isfinite(other).all():
            return Parity(rows, np.inf, name)
        # Relative to the value, or to a ten-thousandth of the column's mean for values near zero.
        scale = np.maximum(np.abs(values), 1e-4 * np.abs(values).mean() + 1e-12)
        difference = float(np.max(np.abs(other - values) / scale, initial=0.0))
        if difference > worst:
            worst, where = difference, name
    return Parity(rows, worst, where)
