"""Rows between the typical customer and a real one, sent through the deployed model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.manifest import (
    RETRAIN,
    Explanation,
    Manifest,
    read_manifest,
    read_manifest_text,
    read_model,
)
from cva_sql.udfs.sessions import open_session
from cva_sql.udfs.tree_attributions import Leaf, read_leaves

Floats = NDArray[np.float64]

VALUE = "predicted_value"
BATCH = 4096  # rows a call of the session: more no longer saves time, and costs memory


@dataclass(frozen=True)
class Explainer:
    """The part of a deployed model that makes predicted_value, and what it is explained against.

    `players` are the features that explain, in order of their names; `family_of` is the place of
    each one's family in `families`. `reference` has an array of one value for every player.
    `leaves` are those of a model that is a tree ensemble, else empty.
    """

    manifest: Manifest
    explanation: Explanation
    session: Any
    players: tuple[str, ...]
    families: tuple[str, ...]
    family_of: NDArray[np.int64]
    reference: dict[str, NDArray[Any]]
    leaves: tuple[Leaf, ...]


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
    part, leaves = _explained_part(read_model(folder, manifest), explanation)
    families = tuple(sorted(set(explanation.families.values())))
    kinds = {feature.name: feature.kind for feature in manifest.features}
    players = tuple(sorted(explanation.reference))
    return Explainer(
        manifest,
        explanation,
        open_session(part.SerializeToString()),
        players,
        families,
        np.array([families.index(explanation.families[name]) for name in players], dtype=np.int64),
        {name: _one(explanation.reference[name], kinds[name]) for name in players},
        leaves,
    )


def _explained_part(data: bytes, explanation: Explanation) -> tuple[Any, tuple[Leaf, ...]]:
    """The part of a graph that gives predicted_value, and the leaves of its trees.

    onnxruntime runs all of a graph, whichever output is asked for. Raises ModelError where the
    file is another's than the explanation's.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from onnx.utils import Extractor

    try:
        model = onnx.load_from_string(data)
        inputs = [value.name for value in model.graph.input]
        part = Extractor(model).extract_model(inputs, [VALUE])
        leaves = read_leaves(part) if explanation.tree_columns else ()
    except (DecodeError, ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"the model cannot be explained: {reason}; {RETRAIN}") from None
    known = len(explanation.tree_columns)
    if any(test.column >= known for leaf in leaves for test in leaf.tests):
        raise ModelError(f"the model's trees have more columns than the {known} named; {RETRAIN}")
    return part, leaves


def _one(value: float | str | None, kind: str) -> NDArray[Any]:
    if kind == "category":
        return np.array([value or ""], dtype=object)
    return np.array([np.nan if value is None else value], dtype=np.float32)


class Game:
    """Predictions for some rows' features mixed with the typical customer's.

    `inputs` are the model's, each (rows, 1). `differs`, (rows, players), says which features are
    not the typical customer's.
    """

    def __init__(self, explainer: Explainer, inputs: Mapping[str, NDArray[Any]], rows: int) -> None:
        self.explainer = explainer
        self.rows = rows
        self._inputs = {name: column.reshape(rows) for name, column in inputs.items()}
        self.differs = np.ones((rows, len(explainer.players)), dtype=bool)
        for place, name in enumerate(explainer.players):
            own, typical = self._inputs[name], explainer.reference[name]
            same = own == typical
            if own.dtype != object:
                same |= np.isnan(own) & np.isnan(typical)
            self.differs[:, place] = ~same

    def values(
        self, rows: NDArray[np.int64], codes: NDArray[np.int64], table: NDArray[np.bool_]
    ) -> Floats:
        """predicted_value, (n,), for n pairs of a row and a line of `table`, (lines, players).

        The line says of which players the row's own value is taken. Pairs of one row that follow
        each other save a fifth: trees then mostly take the branches they took before.
        """
        result = np.empty(len(rows))
        for first in range(0, len(rows), BATCH):
            part = slice(first, first + BATCH)
            own = table[codes[part]]
            feed = {name: column[rows[part]] for name, column in self._inputs.items()}
            for place, name in enumerate(self.explainer.players):
                typical = self.explainer.reference[name]
                feed[name] = np.where(own[:, place], feed[name], typical)
            feed = {name: column.reshape(-1, 1) for name, column in feed.items()}
            result[part] = self.explainer.session.run([VALUE], feed)[0].reshape(-1)
        return result

    def tree_matrix(self) -> tuple[Floats, Floats, NDArray[np.int64]]:
        """The ensemble's matrix, its typical row, and the player that each column belongs to."""
        explainer = self.explainer
        columns, typical, players = [], [], []
        for name, text in explainer.explanation.tree_columns:
            own, reference = self._inputs[name], explainer.reference[name]
            if text is not None:
                own, reference = own == text, reference == text
            columns.append(own.astype(np.float64))
            typical.append(float(reference[0]))
            players.append(explainer.players.index(name))
        return np.column_stack(columns), np.array(typical), np.array(players, dtype=np.int64)
