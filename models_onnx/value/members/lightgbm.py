"""Boosted trees for spend, by Tweedie deviance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.estimators.curves import CurvePoint, boosting_curve
from cva_sql.models_onnx.value.estimators.linear import TWEEDIE_POWER
from cva_sql.models_onnx.value.estimators.trees import (
    BOOSTING,
    FIXED,
    VALUE_ROUNDS,
    Trees,
    fit_value_trees,
)
from cva_sql.models_onnx.value.graph.builder import Graph
from cva_sql.models_onnx.value.members.contract import Examples, FittedMember, Member, Rows
from cva_sql.models_onnx.value.preparation.graph import GraphRows

NAME = "lightgbm"


@dataclass(frozen=True)
class FittedTrees(FittedMember):
    """The fitted trees, which read the features alone."""

    trees: Trees

    def predict(self, rows: Rows) -> Floats:
        """See `FittedMember`."""
        return self.trees.log(rows.prepared.features)

    def write(self, graph: Graph, rows: GraphRows) -> str:
        """See `FittedMember`."""
        return self.trees.write(graph, rows.features)

    def curve(self, rows: Rows, actual: Floats) -> Sequence[CurvePoint]:
        """Tweedie deviance of spend by round."""
        return boosting_curve(NAME, self.trees, rows.prepared.features, actual, TWEEDIE_POWER)


def fit(examples: Examples) -> FittedTrees:
    """Trees of spend."""
    features = examples.rows.prepared.features
    trees = fit_value_trees(
        features, examples.value, examples.weight, examples.feature_signs, examples.settings
    )
    return FittedTrees(trees)


MEMBER = Member(
    name=NAME,
    place=40,
    weight=0.1,
    kind="lightgbm",
    fit=fit,
    settings={"tweedie_power": TWEEDIE_POWER, **FIXED},
    tunable={"rounds": VALUE_ROUNDS, **BOOSTING},
    curve_loss="tweedie_deviance",
    needs_orders=False,
)
