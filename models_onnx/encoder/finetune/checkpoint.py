"""Checkpoints of a training: what they hold, whose they are, and the state of torch around them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

from cva_sql.models_onnx.encoder.finetune.corpus import Corpus
from cva_sql.models_onnx.encoder.finetune.recipe import Recipe, recipe_of
from cva_sql.udfs.cores import cores
from cva_sql.udfs.errors import UsageError


def read_checkpoint(saved: bytes | None) -> dict[str, Any]:
    """What a checkpoint holds; nothing without one. Raises UsageError for a broken one."""
    import torch

    if saved is None:
        return {}
    try:
        return dict(torch.load(BytesIO(saved), weights_only=True, map_location="cpu"))
    except Exception as error:  # noqa: BLE001 - whatever it stumbles over, it is no checkpoint
        why = " ".join(str(error).split())[:100]
        raise UsageError(
            f"the checkpoint cannot be read ({why}); begin anew, without --resume"
        ) from None


def check_checkpoint(state: Mapping[str, Any], corpus: Corpus, recipe: Recipe) -> None:
    """Raises UsageError where a checkpoint was made of other texts or otherwise."""
    if not state:
        return
    if state["fingerprint"] != corpus.fingerprint:
        raise UsageError(
            "--resume: the shop's texts have changed since; begin anew, without --resume"
        )
    if recipe_of(state["recipe"]) != recipe:
        raise UsageError("--resume goes on as it began; leave out what is asked otherwise")


@contextmanager
def steady(threads: int | None) -> Iterator[None]:
    """Torch with the threads of before and sums in a fixed order; all as it was afterwards."""
    import torch

    before, was_fixed = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads or cores())
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(was_fixed)


def forget_peak() -> None:
    """Lets `peak_memory` begin anew, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int | None:
    """The most bytes that this process held; None where the system does not say."""
    with suppress(OSError, ValueError, IndexError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return 1024 * int(next(one for one in lines if one.startswith("VmHWM")).split()[1])
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
