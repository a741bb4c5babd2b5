"""All members fitted to one set of examples, and the means of them that may score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.data.preprocessing import LogScale
from cva_sql.models_onnx.value.graph.builder import Graph
from cva_sql.models_onnx.value.members.contract import FittedMember, LinearMember, Rows, add_up
from cva_sql.models_onnx.value.members.purchase import OWN, PurchaseModel, PurchaseWeights
from cva_sql.models_onnx.value.members.registry import (
    ENSEMBLE,
    joined_shares,
    learned_kinds,
    purchase_weights,
    weights,
)
from cva_sql.models_onnx.value.members.rules import PLAINEST
from cva_sql.models_onnx.value.preparation.corrections import Correction
from cva_sql.models_onnx.value.preparation.graph import GraphRows
from cva_sql.models_onnx.value.preparation.rows import Preparation, Prepared

HALF_TRUSTED = 100  # repeat customers from whom the ensemble counts as much as the rule


@dataclass(frozen=True)
class Shrinkage:
    """How much the ensemble counts (`trust`, up to 1); a rule has the rest of the geometric mean.

    The probability to buy is drawn towards buy till you die's by as much.
    """

    rule: str = PLAINEST
    trust: float = 1.0

    def shares(self, own: Mapping[str, float]) -> Mapping[str, float]:
        """The weights of the ensemble's members, drawn towards the rule."""
        shares = {name: self.trust * weight for name, weight in own.items()}
        if self.trust < 1:
            shares[self.rule] = shares.get(self.rule, 0.0) + 1 - self.trust
        return MappingProxyType(shares)

    def purchase(self, own: PurchaseWeights) -> PurchaseWeights:
        """The weights of the ensemble's probability, drawn towards buy till you die's."""
        return PurchaseWeights(
            *(
                self.trust * mine + (1 - self.trust) * theirs
                for mine, theirs in zip(own.all, OWN.all, strict=True)
            )
        )


def shrinkage_by(repeat_customers: int, rule: str) -> Shrinkage:
    """By how many customers came back: what is learned from a handful of them is mostly noise."""
    return Shrinkage(rule, repeat_customers / (repeat_customers + HALF_TRUSTED))


@dataclass(frozen=True)
class Members:
    """Everything fitted on one set of training rows, for rows of the date of `preparation`.

    `fitted` has every member, network and rule by name; `shrinkage` is the ensemble's, `joined` are
    the networks that are a part of it, with their weights. One kind alone, `corrected`, has what
    optional families add to it. What is predicted is so before the total is calibrated.
    """

    preparation: Preparation
    log_scale: LogScale
    purchase: PurchaseModel
    fitted: Mapping[str, FittedMember]
    shrinkage: Shrinkage
    joined: Mapping[str, float] = field(default_factory=dict)
    corrected: str = ENSEMBLE

    @property
    def kinds(self) -> tuple[str, ...]:
        """What was learned, the ensemble last."""
        return learned_kinds(self.fitted)

    def shares(self, kind: str) -> Mapping[str, float]:
        """Member, network or rule -> its share in the geometric mean that a kind is."""
        if kind != ENSEMBLE:
            return weights(kind)
        return self.shrinkage.shares(joined_shares(weights(kind), self.joined))

    def weights(self, kind: str) -> dict[str, float]:
        """The same by name, in order, without those whose share is nothing."""
        return {name: share for name, share in sorted(self.shares(kind).items()) if share > 0}

    def purchase_shares(self, kind: str) -> PurchaseWeights:
        """How a kind's probability to buy is made."""
        own = purchase_weights(kind)
        return self.shrinkage.purchase(own) if kind == ENSEMBLE else own

    def corrected_by(self, corrections: tuple[Correction, ...], kind: str) -> Members:
        """The same with these corrections of a kind, and no others."""
        preparation = replace(self.preparation, corrections=corrections)
        return replace(self, preparation=preparation, corrected=kind)

    def of_kind(self, kind: str) -> Members:
        """The same as a model of this kind reads them: without corrections of another."""
        return self if kind == self.corrected else self.corrected_by((), kind)

    def see(self, rows: Prepared) -> Rows:
        """The rows as a member is shown them."""
        z = self.log_scale.transform(rows.matrix)
        return Rows(rows, z, self.preparation.preprocessing)

    def linear_predictor(self, rows: Prepared, kind: str) -> Floats:
        """log of the spend that a kind expects in the horizon."""
        seen = self.see(rows)
        total = np.zeros(len(seen.z))
        for name, weight in self.shares(kind).items():
            total += weight * self.fitted[name].predict(seen)
        total = total + rows.spend_extrapolation
        return total + rows.spend_correction if kind == self.corrected else total

    def purchase_logit(self, rows: Prepared, kind: str) -> Floats:
        """logit of the probability to buy in the horizon."""
        z = self.see(rows).z
        logit = self.purchase.logit(rows, z, self.purchase_shares(kind))
        logit = logit + rows.purchase_extrapolation
        return logit + rows.purchase_correction if kind == self.corrected else logit

    def write_linear_predictor(self, graph: Graph, rows: GraphRows, kind: str) -> str:
        """See `linear_predictor`; what is linear in the same columns is added up beforehand."""
        shares = [(weight, self.fitted[name]) for name, weight in self.shares(kind).items()]
        linear = [(weight, part) for weight, part in shares if isinstance(part, LinearMember)]
        terms = add_up(linear).terms(graph, rows)
        for weight, part in shares:
            if not isinstance(part, LinearMember):
                terms.append(graph.op("Mul", part.write(graph, rows), weight))
        return graph.sum([*terms, *rows.spend_extrapolation, *rows.spend_correction])

    def write_member(self, graph: Graph, rows: GraphRows, name: str) -> str:
        """log of the spend that one member alone expects in the horizon, corrected by families."""
        own = self.fitted[name].write(graph, rows)
        return graph.sum([own, *rows.spend_extrapolation, *rows.spend_correction])

    def write_purchase_logit(self, graph: Graph, rows: GraphRows, kind: str) -> str:
        """See `purchase_logit`."""
        logit = self.purchase.write(graph, rows, self.purchase_shares(kind))
        return graph.sum([logit, *rows.purchase_extrapolation, *rows.purchase_correction])
