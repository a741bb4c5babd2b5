"""The fitted value model in numpy: what it predicts. `export.py` writes the same as a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.candidates import RESIDUAL_LEVELS, Floats, Glm, Matrix, Trees
from cva_sql.models_onnx.value.dataset import Dataset
from cva_sql.models_onnx.value.graph import Q_LEVELS
from cva_sql.models_onnx.value.preprocessing import Preprocessing

DECAYED = "decayed_spend"
DECAYED_FLOOR = 0.02  # of the mean spend
# Weights of GLM, trees and the plain rule in the geometric mean. The rule steadies ranking and
# level; the weights are rounded and the same for every shop.
BLEND = (0.4, 0.3, 0.3)
# Many customers share a prediction; its last bit must not decide on which side of a bound it is.
# Not less: onnxruntime takes a factor that single precision calls 1 for none.
NUDGE = 1 + 1e-6
MIN_STEP = 1e-12  # between equal points of the reference
SMALLEST_PROBABILITY = 1e-6
LARGEST_PROBABILITY = 1 - 1e-6


@dataclass(frozen=True)
class Members:
    """Everything fitted on one set of training rows; predictions are for `label_days`."""

    preprocessing: Preprocessing
    glm: Glm
    value_trees: Trees
    probability_trees: Trees
    orders_trees: Trees
    decayed_unit: float

    def matrix(self, rows: Dataset) -> Matrix:
        """The rows as the members' matrix."""
        return self.preprocessing.matrix(rows.numbers, rows.categories)

    def values(self, matrix: Matrix, kind: str) -> Floats:
        """Expected spend by the candidate of this kind."""
        if kind == "glm":
            return self.glm.predict(matrix)
        if kind == "lightgbm":
            return self.value_trees.exp(matrix)
        decayed = matrix[:, self.preprocessing.numbers.index(DECAYED)].astype(np.float64)
        # A little for those who spent nothing lately, or the product would be zero.
        decayed = decayed * self.decayed_unit + DECAYED_FLOOR * self.glm.unit
        glm, trees, rule = BLEND
        return np.asarray(
            np.exp(
                glm * np.log(self.glm.predict(matrix))
                + trees * np.log(self.value_trees.exp(matrix))
                + rule * np.log(decayed)
            )
        )


@dataclass(frozen=True)
class FittedModel:
    """A candidate with all that turns it into the contract's outputs.

    `stretch` is horizon over label days; `level` brings the total to the one that the levelled rule
    expects, for a season's luck moves a trained total far more than that. The quantiles of
    log(spend / expected spend) among buyers come from `residual_trees`, or, where that is empty,
    from the fixed `residual_quantiles`. `reference` is the 101-point grid of predictions that
    score counts in.
    """

    kind: str
    members: Members
    level: float
    stretch: float
    residual_trees: tuple[Trees, ...]
    residual_quantiles: Floats
    reference: Floats
    retention_rate: float

    def predict(self, rows: Dataset) -> dict[str, Floats]:
        """The contract's outputs by name, each of shape (rows,)."""
        matrix = self.members.matrix(rows)
        value = self.members.values(matrix, self.kind) * self.level * self.stretch
        p = np.clip(
            self.members.probability_trees.probability(matrix),
            SMALLEST_PROBABILITY,
            LARGEST_PROBABILITY,
        )
        probability = 1 - (1 - p) ** self.stretch
        orders = np.maximum(self.members.orders_trees.exp(matrix) * self.stretch, probability)
        outputs = {
            "predicted_value": value,
            "purchase_probability": probability,
            "predicted_orders": orders,
            "horizon_retention_rate": np.full(len(value), self.retention_rate),
            "score": score(value, self.reference),
        }
        residuals = self.residuals(matrix)
        for level in Q_LEVELS:
            name = f"predicted_value_p{round(level * 100)}"
            outputs[name] = spend_quantile(level, value, probability, residuals)
        return outputs

    def residuals(self, matrix: Matrix) -> Floats:
        """Quantiles of the log residual at RESIDUAL_LEVELS, rising along a row: (rows, levels)."""
        if not self.residual_trees:
            return np.tile(self.residual_quantiles, (len(matrix), 1))
        columns = np.column_stack([trees.raw(matrix) for trees in self.residual_trees])
        return np.asarray(np.maximum.accumulate(columns, axis=1))


def score(value: Floats, reference: Floats) -> Floats:
    """100 × the share of the reference at or below `value`, between grid points in proportion."""
    low, high = reference[:-1], reference[1:]
    nudged = value * NUDGE
    index = np.searchsorted(high[:-1], nudged, side="left")
    inside = (nudged - low[index]) * (1 / np.maximum(high - low, MIN_STEP))[index]
    return np.asarray(index + np.clip(inside, 0.0, 1.0))


def spend_quantile(level: float, value: Floats, probability: Floats, residuals: Floats) -> Floats:
    """The quantile of spend: zero with probability 1 − p, else expected spend × exp(residual)."""
    share = level - (1 - probability)
    u = np.clip(share / np.maximum(probability, 1e-9), 1e-4, 1 - 1e-4)
    x = np.log(u / (1 - u))
    knots = [float(np.log(q / (1 - q))) for q in RESIDUAL_LEVELS]
    mean_if_purchase = value / np.maximum(probability, 1e-9)
    spend = mean_if_purchase * np.exp(_piecewise_line(x, knots, residuals))
    return np.where(share <= 0, 0.0, spend)


def _piecewise_line(x: Floats, knots: Sequence[float], values: NDArray[np.float64]) -> Floats:
    line = values[:, 0]
    for k in range(len(knots) - 1):
        width = knots[k + 1] - knots[k]
        step = x - knots[k]
        if k > 0:
            step = np.maximum(step, 0.0)
        if k < len(knots) - 2:
            step = np.minimum(step, width)
        line = line + (values[:, k + 1] - values[:, k]) / width * step
    return np.asarray(line)
