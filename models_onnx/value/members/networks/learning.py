"""How a network learns: Adam, forward early stopping, the same seed the same weights.

It is first fitted to the examples whose labels were complete by the newest date, whose examples say
after how many epochs to stop; then to all examples for as many. Where there are too few of either,
a fifth of the customers says, with all their dates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.estimators.curves import CurvePoint
from cva_sql.models_onnx.value.graph.network import Network, network_of
from cva_sql.models_onnx.value.members.contract import Examples
from cva_sql.models_onnx.value.settings import Setting
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

LEAST_ROWS = 200  # to learn from and of the newest date, fewer and a fifth of the customers says
HELD_OUT = 5
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


def curve_of(name: str, held_out: Sequence[float]) -> list[CurvePoint]:
    """The loss by epoch on the examples that said when to stop, as `FittedMember.curve` has it."""
    return [CurvePoint(name, n, loss) for n, loss in enumerate(held_out, start=1)]


def mean_curve(learned: Sequence[Learned]) -> tuple[float, ...]:
    """The held-out loss by epoch, mean over networks, as far as all of them went."""
    losses = [one.held_out for one in learned]
    return tuple(float(np.mean(epoch)) for epoch in zip(*losses, strict=False))


def has_torch() -> bool:
    """Whether networks can be fitted here."""
    try:
        import torch  # noqa: F401
    except (ImportError, OSError):  # a library of its own may be missing
        return False
    return True


def learn(
    make: Callable[[], Module],
    loss: Loss,
    columns: Mapping[str, NDArray[Any]],
    examples: Examples,
    pace: Pace,
    seed: int,
) -> Learned:
    """Fits what `make` makes to `columns` of the examples, each of (rows, …), by the mean `loss`.

    One thread works, as sums of several differ. Raises CvaError where the loss is no number.
    """
    import torch

    weight = examples.weight / examples.weight.mean()
    given = {name: torch.tensor(column) for name, column in columns.items()}
    given["weight"] = torch.tensor(weight.astype(np.float32))
    learn_from, held = split(examples.dates, examples.customers, examples.label_days)
    with steady(seed):
        first = _Fit(make(), loss, pace, seed)
        losses = first.until_worse(_rows(given, learn_from), _rows(given, held))
        if not np.isfinite(losses).any():
            raise CvaError(
                f"a network's loss is no number after one epoch at learning_rate "
                f"{pace.learning_rate:g}; set a smaller one in cva_member_settings"
            )
        torch.manual_seed(seed)
        final = _Fit(make(), loss, pace, seed)
        for _ in range(int(np.argmin(losses)) + 1):
            final.epoch(given)
    return Learned(final.module.eval(), tuple(losses))


def split(
    dates: NDArray[Any], customers: NDArray[Any], label_days: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The examples to learn from, and those that say when to stop, masks of shape (rows,)."""
    newest = dates == dates.max()
    earlier = dates <= dates.max() - label_days
    if min(newest.sum(), earlier.sum()) >= LEAST_ROWS and label_days > 0:
        return np.asarray(earlier), np.asarray(newest)
    held = np.asarray(customers % HELD_OUT == 0)
    if held.all() or not held.any():
        held = np.arange(len(dates)) % HELD_OUT == 0
    return ~held, held


def _rows(columns: Columns, mask: NDArray[np.bool_]) -> dict[str, Tensor]:
    import torch

    chosen = torch.tensor(mask)
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
        order = torch.tensor(self.draw.permutation(rows))
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
