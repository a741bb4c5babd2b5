"""The purchase probability: buy-till-you-die's own, and two logistic regressions beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats, Matrix
from cva_sql.models_onnx.value.estimators.linear import LOGIT_PENALTY, Linear, add_up_linear
from cva_sql.models_onnx.value.graph.builder import Graph
from cva_sql.models_onnx.value.preparation.graph import GraphRows
from cva_sql.models_onnx.value.preparation.rows import Prepared


@dataclass(frozen=True)
class PurchaseWeights:
    """Weights of the logit of buy-till-you-die's probability and of the two regressions.

    The first regression has that logit as its offset, so the logit carries its weight as well.
    """

    own: float
    with_offset: float = 0.0
    plain: float = 0.0

    @property
    def all(self) -> tuple[float, float, float]:
        """The three weights in this order."""
        return self.own, self.with_offset, self.plain


OWN = PurchaseWeights(1.0)
PAIR = PurchaseWeights(0.5, 0.5, 0.5)
REGRESSIONS = ("logit_offset", "logit_plain")
SETTINGS = {name: {"penalty": LOGIT_PENALTY} for name in REGRESSIONS}


@dataclass(frozen=True)
class PurchaseModel:
    """The two logistic regressions of buying in the label."""

    with_offset: Linear
    plain: Linear

    def logit(self, rows: Prepared, z: Matrix, weights: PurchaseWeights) -> Floats:
        """logit of the probability to buy in the label, (rows,)."""
        logit = weights.own * rows.logit_purchase
        if weights.with_offset:
            logit = logit + weights.with_offset * self.with_offset.predict(z)
        if weights.plain:
            logit = logit + weights.plain * self.plain.predict(z)
        return np.asarray(logit)

    def write(self, graph: Graph, rows: GraphRows, weights: PurchaseWeights) -> str:
        """The same as a value of the ONNX graph, (1, rows)."""
        logit = graph.op("Mul", rows.logit_purchase, weights.own)
        if not weights.with_offset and not weights.plain:
            return logit
        parts = [(weights.with_offset, self.with_offset), (weights.plain, self.plain)]
        return graph.op("Add", logit, rows.linear(add_up_linear(parts)))
