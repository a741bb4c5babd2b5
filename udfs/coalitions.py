"""Rows between the typical customer and a real one, sent through the deployed model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.formula_parts import ReadyFormula
from cva_sql.udfs.manifest import Explanation, Manifest

Floats = NDArray[np.float64]

VALUE = "predicted_value"
BATCH = 4096  # rows a call of the session: more no longer saves time, and costs memory


@dataclass(frozen=True)
class Wide:
    """Σ weight · value of a graph, for whole rows; with `is_log` shares are of its log."""

    session: Any
    values: tuple[tuple[str, float], ...]
    is_log: bool


@dataclass(frozen=True)
class Explainer:
    """The part of a deployed model that makes predicted_value, and what it is explained against.

    `players` are the features that explain, in order of their names; `family_of` is the place of
    each one's family in `families`. `reference` has an array of one value for every player.
    `whole` is all of that part; `ready` is its formula where it is one, `wide` what that formula
    has that can only be evaluated as a whole.
    """

    manifest: Manifest
    explanation: Explanation
    players: tuple[str, ...]
    families: tuple[str, ...]
    family_of: NDArray[np.int64]
    reference: dict[str, NDArray[Any]]
    whole: Wide
    ready: ReadyFormula | None
    wide: Wide | None


class Game:
    """Predictions for some rows' features mixed with the typical customer's.

    `inputs` are the model's, each (rows, 1). `differs`, (rows, players), says which features are
    not the typical customer's.
    """

    def __init__(self, explainer: Explainer, inputs: Mapping[str, NDArray[Any]], rows: int) -> None:
        self.explainer = explainer
        self.rows = rows
        self.inputs = {name: column.reshape(rows) for name, column in inputs.items()}
        self.differs = np.ones((rows, len(explainer.players)), dtype=bool)
        for place, name in enumerate(explainer.players):
            own, typical = self.inputs[name], explainer.reference[name]
            same = own == typical
            if own.dtype != object:
                same |= np.isnan(own) & np.isnan(typical)
            self.differs[:, place] = ~same

    def take(self, rows: NDArray[np.int64]) -> Game:
        """The game of some of the rows."""
        inputs = {name: column[rows] for name, column in self.inputs.items()}
        return Game(self.explainer, inputs, len(rows))

    def values(
        self,
        wide: Wide,
        rows: NDArray[np.int64],
        codes: NDArray[np.int64],
        table: NDArray[np.bool_],
    ) -> Floats:
        """`wide`, (n,), for n pairs of a row and a line of `table`, (lines, players).

        The line says of which players the row's own value is taken. Pairs of one row that follow
        each other save a fifth: trees then mostly take the branches they took before.
        """
        result = np.empty(len(rows))
        names = [name for name, _ in wide.values]
        for first in range(0, len(rows), BATCH):
            part = slice(first, first + BATCH)
            own = table[codes[part]]
            feed = {name: column[rows[part]] for name, column in self.inputs.items()}
            for place, name in enumerate(self.explainer.players):
                typical = self.explainer.reference[name]
                feed[name] = np.where(own[:, place], feed[name], typical)
            feed = {name: column.reshape(-1, 1) for name, column in feed.items()}
            found = wide.session.run(names, feed)
            total = np.zeros(len(own))
            for (_, weight), value in zip(wide.values, found, strict=True):
                total = total + weight * value.reshape(-1)[: len(own)]
            result[part] = total
        return result
