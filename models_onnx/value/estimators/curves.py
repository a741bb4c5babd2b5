"""How the loss of boosted trees falls, and rises again, with their rounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats, Matrix
from cva_sql.models_onnx.value.estimators.trees import Trees

STEPS = 15  # points of a curve, evenly spread over the rounds
SMALLEST = 1e-9  # of a prediction in units of the mean: a deviance of 0 has no number
GAMMA_POWER = 2.0  # the Tweedie deviance of this power is the gamma's


@dataclass(frozen=True)
class CurvePoint:
    """The mean deviance of a member after so many rounds, on rows it did not learn from."""

    model: str
    rounds: int
    loss: float


def boosting_curve(
    model: str, trees: Trees, matrix: Matrix, actual: Floats, power: float
) -> list[CurvePoint]:
    """The Tweedie deviance of this power by round; nothing without rows."""
    from sklearn.metrics import mean_tweedie_deviance

    if not len(actual):
        return []
    rounds = max(int(trees.booster.num_trees()), 1)
    points = []
    for step in np.unique(np.linspace(1, rounds, STEPS).round().astype(int)):
        raw = trees.booster.predict(matrix, raw_score=True, num_iteration=int(step))
        expected = np.maximum(np.exp(np.asarray(raw, dtype=np.float64)), SMALLEST)
        loss = mean_tweedie_deviance(actual / trees.scale, expected, power=power)
        points.append(CurvePoint(model, int(step), float(loss)))
    return points
