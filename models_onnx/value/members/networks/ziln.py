"""One network for spend, orders and purchase, which share its layers, on top of buy till you die.

Spend is zero-inflated lognormal (Wang, Liu and Miao 2019, arXiv:1912.07753): a purchase is a matter
of probability, what a buyer spends of a lognormal. Orders are Poisson, each over its date's mean.
What buy till you die expects is the start of probability and amount, and the network learns what to
add to their logs: from nothing it needs more customers than most shops have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats, Matrix, sigmoid
from cva_sql.models_onnx.value.estimators.curves import CurvePoint
from cva_sql.models_onnx.value.graph.builder import Graph
from cva_sql.models_onnx.value.graph.network import Network
from cva_sql.models_onnx.value.members.contract import Examples, FittedMember, Member, Rows
from cva_sql.models_onnx.value.members.networks.learning import (
    PACE,
    curve_of,
    dense_stack,
    learn,
    mean_curve,
    pace_of,
    to_network,
)
from cva_sql.models_onnx.value.preparation.graph import GraphRows
from cva_sql.models_onnx.value.preparation.rows import Prepared
from cva_sql.models_onnx.value.settings import Setting

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

NAME = "ziln_net"
HEADS = 4  # what is added to the logit and to the log amount; sigma; log orders
# In logs, of what buyers spend: a variance without bounds lets the mean explode
# (google/lifetime_value #16).
LEAST_SIGMA, MOST_SIGMA = 0.2, 1.5
LARGEST_LOGIT, LARGEST_LOG, LARGEST_ORDERS = 15.0, 10.0, 5.0


LAYERS: Mapping[str, Setting] = MappingProxyType(
    {
        "hidden": Setting((64, 32), 1, 4096),
        "dropout": Setting(0.3, 0.0, 0.95, (0.0, 0.6)),
    }
)


@dataclass(frozen=True)
class FittedZiln(FittedMember):
    """Networks whose logs of expected spend are averaged."""

    networks: tuple[Network, ...]
    held_out: tuple[float, ...] = ()

    def predict(self, rows: Rows) -> Floats:
        """See `FittedMember`."""
        logs = [log_spend(network.predict(rows.z), rows.prepared) for network in self.networks]
        return np.asarray(np.mean(logs, axis=0))

    def write(self, graph: Graph, rows: GraphRows) -> str:
        """See `FittedMember`."""
        z = rows.standardised()
        logs = [write_log_spend(graph, network.write(graph, z), rows) for network in self.networks]
        return graph.op("Mul", graph.sum(logs), 1 / len(logs))

    def curve(self, rows: Rows, actual: Floats) -> Sequence[CurvePoint]:
        """The loss by epoch on the examples that said when to stop, mean over the networks."""
        return curve_of(NAME, self.held_out)


def log_sigmoid(logit: Floats) -> Floats:
    return -np.logaddexp(0.0, -logit)


def log_spend(heads: Matrix, prepared: Prepared) -> Floats:
    """log of expected spend from the heads, (rows, HEADS)."""
    logit = np.clip(prepared.logit_purchase + heads[:, 0], -LARGEST_LOGIT, LARGEST_LOGIT)
    own = prepared.log_spend - log_sigmoid(prepared.logit_purchase)
    sigma = LEAST_SIGMA + (MOST_SIGMA - LEAST_SIGMA) * sigmoid(heads[:, 2])
    amount = np.clip(heads[:, 1], -LARGEST_LOG, LARGEST_LOG) + sigma**2 / 2
    return np.asarray(own + amount + log_sigmoid(logit))


def _write_log_sigmoid(graph: Graph, logit: str) -> str:
    """Not the Log of Sigmoid, which has no digits left below a logit of −30."""
    never = graph.op("Log", graph.op("Add", graph.op("Exp", graph.op("Neg", logit)), 1.0))
    return graph.op("Neg", never)


def write_log_spend(graph: Graph, heads: str, rows: GraphRows) -> str:
    """The same as a value of the ONNX graph, (1, rows), from (HEADS, rows)."""
    own_logit = rows.logit_purchase
    own_amount = graph.op("Sub", rows.log_spend, _write_log_sigmoid(graph, own_logit))
    more, amount, sigma = (graph.lines(heads, place, place + 1) for place in range(3))
    logit = graph.clip(graph.op("Add", own_logit, more), -LARGEST_LOGIT, LARGEST_LOGIT)
    rise = graph.op("Mul", graph.op("Sigmoid", sigma), MOST_SIGMA - LEAST_SIGMA)
    sigma = graph.op("Add", rise, LEAST_SIGMA)
    half = graph.op("Mul", graph.op("Mul", sigma, sigma), 0.5)
    amount = graph.op("Add", graph.clip(amount, -LARGEST_LOG, LARGEST_LOG), half)
    return graph.sum([own_amount, amount, _write_log_sigmoid(graph, logit)])


def _loss(module: Module, rows: Mapping[str, Tensor]) -> Tensor:
    return minus_log_likelihood(module(rows["z"]), rows)


def minus_log_likelihood(heads: Tensor, rows: Mapping[str, Tensor]) -> Tensor:
    """That of purchase, amount if any, and orders, of each row, by `targets`."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits, poisson_nll_loss

    bought = rows["bought"]
    logit = (rows["logit"] + heads[:, 0]).clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
    sigma = LEAST_SIGMA + (MOST_SIGMA - LEAST_SIGMA) * torch.sigmoid(heads[:, 2])
    miss = (rows["log_more"] - heads[:, 1].clamp(-LARGEST_LOG, LARGEST_LOG)) / sigma
    orders = heads[:, 3].clamp(-LARGEST_ORDERS, LARGEST_ORDERS)
    return (
        binary_cross_entropy_with_logits(logit, bought, reduction="none")
        + bought * (torch.log(sigma) + miss**2 / 2)
        + poisson_nll_loss(orders, rows["orders"], reduction="none")
    )


