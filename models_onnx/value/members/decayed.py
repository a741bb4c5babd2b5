"""The plain rule: past spend, faded by exp(−age / 180 days)."""

from __future__ import annotations

from dataclasses import dataclass

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.data.target import SPEND
from cva_sql.models_onnx.value.graph.builder import Graph
from cva_sql.models_onnx.value.members.contract import FittedMember, Member, Rows
from cva_sql.models_onnx.value.preparation.graph import GraphRows


@dataclass(frozen=True)
class DecayedSpend(FittedMember):
    """Nothing is fitted."""

    def predict(self, rows: Rows) -> Floats:
        """See `FittedMember`."""
        return rows.prepared.log_decayed

    def write(self, graph: Graph, rows: GraphRows) -> str:
        """See `FittedMember`."""
        return rows.log_decayed


# No kind of its own: what it would say alone is among the rules that a model has to beat.
MEMBER = Member(
    name="decayed",
    place=60,
    weight=0.2,
    needs=(SPEND.decayed,),
    fit=lambda _: DecayedSpend(),
    moves={SPEND.decayed: 1},
)
