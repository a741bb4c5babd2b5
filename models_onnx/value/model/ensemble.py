"""All members fitted to one set of examples, and the means of them that may score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.data.preprocessing import LogScale
from cva_sql.models_onnx.value.graph.builder import Graph
from cva_sql.models_onnx.value.members.contract import FittedMember, LinearMember, Rows, add_up
from cva_sql.models_onnx.value.members.purchase import PurchaseModel
from cva_sql.models_onnx.value.members.registry import purchase_weights, weights
from cva_sql.models_onnx.value.preparation.graph import GraphRows
from cva_sql.models_onnx.value.preparation.rows import Preparation, Prepared


@dataclass(frozen=True)
class Members:
    """Everything fitted on one set of training rows, for rows of the date of `preparation`.

    `fitted` has every member and rule by name. What is predicted is so before the total is
    calibrated.
    """

    preparation: Preparation
    log_scale: LogScale
    purchase: PurchaseModel
    fitted: Mapping[str, FittedMember]

    def see(self, rows: Prepared) -> Rows:
        """The rows as a member is shown them."""
        z = self.log_scale.transform(rows.matrix)
        return Rows(rows, z, self.preparation.preprocessing)

    def linear_predictor(self, rows: Prepared, kind: str) -> Floats:
        """log of the spend that a kind expects in the horizon."""
        seen = self.see(rows)
        total = np.zeros(len(seen.z))
        for name, weight in weights(kind).items():
            total += weight * self.fitted[name].predict(seen)
        return total + rows.spend_extrapolation

    def purchase_logit(self, rows: Prepared, kind: str) -> Floats:
        """logit of the probability to buy in the horizon."""
        z = self.see(rows).z
        return self.purchase.logit(rows, z, purchase_weights(kind)) + rows.purchase_extrapolation

    def write_linear_predictor(self, graph: Graph, rows: GraphRows, kind: str) -> str:
        """See `linear_predictor`; what is linear in the same columns is added up beforehand."""
        shares = [(weight, self.fitted[name]) for name, weight in weights(kind).items()]
        linear = [(weight, part) for weight, part in shares if isinstance(part, LinearMember)]
        terms = add_up(linear).terms(graph, rows)
        for weight, part in shares:
            if not isinstance(part, LinearMember):
                terms.append(graph.op("Mul", part.write(graph, rows), weight))
        return graph.sum([*terms, *rows.spend_extrapolation])

    def write_purchase_logit(self, graph: Graph, rows: GraphRows, kind: str) -> str:
        """See `purchase_logit`."""
        logit = self.purchase.write(graph, rows, purchase_weights(kind))
        return graph.sum([logit, *rows.purchase_extrapolation])
