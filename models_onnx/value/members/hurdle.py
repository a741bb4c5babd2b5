"""A hurdle model: the probability to buy times what boosted trees expect of a buyer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.estimators.curves import GAMMA_POWER, CurvePoint, boosting_curve
from cva_sql.models_onnx.value.estimators.trees import (
    AMOUNT_ROUNDS,
    BOOSTING,
    FIXED,
    Trees,
    fit_amount_trees,
)
from cva_sql.models_onnx.value.graph.builder import Graph
from cva_sql.models_onnx.value.members.contract import Examples, FittedMember, Member, Rows
from cva_sql.models_onnx.value.members.purchase import PAIR, PurchaseModel
from cva_sql.models_onnx.value.preparation.graph import GraphRows

NAME = "hurdle"
LARGEST_LOGIT = 30.0  # 1 − 1e-13; beyond, a probability says nothing more


@dataclass(frozen=True)
class FittedHurdle(FittedMember):
    """Trees of a buyer's amount, and the probability to be one."""

    trees: Trees
    purchase: PurchaseModel

    def predict(self, rows: Rows) -> Floats:
        """See `FittedMember`."""
        logit = self.purchase.logit(rows.prepared, rows.z, PAIR)
        logit = np.clip(logit, -LARGEST_LOGIT, LARGEST_LOGIT)
        return self.trees.log(rows.prepared.features) - np.logaddexp(0.0, -logit)

    def write(self, graph: Graph, rows: GraphRows) -> str:
        """See `FittedMember`."""
        # Not the Log of Sigmoid, which has no digits left below a logit of −30.
        logit = graph.clip(self.purchase.write(graph, rows, PAIR), -LARGEST_LOGIT, LARGEST_LOGIT)
        never = graph.op("Log", graph.op("Add", graph.op("Exp", graph.op("Neg", logit)), 1.0))
        return graph.op("Sub", self.trees.write(graph, rows.features), never)

    def curve(self, rows: Rows, actual: Floats) -> Sequence[CurvePoint]:
        """Gamma deviance of what buyers spent by round."""
        bought = actual > 0
        features = rows.prepared.features[bought]
        return boosting_curve(NAME, self.trees, features, actual[bought], GAMMA_POWER)


def fit(examples: Examples) -> FittedHurdle:
    """Trees of what buyers spent."""
    features = examples.rows.prepared.features
    trees = fit_amount_trees(
        features, examples.value, examples.weight, examples.feature_signs, examples.settings
    )
    return FittedHurdle(trees, examples.purchase)


MEMBER = Member(
    name=NAME,
    place=50,
    weight=0.1,
    kind="hurdle",
    fit=fit,
    settings=FIXED,
    tunable={"rounds": AMOUNT_ROUNDS, **BOOSTING},
    curve_loss="gamma_deviance",
)
