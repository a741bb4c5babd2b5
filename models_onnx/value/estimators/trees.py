"""Boosted trees by LightGBM: of spend, and of what buyers spend."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats, Matrix, Signs
from cva_sql.models_onnx.value.estimators.linear import TWEEDIE_POWER
from cva_sql.models_onnx.value.graph.builder import Graph
from cva_sql.models_onnx.value.graph.trees import add_trees
from cva_sql.models_onnx.value.settings import Setting

# Read when OpenMP is loaded, so before LightGBM is: threads that wait by spinning make training
# four times as slow on a machine that has other work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

BOOSTING: Mapping[str, Setting] = MappingProxyType(
    {
        "learning_rate": Setting(0.05, 1e-4, 1.0, (0.02, 0.15), is_log=True),
        "num_leaves": Setting(8, 2, 4096, (4, 32), is_log=True),
        "lambda_l2": Setting(5.0, 0.0, 1e6, (0.5, 50.0), is_log=True),
        "seed": Setting(7, 0, 2**31 - 1),
    }
)
FIXED: dict[str, Any] = {
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 2,
    "verbosity": -1,
}
SHARED = {**{name: setting.default for name, setting in BOOSTING.items()}, **FIXED}
VALUE_ROUNDS, AMOUNT_ROUNDS = (
    Setting(rounds, 1, 10_000, (20, 300), is_log=True) for rounds in (80, 100)
)


@dataclass(frozen=True)
class Trees:
    """A LightGBM booster for a target in units of `scale`, with a log link."""

    booster: Any
    scale: float

    def log(self, matrix: Matrix) -> Floats:
        """log of the prediction: log scale + the sum of leaves, in double."""
        raw = np.asarray(self.booster.predict(matrix, raw_score=True), dtype=np.float64)
        return float(np.log(self.scale)) + raw

    def write(self, graph: Graph, matrix: str) -> str:
        """The same as a value of the ONNX graph, (1, rows)."""
        raw = add_trees(graph, matrix, self.booster)
        return graph.op("Add", raw, float(np.log(self.scale)))


def _train(
    matrix: Matrix,
    target: Floats,
    weight: Floats,
    settings: dict[str, Any],
    signs: Signs | None,
) -> Any:
    import lightgbm

    settings = dict(settings)
    rounds = settings.pop("rounds")
    if signs is not None and signs.any():
        settings = {**settings, "monotone_constraints": signs.tolist()}

    leaf = int(np.clip(len(target) / 200, 20, 100))
    data = lightgbm.Dataset(matrix, label=target, weight=weight, free_raw_data=True)
    return lightgbm.train({**SHARED, "min_data_in_leaf": leaf, **settings}, data, rounds)


def fit_value_trees(
    matrix: Matrix,
    value: Floats,
    weight: Floats,
    signs: Signs | None,
    settings: Mapping[str, Any],
) -> Trees:
    """Tweedie regression of spend; never against a column's sign in `signs`, (columns,).

    `settings` are those of BOOSTING and `rounds`.
    """
    scale = float(np.average(value, weights=weight)) or 1.0
    settings = {
        "objective": "tweedie",
        "tweedie_variance_power": TWEEDIE_POWER,
        **settings,
    }
    return Trees(_train(matrix, value / scale, weight, settings, signs), scale)


def fit_amount_trees(
    matrix: Matrix,
    value: Floats,
    weight: Floats,
    signs: Signs | None,
    settings: Mapping[str, Any],
) -> Trees:
    """Gamma regression of what buyers spend: the second half of a hurdle model; see above."""
    bought = value > 0
    amount = value[bought]
    scale = float(np.average(amount, weights=weight[bought])) if len(amount) else 1.0
    settings = {"objective": "gamma", **settings}
    booster = _train(matrix[bought], amount / scale, weight[bought], settings, signs)
    return Trees(booster, scale)
