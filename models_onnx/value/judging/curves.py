"""How the loss of LightGBM's members falls, and rises again, with their rounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.members.linear import TWEEDIE_POWER
from cva_sql.models_onnx.value.members.trees import Trees
from cva_sql.models_onnx.value.model import Members, Prepared

STEPS = 15  # points of a curve, evenly spread over the rounds
SMALLEST = 1e-9  # of a prediction in units of the mean: a deviance of 0 has no number
LOSSES = {"lightgbm": "tweedie_deviance", "hurdle": "gamma_deviance"}


@dataclass(frozen=True)
class CurvePoint:
    """The mean deviance of a member after so many rounds, on rows it did not learn from."""

    model: str
    rounds: int
    loss: float


def boosting_curves(members: Members, rows: Prepared, actual: Floats) -> tuple[CurvePoint, ...]:
    """The loss by round: Tweedie deviance of spend, gamma deviance of what buyers spent."""
    bought = actual > 0
    return (
        *_curve("lightgbm", members.value_trees, rows.features, actual),
        *_curve("hurdle", members.amount_trees, rows.features[bought], actual[bought]),
    )


def _curve(model: str, trees: Trees, matrix: Floats, actual: Floats) -> list[CurvePoint]:
    from sklearn.metrics import mean_tweedie_deviance

    if not len(actual):
        return []
    power = TWEEDIE_POWER if model == "lightgbm" else 2.0  # 2 is the gamma's
    rounds = max(int(trees.booster.num_trees()), 1)
    points = []
    for step in np.unique(np.linspace(1, rounds, STEPS).round().astype(int)):
        raw = trees.booster.predict(matrix, raw_score=True, num_iteration=int(step))
        expected = np.maximum(np.exp(np.asarray(raw, dtype=np.float64)), SMALLEST)
        loss = mean_tweedie_deviance(actual / trees.scale, expected, power=power)
        points.append(CurvePoint(model, int(step), float(loss)))
    return points
