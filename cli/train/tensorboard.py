"""The curves of a training as event files that TensorBoard shows."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.shop.progress import say
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from cva_sql.models_onnx.value.estimators.curves import CurvePoint


def check_tensorboard(folder: Path | None) -> None:
    """Raises UsageError where nothing can be written, before minutes were spent."""
    if folder is None:
        return
    from cva_sql.models_onnx.value.members.networks.learning import HOW

    if find_spec("tensorboard") is None or find_spec("torch") is None:
        raise UsageError(f"--tensorboard: TensorBoard is not installed: {HOW}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--tensorboard {folder}: {error.strerror}; expected a folder") from error


def write_curves(folder: Path, name: str, curves: Sequence[CurvePoint]) -> None:
    """Adds the loss by round or epoch of each member to `folder`, under this name."""
    from torch.utils.tensorboard import SummaryWriter

    from cva_sql.models_onnx.value.members.registry import curve_losses

    losses = curve_losses()
    try:
        with SummaryWriter(str(folder / name)) as writer:
            for point in curves:
                tag = f"{point.model}/{losses[point.model]}"
                writer.add_scalar(tag, point.loss, point.rounds)
    except OSError as error:  # the model is there, and its curves are in cva_training_runs
        say(f"{folder}: the curves were not written: {error.strerror}")