def targets(examples: Examples) -> dict[str, Floats]:
    """What is learned, each (rows,): `log_more` is a buyer's spend over what was expected of one.

    Each date's total and share of buyers are set right, as they are no member's task.
    """
    bought = examples.value > 0
    logit = examples.purchase_offset
    own = examples.spend_offset - log_sigmoid(logit)
    spent = np.log(np.where(bought, examples.value, 1.0))
    return {
        "bought": bought.astype(np.float32),
        "logit": logit.astype(np.float32),
        "log_more": np.where(bought, spent - own, 0.0).astype(np.float32),
        "orders": examples.orders_over_mean.astype(np.float32),
    }


def heads_of(inputs: int, hidden: Sequence[int], dropout: float) -> Module:
    """Dense layers that say at first what buy till you die expects."""
    from torch import nn

    stack = dense_stack(inputs, hidden, HEADS, dropout)
    nn.init.zeros_(stack[-1].weight)
    nn.init.zeros_(stack[-1].bias)
    return stack


def fit(examples: Examples) -> FittedZiln:
    """Networks of as many seeds, the mean of which varies less than each."""
    given, rows = examples.settings, examples.rows

    def make() -> Module:
        return heads_of(rows.z.shape[1], given["hidden"], given["dropout"])

    columns: dict[str, Matrix] = {"z": rows.z.astype(np.float32), **targets(examples)}
    learned = [
        learn(
            make,
            _loss,
            columns,
            examples,
            pace_of(given),
            given["seed"] + place,
        )
        for place in range(given["networks"])
    ]
    return FittedZiln(tuple(to_network(one.module) for one in learned), mean_curve(learned))


MEMBER = Member(
    name=NAME,
    place=110,
    weight=0.2,
    kind=NAME,
    fit=fit,
    tunable={
        **LAYERS,
        "networks": Setting(3, 1, 50),
        **PACE,
    },
    curve_loss="negative_log_likelihood",
)
