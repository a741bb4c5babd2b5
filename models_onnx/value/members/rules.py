"""The reference rules as models that may score, where one of them wins: see `judging/rules.py`.

Each is the log of what the rule expects, so that total, intervals, probability and reasons are made
as for any other candidate. No rule is a part of the ensemble.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from onnx import TensorProto

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.data.target import SPEND, Target
from cva_sql.models_onnx.value.graph.builder import Graph
from cva_sql.models_onnx.value.judging.rules import RECENCY, quintile_scores
from cva_sql.models_onnx.value.members.contract import Examples, FittedMember, Rows
from cva_sql.models_onnx.value.members.decayed import DecayedSpend
from cva_sql.models_onnx.value.preparation.graph import GraphRows
from cva_sql.models_onnx.value.preparation.rows import DECAYED_FLOOR

ORDER_DAYS = "order_days_count"
PLAINEST = "decayed_spend"  # the rule to lean on where nothing says which is best
FIFTHS = 4  # bounds between five
BEST_SUM = 3 * FIFTHS  # above the lowest fifth three times


class FittedRule(FittedMember):
    """A rule for those who have ordered; buy till you die says what the others are told."""

    def predict(self, rows: Rows) -> Floats:
        """See `FittedMember`."""
        is_cold = np.isnan(rows.number(RECENCY))
        return np.where(is_cold, rows.prepared.log_spend, self.log_rule(rows))

    def write(self, graph: Graph, rows: GraphRows) -> str:
        """See `FittedMember`."""
        is_cold = graph.op("IsNaN", rows.number(RECENCY))
        return graph.op("Where", is_cold, rows.log_spend, self.write_rule(graph, rows))

    @abstractmethod
    def log_rule(self, rows: Rows) -> Floats:
        """log of what the rule expects, (rows,); anything for those without an order."""

    @abstractmethod
    def write_rule(self, graph: Graph, rows: GraphRows) -> str:
        """The same as a value of the ONNX graph, (1, rows)."""


@dataclass(frozen=True)
class SpendColumn(FittedRule):
    """log(column · scale + floor)."""

    column: str
    scale: float
    floor: float

    def log_rule(self, rows: Rows) -> Floats:
        """See `FittedRule`."""
        spend = np.maximum(rows.number(self.column), 0.0) * self.scale
        return np.asarray(np.log(spend + self.floor))

    def write_rule(self, graph: Graph, rows: GraphRows) -> str:
        """See `FittedRule`."""
        spend = graph.op("Mul", graph.op("Max", rows.number(self.column), 0.0), self.scale)
        return graph.op("Log", graph.op("Add", spend, self.floor))


@dataclass(frozen=True)
class QuintileSums(FittedRule):
    """The log of the mean past spend of those with the same sum of fifths, both as when fitted.

    `bounds` are, by column, the least value of each fifth but the lowest; recency counts downwards.
    `logs` is by sum, from 0.
    """

    bounds: Mapping[str, tuple[float, ...]]
    logs: tuple[float, ...]

    def log_rule(self, rows: Rows) -> Floats:
        """See `FittedRule`."""
        total = np.zeros(len(rows.z), dtype=np.int64)
        for name, bounds in self.bounds.items():
            value = _sign(name) * rows.number(name)
            total += np.sum(value[:, None] >= np.array(bounds), axis=1)
        return np.array(self.logs)[total]

    def write_rule(self, graph: Graph, rows: GraphRows) -> str:
        """See `FittedRule`."""
        above = []
        for name, bounds in self.bounds.items():
            value = graph.op("Mul", rows.number(name), _sign(name))
            for bound in bounds:
                above.append(graph.double(graph.op("GreaterOrEqual", value, bound)))
        index = graph.op("Cast", graph.sum(above), to=TensorProto.INT64)
        return graph.op("Gather", graph.const(self.logs), index)


def _sign(name: str) -> float:
    return -1.0 if name == RECENCY else 1.0


def _spend_column(name: str) -> Callable[[Examples], FittedMember]:
    def fit(examples: Examples) -> SpendColumn:
        scale = _scale(examples, examples.rows.number(name))
        return SpendColumn(name, scale, DECAYED_FLOOR * examples.mean_spend)

    return fit


def _scale(examples: Examples, spend: Floats) -> float:
    """What brings the mean of past spend to that of the labels, which the floor is a share of."""
    mean = float(np.nanmean(np.maximum(spend, 0.0))) if np.isfinite(spend).any() else 0.0
    return examples.mean_spend / mean if mean > 0 else 1.0


def _quintile_sums(examples: Examples, historic: str) -> QuintileSums:
    rows = examples.rows
    warm = ~np.isnan(rows.number(RECENCY))
    spend = np.maximum(rows.number(historic), 0.0)[warm]
    bounds, total = {}, np.zeros(int(warm.sum()), dtype=np.int64)
    for name in (RECENCY, ORDER_DAYS, historic):
        value = _sign(name) * rows.number(name)[warm]
        fifth = quintile_scores(value) - 1
        least = (value[fifth > k].min(initial=np.inf) for k in range(FIFTHS))
        bounds[name] = tuple(float(bound) for bound in least)
        total += fifth
    customers = np.bincount(total, minlength=BEST_SUM + 1)
    sums = np.bincount(total, weights=spend, minlength=BEST_SUM + 1)
    there = np.flatnonzero(customers)
    means = np.zeros(BEST_SUM + 1)
    if len(there):
        means = np.interp(np.arange(BEST_SUM + 1), there, sums[there] / customers[there])
    logs = np.log(means * _scale(examples, spend) + DECAYED_FLOOR * examples.mean_spend)
    if not bounds.keys().isdisjoint(examples.monotone):
        logs = np.maximum.accumulate(logs)  # a higher sum may have spent less, by its few customers
    return QuintileSums(bounds, tuple(float(value) for value in logs))


@dataclass(frozen=True)
class RuleFit:
    """How a rule is made of examples, where its columns are among the features.

    `moves` as a member's.
    """

    needs: tuple[str, ...]
    fit: Callable[[Examples], FittedMember]
    moves: Mapping[str, int]


def rule_fits(target: Target) -> Mapping[str, RuleFit]:
    """The rules of a target, by the names in `judging.rules.RULES`."""
    historic, window = target.historic, target.window
    return MappingProxyType(
        {
            "past_spend": RuleFit((historic, RECENCY), _spend_column(historic), {historic: 1}),
            "last_window": RuleFit((window, RECENCY), _spend_column(window), {window: 1}),
            "decayed_spend": RuleFit(
                (target.decayed,), lambda _: DecayedSpend(), {target.decayed: 1}
            ),
            "rfm_quintiles": RuleFit(
                (RECENCY, ORDER_DAYS, historic),
                lambda examples: _quintile_sums(examples, historic),
                {RECENCY: -1, ORDER_DAYS: 1, historic: 1},
            ),
        }
    )


RULE_FITS: Mapping[str, RuleFit] = rule_fits(SPEND)


def rules_for(features: Collection[str], target: Target = SPEND) -> dict[str, RuleFit]:
    """The rules of a target whose columns are there."""
    fits = rule_fits(target).items()
    return {name: rule for name, rule in fits if {*rule.needs} <= {*features}}
