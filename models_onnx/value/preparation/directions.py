"""Which sign each column's coefficient must have so that predictions never go against a feature."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cva_sql.models_onnx.value.arrays import Signs
from cva_sql.models_onnx.value.data.preprocessing import Preprocessing
from cva_sql.models_onnx.value.estimators.lifetimes import COLUMNS, MOVES


def column_signs(preprocessing: Preprocessing, monotone: Mapping[str, int]) -> Signs:
    """1 or -1 for a column of `Prepared.matrix` that may act that way alone, else 0; (columns,).

    A feature's own column has the sign asked for. Buy till you die's columns that go with the
    feature have to act the way they go: `lifetimes.MOVES` says which, and `members.directions` that
    it is the way asked for.
    """
    own = [monotone.get(name, 0) for name in preprocessing.numbers]
    other = [0] * (preprocessing.width - len(own))
    moved = {column for name in monotone if name in MOVES for column in MOVES[name][1]}
    return np.array([*own, *other, *(int(name in moved) for name in COLUMNS)], dtype=np.int64)
