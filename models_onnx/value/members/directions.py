"""Which directions of features can be promised, and which rules cannot keep them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cva_sql.models_onnx.value.data.target import SPEND, Target
from cva_sql.models_onnx.value.estimators.lifetimes import INPUTS, ORDERS
from cva_sql.models_onnx.value.members.registry import all_members
from cva_sql.models_onnx.value.members.rules import rule_fits


def unkept(monotone: Mapping[str, int], target: Target = SPEND) -> Iterator[tuple[str, str, int]]:
    """(feature, member, which way that goes with it) where a member cannot keep to a direction."""
    for member in all_members():
        for read, way in member.moves.items():
            feature = _of(target, read)
            if monotone.get(feature, way) != way:
                yield feature, member.name, way


def _of(target: Target, feature: str) -> str:
    """What a member that names decayed spend reads with this target."""
    return target.decayed if feature == SPEND.decayed else feature


def rules_against(monotone: Mapping[str, int], target: Target = SPEND) -> tuple[str, ...]:
    """The rules of a target that go against a direction, and so cannot score."""
    return tuple(
        name
        for name, rule in rule_fits(target).items()
        if any(monotone.get(feature, way) != way for feature, way in rule.moves.items())
    )


def needed_features(target: Target = SPEND) -> dict[str, str]:
    """Feature -> a member or rule that cannot do without it."""
    found = {name: rule for rule, fit in rule_fits(target).items() for name in fit.needs}
    found |= {_of(target, name): member.name for member in all_members() for name in member.needs}
    return found | {ORDERS: found[INPUTS[0]]}  # buy till you die counts orders where it is fitted
