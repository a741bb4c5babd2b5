"""An ONNX file made elsewhere: which features fill its inputs, which output is the value."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.udfs.errors import ModelError, UsageError
from cva_sql.udfs.manifest import RETRAIN
from cva_sql.udfs.sessions import Session, open_session

NUMBERS = {"tensor(float)": np.float32, "tensor(double)": np.float64}
TEXT = "tensor(string)"
TRIED = 3  # rows that a file is tried with: one alone hides what its output's shape means

Mapped = Sequence[str] | Mapping[str, str] | None  # what --inputs says: names in order, or by input


@dataclass(frozen=True)
class Input:
    """An input of the file: a matrix of these features, or one column where there is one."""

    name: str
    type: str
    features: tuple[str, ...]


@dataclass(frozen=True)
class Given:
    """A file whose every input is filled by features, and whose `output` is one number a row."""

    onnx: bytes = field(repr=False)
    inputs: tuple[Input, ...]
    output: str

    @property
    def features(self) -> tuple[str, ...]:
        """The features that it reads, each once, in order."""
        return tuple(dict.fromkeys(name for one in self.inputs for name in one.features))

    @property
    def mapping(self) -> dict[str, list[str]]:
        """Input -> its features, as manifests have it."""
        return {one.name: list(one.features) for one in self.inputs}

    @cached_property
    def session(self) -> Session:
        """The file, ready to run."""
        return open_session(self.onnx)

    def predict(self, rows: Dataset) -> Floats:
        """What the file says of each row, (rows,), nothing below 0; NaN where it has no number."""
        if not len(rows):
            return np.zeros(0)
        feed: dict[str, Any] = {}
        for one in self.inputs:
            if one.type == TEXT:
                feed[one.name] = rows.categories[one.features[0]].reshape(-1, 1)
            else:
                columns = [rows.numbers[name] for name in one.features]
                feed[one.name] = np.column_stack(columns).astype(NUMBERS[one.type])
        found = self.session.run([self.output], feed)[0]
        return np.maximum(np.asarray(found, dtype=np.float64).reshape(len(rows)), 0.0)


@dataclass(frozen=True)
class AddedFile:
    """A file that is judged beside our models: spend in `horizon_days`, learned before a date."""

    name: str
    given: Given
    trained_until: date
    horizon_days: int


def read_given(
    onnx: bytes, known: Mapping[str, str], mapped: Mapped = None, output: str | None = None
) -> Given:
    """The file with its inputs and output settled; `known` is feature -> number or category.

    Raises UsageError, in one line, for a file that cannot run, inputs that no feature fills, and an
    output that is not one number a row.
    """
    try:
        session = open_session(onnx)
    except ModelError as error:
        raise UsageError(str(error).removesuffix(f"; {RETRAIN}")) from None
    types, widths = session.inputs(), session.widths()
    matrix = _matrix(widths, mapped)
    if matrix is None:
        inputs = _single(types, mapped)
    else:
        inputs = (Input(matrix, types[matrix], _columns(matrix, widths[matrix], mapped)),)
    _check_features(inputs, known)
    given = Given(onnx, inputs, _output(session, output))
    _try_out(given)
    return given


def _matrix(widths: Mapping[str, int | None], mapped: Mapped) -> str | None:
    """The file's one input where that is a matrix."""
    if len(widths) != 1:
        return None
    ((name, width),) = widths.items()
    is_list = mapped is not None and not isinstance(mapped, Mapping)
    return name if width != 1 or is_list else None


def _columns(name: str, width: int | None, mapped: Mapped) -> tuple[str, ...]:
    wide = f"{width} columns" if width else "columns"
    if mapped is None or isinstance(mapped, Mapping):
        raise UsageError(
            f"the model has one input, {name}, of {wide}; name their features in order, as a list "
            "in a yml file: --inputs map.yml"
        )
    if width is not None and len(mapped) != width:
        raise UsageError(f"--inputs names {len(mapped)} features; input {name} has {wide}")
    return tuple(mapped)


def _single(types: Mapping[str, str], mapped: Mapped) -> tuple[Input, ...]:
    if mapped is not None and not isinstance(mapped, Mapping):
        raise UsageError(
            f"--inputs is a list; the model has {len(types)} inputs ({', '.join(types)}), so map "
            "each: {input: feature}"
        )
    strange = [name for name in mapped or {} if name not in types]
    if strange:
        raise UsageError(
            f"--inputs maps {', '.join(strange)}; the model's inputs are {', '.join(types)}"
        )
    return tuple(
        Input(name, kind, ((mapped or {}).get(name, name),)) for name, kind in types.items()
    )


def _check_features(inputs: Sequence[Input], known: Mapping[str, str]) -> None:
    names = list(dict.fromkeys(name for one in inputs for name in one.features))
    missing = [_with_near(name, known) for name in names if name not in known]
    if missing:
        raise UsageError(
            f"customer_features has no {', '.join(missing)} that models may read; name the "
            "features with --inputs map.yml"
        )
    for one in inputs:
        expected = "category" if one.type == TEXT else "number"
        if one.type != TEXT and one.type not in NUMBERS:
            raise UsageError(
                f"input {one.name} is {one.type}; expected tensor(float), which has a place for "
                "what is missing, or tensor(string): convert the model so"
            )
        for name in one.features:
            if known[name] != expected or (one.type == TEXT and len(one.features) > 1):
                raise UsageError(
                    f"input {one.name} is {one.type}; feature {name} is a {known[name]}"
                )


def _with_near(name: str, known: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"{name} (nearest: {near[0]})" if near else name


def _output(session: Session, output: str | None) -> str:
    found = session.outputs()
    numbers = [name for name, kind in found.items() if kind in NUMBERS]
    if output is not None and output not in numbers:
        there = ", ".join(numbers) or "none: no output is a float"
        raise UsageError(f"--output {output}: expected one of {there}")
    if output is None and len(numbers) != 1:
        raise UsageError(
            f"the model has outputs {', '.join(found)}; say which is the value: --output NAME"
        )
    return output or numbers[0]


def _try_out(given: Given) -> None:
    """Runs the file on a few rows of zeros; raises UsageError where it gives no number for each."""
    feed = {
        one.name: np.full((TRIED, len(one.features)), "", dtype=object)
        if one.type == TEXT
        else np.zeros((TRIED, len(one.features)), dtype=NUMBERS[one.type])
        for one in given.inputs
    }
    try:
        (found,) = given.session.run([given.output], feed)
    except ModelError as error:
        raise UsageError(str(error).removesuffix(f"; {RETRAIN}")) from None
    if found.size != TRIED:
        raise UsageError(
            f"output {given.output} has shape {found.shape} for {TRIED} rows; expected one number "
            "a row; name another with --output"
        )
