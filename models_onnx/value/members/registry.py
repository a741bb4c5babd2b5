"""What there is to score: every module of this folder with an attribute `MEMBER`, and the rules."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from math import fsum
from types import MappingProxyType

from cva_sql.models_onnx.declared import declared
from cva_sql.models_onnx.value import members
from cva_sql.models_onnx.value.members import networks
from cva_sql.models_onnx.value.members.contract import Member
from cva_sql.models_onnx.value.members.purchase import OWN, PAIR, PurchaseWeights
from cva_sql.models_onnx.value.members.rules import RULE_FITS

# The weighted mean of all members. The weights are rounded and the same for every shop: weights
# fitted to past dates of two shops did worse on later ones, and so did each member alone.
ENSEMBLE = "ensemble"
NONE_JOINED: Mapping[str, float] = MappingProxyType({})


@cache
def all_members() -> tuple[Member, ...]:
    """The members in the order of their places; raises ValueError where two are in each other's."""
    return _ordered(declared(members, "MEMBER"))


@cache
def all_networks() -> tuple[Member, ...]:
    """The networks: fitted where they are asked for, in the ensemble where they win."""
    return _ordered(declared(networks, "MEMBER"))


def network_names() -> tuple[str, ...]:
    """The networks' names, which are their kinds' as well."""
    return tuple(network.name for network in all_networks())


def learners(networks: Collection[str]) -> tuple[Member, ...]:
    """All members, and the networks of these names."""
    return (*all_members(), *(one for one in all_networks() if one.name in networks))


def _ordered(found: list[Member]) -> tuple[Member, ...]:
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


def candidates(fitted: Collection[str] = ()) -> tuple[str, ...]:
    """What may score: the kinds, the networks among `fitted`, and the rules by their own names."""
    return (*learned_kinds(fitted), *RULE_FITS)


def learned_kinds(fitted: Collection[str]) -> tuple[str, ...]:
    """The kinds, with the networks among `fitted` before the ensemble."""
    return (*kinds()[:-1], *(n for n in network_names() if n in fitted), ENSEMBLE)


@cache
def weights(part: str) -> Mapping[str, float]:
    """Member -> its weight in the mean that a kind, a part or the ensemble is; they add up to 1.

    A rule or network is the mean of itself alone.
    """
    if part in RULE_FITS or part in network_names():
        return MappingProxyType({part: 1.0})
    chosen = [m for m in all_members() if part == ENSEMBLE or part_of(m) == part]
    total = fsum(member.weight for member in chosen)
    if total > 0:
        shares = {m.name: m.weight / total for m in chosen if m.weight > 0}
    else:  # of no weight in the ensemble, and so of the same in a kind of their own
        shares = {m.name: 1 / len(chosen) for m in chosen}
    return MappingProxyType(shares)


def parts(joined: Mapping[str, float] = NONE_JOINED) -> Mapping[str, float]:
    """What the ensemble is the mean of, each with its weight, with the networks that joined it."""
    found: dict[str, float] = {}
    for member in all_members():
        share = weights(ENSEMBLE).get(member.name, 0.0)
        if share > 0:
            found[part_of(member)] = found.get(part_of(member), 0.0) + share
    return joined_shares(found, joined)


def joined_shares(own: Mapping[str, float], joined: Mapping[str, float]) -> Mapping[str, float]:
    """The weights of the ensemble's members, which add up to 1, with networks that joined them.

    A network's weight counts relative to the members' all together.
    """
    total = 1.0 + sum(joined.values())
    shares = {name: weight / total for name, weight in (*own.items(), *joined.items())}
    return MappingProxyType(shares)


def purchase_weights(kind: str) -> PurchaseWeights:
    """How the purchase probability of a kind is made: as its first member says.

    A rule says nothing of it, so buy till you die does.
    """
    if kind in RULE_FITS:
        return OWN
    return next((m.purchase for m in all_members() if m.kind == kind), PAIR)


def curve_losses() -> Mapping[str, str]:
    """Member -> what its curve measures, for those that have one."""
    found = learners(network_names())
    return MappingProxyType({m.name: m.curve_loss for m in found if m.curve_loss})
