"""Buy till you die: purchase days by MBG/NBD times what Gamma-Gamma expects on each."""

from __future__ import annotations

from cva_sql.models_onnx.value.estimators.lifetimes import INPUTS, MOVES
from cva_sql.models_onnx.value.members.contract import LinearMember, Member
from cva_sql.models_onnx.value.members.purchase import OWN

MEMBER = Member(
    name="mbgnbd",
    place=10,
    weight=0.2,
    kind="mbgnbd",
    purchase=OWN,
    needs=INPUTS,
    moves={name: way for name, (way, _) in MOVES.items()},
    fit=lambda _: LinearMember(1.0),  # fitted with the rows: every member sees what it expects
)
