"""How a network learns: Adam, forward early stopping, the same seed the same weights.

With two past dates or more it is first fitted on all but the newest, whose examples say after how
many epochs to stop; then on all examples for as many. With one date a fifth of its examples says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.graph.network import Network, network_of
from cva_sql.models_onnx.value.settings import Setting

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

LEAST_ROWS = 200  # of the newest date, fewer and a share of all examples says when to stop
HELD_OUT = 5  # every so manieth example is that share
PACE: Mapping[str, Setting] = MappingProxyType(
    {
        "learning_rate": Setting(0.001, 1e-6, 1.0, (0.0003, 0.01), is_log=True),
        "weight_decay": Setting(0.01, 0.0, 10.0, (0.001, 0.3), is_log=True),
        "batch_size": Setting(2048, 1, 1_000_000),
        "epochs": Setting(40, 1, 10_000),
        "patience": Setting(4, 1, 10_000),
        "seed": Setting(7, 0, 2**31 - 1),
    }
)
STEPS, LEAST_BATCH = 32, 32  # of an epoch at least, in batches of at least so many examples
LARGEST_GRADIENT = 1.0  # its norm; a whale must not throw the weights about
HOW = "pip install torch==2.13.0, then pip install 'cva-sql[train]'"  # it would else be a GPU's

Columns = Mapping[str, "Tensor"]
Loss = Callable[["Module", Columns], "Tensor"]  # of each row


@dataclass(frozen=True)
class Pace:
    """How fast and how long is learned; `patience` are epochs without a better held-out loss.

    `batch_size` is the most: a small shop's batches are smaller.
    """

    learning_rate: float
    weight_decay: float
    batch_size: int
    epochs: int
    patience: int


@dataclass(frozen=True)
class Learned:
    """A network with its weights, and the loss on held-out examples by epoch, from 1."""

    module: Module
    epochs: int
    held_out: tuple[float, ...]


def pace_of(settings: Mapping[str, Any]) -> Pace:
    """The pace among a member's settings."""
    return Pace(**{name: settings[name] for name in Pace.__dataclass_fields__})


def dense_stack(inputs: int, hidden: Sequence[int], outputs: int, dropout: float) -> Module:
    """Dense layers with ReLU and dropout after each hidden one."""
    from torch import nn

    layers: list[Module] = []
    for width in hidden:
        layers += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def to_network(module: Module) -> Network:
    """The dense layers of a fitted module."""
    from torch import nn

    return network_of(
        [
            (layer.weight.detach().numpy(), layer.bias.detach().numpy())
            for layer in module.modules()
            if isinstance(layer, nn.Linear)
        ]
    )


def mean_curve(learned: Sequence[Learned]) -> tuple[float, ...]:
    """The held-out loss by epoch, mean over networks, as far as all of them went."""
    losses = [one.held_out for one in learned]
    return tuple(float(np.mean(epoch)) for epoch in zip(*losses, strict=False))


def has_torch() -> bool:
    """Whether networks can be fitted here."""
    return find_spec("torch") is not None


def learn(
    make: Callable[[], Module],
    loss: Loss,
    columns: Mapping[str, NDArray[Any]],
    weight: Floats,
    dates: NDArray[Any],
    pace: Pace,
    seed: int,
) -> Learned:
    """Fits what `make` makes to `columns`, each of (rows, …), by the mean weighted `loss`.

    `dates` is each row's date as a number that grows. One thread works, as sums of several differ.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    weight = weight / weight.mean()
    given = {name: torch.tensor(column, device=device) for name, column in columns.items()}
    given["weight"] = torch.tensor(weight.astype(np.float32), device=device)
    held = held_out_rows(dates)
    with steady(seed):
        first = _Fit(make().to(device), loss, pace, seed)
        losses = first.until_worse(_rows(given, ~held), _rows(given, held))
        epochs = int(np.argmin(losses)) + 1
        torch.manual_seed(seed)
        final = _Fit(make().to(device), loss, pace, seed)
        for _ in range(epochs):
            final.epoch(given)
    return Learned(final.module.eval().cpu(), epochs, tuple(losses))


def held_out_rows(dates: NDArray[Any]) -> NDArray[np.bool_]:
    """The examples that say when to stop: those of the newest date, or every fifth of one date."""
    newest = dates == dates.max()
    if LEAST_ROWS <= newest.sum() <= len(dates) // 2:
        return np.asarray(newest)
    return np.asarray(np.arange(len(dates)) % HELD_OUT == 0)


def _rows(columns: Columns, mask: NDArray[np.bool_]) -> dict[str, Tensor]:
    import torch

    chosen = torch.tensor(mask, device=columns["weight"].device)
    return {name: column[chosen] for name, column in columns.items()}


@contextmanager
def steady(seed: int) -> Iterator[None]:
    """Torch with this seed on one thread; its state is as before afterwards."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


class _Fit:
    """One network on its way; `module` is it as it is now."""

    def __init__(self, module: Module, loss: Loss, pace: Pace, seed: int) -> None:
        import torch

        self.module, self.loss, self.pace = module, loss, pace
        self.optimiser = torch.optim.AdamW(
            module.parameters(), lr=pace.learning_rate, weight_decay=pace.weight_decay
        )
        self.draw = np.random.default_rng(seed)

    def epoch(self, columns: Columns) -> None:
        """Each example once, in a new order."""
        import torch

        self.module.train()
        rows = len(columns["weight"])
        size = min(self.pace.batch_size, max(rows // STEPS, LEAST_BATCH))
        order = torch.tensor(self.draw.permutation(rows)).to(columns["weight"].device)
        for batch in order.split(size):
            part = {name: column[batch] for name, column in columns.items()}
            self.optimiser.zero_grad()
            (self.loss(self.module, part) * part["weight"]).mean().backward()
            torch.nn.utils.clip_grad_norm_(self.module.parameters(), LARGEST_GRADIENT)
            self.optimiser.step()

    def until_worse(self, columns: Columns, held: Columns) -> list[float]:
        """The held-out loss by epoch, until it has not been better for a while."""
        losses: list[float] = []
        while len(losses) < self.pace.epochs:
            self.epoch(columns)
            losses.append(self.held_out_loss(held))
            best = int(np.argmin(losses))
            if not np.isfinite(losses[-1]) or len(losses) - 1 - best >= self.pace.patience:
                break
        return [loss if np.isfinite(loss) else float("inf") for loss in losses]

    def held_out_loss(self, held: Columns) -> float:
        import torch

        self.module.eval()
        with torch.no_grad():
            return float((self.loss(self.module, held) * held["weight"]).mean())
