"""What there is to score: every module of this folder with an attribute `MEMBER`, and the rules."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import fsum
from types import MappingProxyType

from cva_sql.models_onnx.declared import declared
from cva_sql.models_onnx.value import members
from cva_sql.models_onnx.value.members.contract import Member
from cva_sql.models_onnx.value.members.purchase import OWN, PAIR, PurchaseWeights
from cva_sql.models_onnx.value.members.rules import RULE_FITS

# The weighted mean of all members. The weights are rounded and the same for every shop: weights
# fitted to past dates of two shops did worse on later ones, and so did each member alone.
ENSEMBLE = "ensemble"


@cache
def all_members() -> tuple[Member, ...]:
    """The members in the order of their places; raises ValueError where two are in each other's."""
    found: list[Member] = declared(members, "MEMBER")
    for what in ("name", "place"):
        taken = [getattr(member, what) for member in found]
        if len(set(taken)) < len(taken):
            raise ValueError(f"two members have one {what}: {sorted(taken)}")
    return tuple(sorted(found, key=lambda member: member.place))


def part_of(member: Member) -> str:
    """The member's kind, or its own name where it forms none."""
    return member.kind or member.name


def kinds() -> tuple[str, ...]:
    """What is learned: each kind in the order of its first member, and the ensemble."""
    return (*dict.fromkeys(m.kind for m in all_members() if m.kind), ENSEMBLE)


def candidates() -> tuple[str, ...]:
    """What may score: the kinds, and the rules by their own names."""
    return (*kinds(), *RULE_FITS)


@cache
def weights(part: str) -> Mapping[str, float]:
    """Member -> its weight in the mean that a kind, a part or the ensemble is; they add up to 1.

    A rule is the mean of itself alone.
    """
    if part in RULE_FITS:
        return MappingProxyType({part: 1.0})
    chosen = [m for m in all_members() if part == ENSEMBLE or part_of(m) == part]
    total = fsum(member.weight for member in chosen)
    if total > 0:
        shares = {m.name: m.weight / total for m in chosen if m.weight > 0}
    else:  # of no weight in the ensemble, and so of the same in a kind of their own
        shares = {m.name: 1 / len(chosen) for m in chosen}
    return MappingProxyType(shares)


def parts() -> Mapping[str, float]:
    """What the ensemble is the mean of, each with its weight: see `part_of`."""
    found: dict[str, float] = {}
    for member in all_members():
        share = weights(ENSEMBLE).get(member.name, 0.0)
        if share > 0:
            found[part_of(member)] = found.get(part_of(member), 0.0) + share
    return MappingProxyType(found)


def purchase_weights(kind: str) -> PurchaseWeights:
    """How the purchase probability of a kind is made: as its first member says.

    A rule says nothing of it, so buy till you die does.
    """
    if kind in RULE_FITS:
        return OWN
    return next((m.purchase for m in all_members() if m.kind == kind), PAIR)


def curve_losses() -> Mapping[str, str]:
    """Member -> what its curve measures, for those that have one."""
    return MappingProxyType({m.name: m.curve_loss for m in all_members() if m.curve_loss})
