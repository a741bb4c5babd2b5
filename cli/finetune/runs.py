"""A fine-tuning in cva_training_runs, and its curves for TensorBoard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.shop.connection import connect
from cva_sql.cli.shop.progress import say

if TYPE_CHECKING:
    from cva_sql.cli.finetune.tuning import Taught
    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.models_onnx.encoder.finetune.learning import Point
    from cva_sql.models_onnx.value.training.runs import Entry

ENCODER = "encoder"  # how the rows call what was taught


def curve_name(point: Point) -> str:
    """What a point of the curve is of."""
    return f"{point.objective}_held_out" if point.is_held_out else point.objective


def record_run(shop: ResolvedShop, taught: Taught, *, is_deployed: bool, reason: str) -> None:
    """Adds the fine-tuning to the table: its curves, what it was judged by, its settings."""
    from cva_sql.models_onnx.value.training.runs import Run, append_training_run

    run = Run(datetime.now(UTC), taught.key, taught.plan, is_deployed, reason)
    con = connect(shop.db)
    try:
        append_training_run(con, shop.schema, run, [*_found(taught), *_settings(taught)])
    finally:
        con.close()


def _found(taught: Taught) -> Iterator[Entry]:
    from cva_sql.models_onnx.value.training.runs import Entry

    for point in taught.learned.curve:
        yield Entry("curve", curve_name(point), ENCODER, point.step, point.loss)
    for figure in taught.verdict.figures:
        values = {
            figure.name: figure.after,
            f"{figure.name}_before": figure.before,
            f"{figure.name}_gain": figure.difference,
            f"{figure.name}_gain_lower": figure.lower,
            f"{figure.name}_gain_upper": figure.upper,
        }
        for name, value in values.items():
            yield Entry("score", name, ENCODER, value=value)


def _settings(taught: Taught) -> Iterator[Entry]:
    from cva_sql.models_onnx.value.training.runs import Entry

    recipe, learned = taught.recipe, taught.learned
    yield Entry("setting", "method", ENCODER, text=recipe.method)
    yield Entry("setting", "trained_before", ENCODER, text=taught.texts.first_cutoff.isoformat())
    numbers = {
        **{f"objective_{name}": weight for name, weight in recipe.objectives.items()},
        **{name: recipe.number(name) for name in recipe.values},
        "steps": learned.steps,
        "trained_parameters": learned.parameters,
    }
    for name, number in numbers.items():
        yield Entry("setting", name, ENCODER, value=float(number))


def write_board(folder: Path, name: str, curve: Sequence[Point]) -> None:
    """Adds the losses by step to `folder`, under this name."""
    from torch.utils.tensorboard import SummaryWriter

    try:
        with SummaryWriter(str(folder / name)) as writer:
            for point in curve:
                writer.add_scalar(f"{ENCODER}/{curve_name(point)}", point.loss, point.step)
    except OSError as error:  # the encoder is there, and its curves are in cva_training_runs
        say(f"{folder}: the curves were not written: {error.strerror}")
