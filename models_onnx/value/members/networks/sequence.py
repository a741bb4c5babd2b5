"""A network that also reads a customer's last orders one by one.

A gated recurrent unit goes over the last eight days with an order, the oldest first: the days since
the one before it, how much was spent, how long ago it was. Its state stands beside the features,
and the rest is as in `ziln.py`. The unit has learned before, without labels, on the histories of
the earliest date: what the next gap and amount will be (`pretrain_epochs`, 0 for none). In a table
of its own the state would have to be kept in step with the model: it is part of the model's file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats, Matrix
from cva_sql.models_onnx.value.estimators.curves import CurvePoint
from cva_sql.models_onnx.value.graph.builder import Graph
from cva_sql.models_onnx.value.graph.network import Dense, Gru, Network
from cva_sql.models_onnx.value.members.contract import Examples, FittedMember, Member, Rows
from cva_sql.models_onnx.value.members.networks.learning import (
    PACE,
    STEPS,
    curve_of,
    learn,
    mean_curve,
    pace_of,
    steady,
    to_network,
)
from cva_sql.models_onnx.value.members.networks.ziln import (
    LAYERS,
    heads_of,
    log_spend,
    minus_log_likelihood,
    targets,
    write_log_spend,
)
from cva_sql.models_onnx.value.preparation.graph import GraphRows
from cva_sql.models_onnx.value.settings import Setting

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

NAME = "sequence_net"
INPUTS = 4  # of a step: log gap, whether there was none, log amount, log age
DAYS, LOGS = 3.0, 0.01  # what logs of days are divided by; what is added to an amount over its unit
GAP, AMOUNT = 0, 2  # the inputs that are foretold in pretraining
PRETRAIN_RATE = 0.003


@dataclass(frozen=True)
class FittedSequence(FittedMember):
    """Recurrent units with the networks that read their states; amounts are over `unit`."""

    unit: float
    pairs: tuple[tuple[Gru, Network], ...]
    held_out: tuple[float, ...] = ()

    def predict(self, rows: Rows) -> Floats:
        """See `FittedMember`."""
        steps, there = steps_of(rows.prepared.beside, self.unit)
        logs = []
        for gru, network in self.pairs:
            x = np.column_stack([rows.z, gru.predict(steps, there)])
            logs.append(log_spend(network.predict(x), rows.prepared))
        return np.asarray(np.mean(logs, axis=0))

    def write(self, graph: Graph, rows: GraphRows) -> str:
        """See `FittedMember`."""
        steps, there = _write_steps(graph, rows.beside, self.unit)
        z, logs = rows.standardised(), []
        for gru, network in self.pairs:
            x = graph.op("Concat", z, gru.write(graph, steps, there), axis=0)
            logs.append(write_log_spend(graph, network.write(graph, x), rows))
        return graph.op("Mul", graph.sum(logs), 1 / len(logs))

    def curve(self, rows: Rows, actual: Floats) -> Sequence[CurvePoint]:
        """The loss by epoch on the examples that said when to stop, mean over the networks."""
        return curve_of(NAME, self.held_out)


def steps_of(beside: Matrix, unit: float) -> tuple[Matrix, Matrix]:
    """(steps, whether each is there), (rows, steps, INPUTS) and (rows, steps), the oldest first.

    `beside` has the age and the amount of each day with an order, the newest first, NaN where there
    is none. The gap before the oldest is not known. One below 0, as where explanations mix two
    customers, counts as 0.
    """
    ages, amounts = beside[:, 0::2], beside[:, 1::2]
    before = np.column_stack([ages[:, 1:], np.full(len(ages), np.nan)])
    gap = before - ages
    steps = np.stack(
        [
            np.log(1.0 + np.maximum(np.nan_to_num(gap), 0.0)) * (1 / DAYS),
            np.isnan(gap) * 1.0,
            np.log(np.maximum(np.nan_to_num(amounts), 0.0) * (1 / unit) + LOGS),
            np.log(1.0 + np.maximum(np.nan_to_num(ages), 0.0)) * (1 / DAYS),
        ],
        axis=-1,
    )
    return steps[:, ::-1], (~np.isnan(ages[:, ::-1])) * 1.0


def _write_steps(graph: Graph, beside: Sequence[str], unit: float) -> tuple[list[str], list[str]]:
    """See `steps_of`: a value a step."""
    ages, amounts = beside[0::2], beside[1::2]
    steps, there = [], []
    for place in reversed(range(len(ages))):
        age = ages[place]
        days = graph.op("Max", graph.op("Where", graph.op("IsNaN", age), 0.0, age), 0.0)
        if place + 1 < len(ages):
            gap = graph.op("Sub", ages[place + 1], age)
            is_nan = graph.op("IsNaN", gap)
            known = graph.op("Max", graph.op("Where", is_nan, 0.0, gap), 0.0)
            gap_log = graph.op("Mul", graph.op("Log", graph.op("Add", known, 1.0)), 1 / DAYS)
            is_first = graph.double(is_nan)
        else:
            gap_log = graph.op("Mul", days, 0.0)
            is_first = graph.op("Add", gap_log, 1.0)
        amount = amounts[place]
        amount = graph.op("Where", graph.op("IsNaN", amount), 0.0, amount)
        amount = graph.op("Mul", graph.op("Max", amount, 0.0), 1 / unit)
        amount = graph.op("Log", graph.op("Add", amount, LOGS))
        ago = graph.op("Mul", graph.op("Log", graph.op("Add", days, 1.0)), 1 / DAYS)
        steps.append(graph.op("Concat", gap_log, is_first, amount, ago, axis=0))
        there.append(graph.op("Sub", 1.0, graph.double(graph.op("IsNaN", age))))
    return steps, there


def _modules(width: int, hidden: Sequence[int], dropout: float, state: int) -> Module:
    """`gru`, the unit, `stack`, the layers that read its state, and `foretell`, to pretrain it."""
    from torch import nn

    return nn.ModuleDict(
        {
            "gru": nn.GRUCell(INPUTS, state),
            "foretell": nn.Linear(state, 2),
            "stack": heads_of(width + state, hidden, dropout),
        }
    )


def _states(module: Any, steps: Tensor, there: Tensor) -> list[Tensor]:
    """The state after each step."""
    import torch

    state = torch.zeros(len(steps), module["gru"].hidden_size)
    found = []
    for place in range(steps.shape[1]):
        is_there = there[:, place : place + 1]
        state = is_there * module["gru"](steps[:, place], state) + (1 - is_there) * state
        found.append(state)
    return found


def _loss(module: Any, rows: Mapping[str, Tensor]) -> Tensor:
    import torch

    state = _states(module, rows["steps"], rows["there"])[-1]
    heads = module["stack"](torch.cat([rows["z"], state], dim=1))
    return minus_log_likelihood(heads, rows)


def pretrain(module: Any, steps: Matrix, there: Matrix, epochs: int, seed: int) -> list[float]:
    """Teaches the unit what comes next, by squared error; the loss by epoch.

    Rows with two orders or more tell; without any nothing is taught.
    """
    import torch

    tells = there.sum(axis=1) > 1
    x = torch.tensor(steps[tells].astype(np.float32))
    is_there = torch.tensor(there[tells].astype(np.float32))
    if not len(x) or not epochs:
        return []
    learned = [*module["gru"].parameters(), *module["foretell"].parameters()]
    optimiser = torch.optim.AdamW(learned, lr=PRETRAIN_RATE)
    draw, losses = np.random.default_rng(seed), []
    for _ in range(epochs):
        total = 0.0
        for batch in torch.tensor(draw.permutation(len(x))).split(max(len(x) // STEPS, STEPS)):
            states = torch.stack(_states(module, x[batch], is_there[batch]), dim=1)
            told = module["foretell"](states[:, :-1])
            came = x[batch][:, 1:, [GAP, AMOUNT]]
            counts = is_there[batch][:, :-1] * is_there[batch][:, 1:]
            miss = ((told - came) ** 2).sum(dim=2) * counts
            loss = miss.sum() / counts.sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += float(loss.detach()) * len(batch)
        losses.append(total / len(x))
    return losses


def fit(examples: Examples) -> FittedSequence:
    """Units and networks of as many seeds."""
    given, rows = examples.settings, examples.rows
    amounts = rows.prepared.beside[:, 1::2]
    known = amounts[np.isfinite(amounts) & (amounts > 0)]
    unit = float(np.median(known)) if len(known) else 1.0
    steps, there = steps_of(rows.prepared.beside, unit)
    columns: dict[str, Matrix] = {
        "z": rows.z.astype(np.float32),
        "steps": steps.astype(np.float32),
        "there": there.astype(np.float32),
        **targets(examples),
    }
    earliest = examples.dates == examples.dates.min()
    learned = []
    for seed in range(given["seed"], given["seed"] + given["networks"]):

        def make() -> Module:
            return _modules(rows.z.shape[1], given["hidden"], given["dropout"], given["state"])

        with steady(seed):
            taught = make()
            pretrain(taught, steps[earliest], there[earliest], given["pretrain_epochs"], seed)
        weights = {name: value.clone() for name, value in taught["gru"].state_dict().items()}

        def start(weights: dict[str, Tensor] = weights) -> Module:
            module = make()
            module["gru"].load_state_dict(weights)
            return module

        learned.append(learn(start, _loss, columns, examples, pace_of(given), seed))
    pairs = tuple((_to_gru(one.module["gru"]), to_network(one.module["stack"])) for one in learned)
    return FittedSequence(unit, pairs, mean_curve(learned))


def _to_gru(cell: Any) -> Gru:
    """The weights of a fitted cell, in double."""

    def dense(weight: Tensor, bias: Tensor) -> Dense:
        return Dense(weight.detach().double().numpy(), bias.detach().double().numpy())

    return Gru(dense(cell.weight_ih, cell.bias_ih), dense(cell.weight_hh, cell.bias_hh))


MEMBER = Member(
    name=NAME,
    place=120,
    weight=0.2,
    kind=NAME,
    fit=fit,
    tunable={
        "state": Setting(16, 1, 1024),
        "pretrain_epochs": Setting(15, 0, 10_000),
        **LAYERS,
        "networks": Setting(2, 1, 50),
        **PACE,
    },
    curve_loss="negative_log_likelihood",
)
