"""The training itself: step by step, kept so that a killed one goes on to the same weights.

What is drawn in a step depends on the seed and the step's number alone, and so do its texts and its
learning rate. A checkpoint therefore holds what has been learned, the optimiser and the ranks'
budget, and on one machine the weights come out the same to the bit, however often it was killed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.encoder.finetune.batches import Texts, rows_of_step
from cva_sql.models_onnx.encoder.finetune.checkpoint import (
    check_checkpoint,
    forget_peak,
    peak_memory,
    read_checkpoint,
    steady,
)
from cva_sql.models_onnx.encoder.finetune.corpus import Corpus
from cva_sql.models_onnx.encoder.finetune.methods import (
    after_step,
    orthogonality,
    ranks_state,
    restore_ranks,
    teachable,
)
from cva_sql.models_onnx.encoder.finetune.objectives import Objectives, make_heads
from cva_sql.models_onnx.encoder.finetune.recipe import Recipe
from cva_sql.udfs.errors import CvaError

HEAD_RATE = 0.001  # the heads begin with nothing, whatever the encoder's learning rate
LARGEST_GRADIENT = 1.0  # its norm; no text may throw the weights about
CURVE_EVERY = 10  # steps to a point
JUDGED = 128  # held-out texts that the curve is measured on
REPORT_SECONDS = 10.0


@dataclass(frozen=True)
class Point:
    """The loss of an objective after so many steps, a mean over those since the last point.

    `is_held_out`: of customers who are not trained on.
    """

    objective: str
    step: int
    loss: float
    is_held_out: bool


@dataclass
class State:
    """How far it is, and what was found on the way; `since` are losses of no point yet."""

    step: int = 0
    curve: list[Point] = field(default_factory=list)
    seconds: float = 0.0
    since: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Learned:
    """The model with what it learned still apart, and how it went.

    `is_whole`: all steps were made; else the minutes were over. `parameters` is how many numbers
    learned, heads left out; `peak_bytes` the most memory of the process, None where not known.
    """

    model: Any
    curve: tuple[Point, ...]
    steps: int
    seconds: float
    is_whole: bool
    parameters: int
    peak_bytes: int | None
    device: str


def fine_tune(
    folder: Path,
    tokenizer: bytes,
    corpus: Corpus,
    recipe: Recipe,
    *,
    minutes: float,
    saved: bytes | None,
    save: Callable[[bytes], None],
    report: Callable[[str], None],
) -> Learned:
    """Teaches the encoder of `folder`, from a checkpoint where one is given.

    `save` gets each checkpoint, every `save_every` steps and at the end. Raises UsageError for a
    checkpoint of other texts or settings, CvaError where memory or a loss goes beyond bounds.
    """
    state = read_checkpoint(saved)
    check_checkpoint(state, corpus, recipe)
    forget_peak()
    with steady(state.get("threads")):
        run = _Run(folder, tokenizer, corpus, recipe, state)
        is_whole = run.go(minutes * 60, save, report)
    return Learned(
        run.model,
        tuple(run.state.curve),
        run.state.step,
        run.state.seconds,
        is_whole,
        sum(one.numel() for one in run.trained.values()),
        peak_memory(),
        str(run.device),
    )


class _Run:
    """A training on its way."""

    def __init__(
        self,
        folder: Path,
        tokenizer: bytes,
        corpus: Corpus,
        recipe: Recipe,
        saved: Mapping[str, Any],
    ) -> None:
        import torch
        from transformers import AutoModel

        self.recipe, self.corpus = recipe, corpus
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.texts = Texts(corpus, tokenizer, recipe.whole("tokens"))
        self._seed(0)
        model = AutoModel.from_pretrained(str(folder), add_pooling_layer=False)
        self.model = teachable(model, recipe).to(self.device).train()
        self.trained = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        table = self.model.get_input_embeddings().weight
        self.heads = make_heads(table.shape[1], table.shape[0], len(self.texts.levels), recipe).to(
            self.device
        )
        self.objectives = Objectives(self.model, self.heads, self.texts.tokens, recipe)
        groups = [{"params": list(self.trained.values())}]
        if list(self.heads.parameters()):
            groups.append({"params": list(self.heads.parameters())})
        self.rates = (recipe.number("learning_rate"), HEAD_RATE)
        self.optimiser = torch.optim.AdamW(
            groups, lr=self.rates[0], weight_decay=recipe.number("weight_decay")
        )
        self.state = State()
        if saved:
            self._restore(saved)

    def go(
        self, seconds: float, save: Callable[[bytes], None], report: Callable[[str], None]
    ) -> bool:
        """Makes the steps that are left, as far as the seconds go; whether it made them all."""
        started, before = time.monotonic(), self.state.seconds
        said, first = started, self.state.step
        while self.state.step < self.recipe.steps and time.monotonic() - started < seconds:
            self.state.since.append(self._step())
            done = self.state.step
            self.state.seconds = before + time.monotonic() - started
            if done % CURVE_EVERY == 0 or done == self.recipe.steps:
                self._add_points(self.state.since, is_held_out=False)
                self.state.since = []
            if done % self.recipe.whole("save_every") == 0 and done < self.recipe.steps:
                self._keep(save)
            if time.monotonic() - said >= REPORT_SECONDS:
                said = time.monotonic()
                report(self._progress(said - started, done - first))
            self._check_memory()
        if self.state.step > first or not first:
            self._keep(save)
        return self.state.step >= self.recipe.steps

    def _progress(self, seconds: float, steps: int) -> str:
        left = (self.recipe.steps - self.state.step) * seconds / max(steps, 1)
        seen = {point.objective: point.loss for point in self.state.curve if not point.is_held_out}
        losses = ", ".join(f"{name} {loss:.3f}" for name, loss in seen.items())
        return f"step {self.state.step:,} of {self.recipe.steps:,}, {left:,.0f} s left; {losses}"

    def _step(self) -> dict[str, float]:
        import torch

        step = self.state.step
        self._seed(step + 1)
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=False):
            group["lr"] = rate * self._pace(step)
        rows = rows_of_step(
            self.texts.train, step, self.recipe.whole("batch_size"), self.recipe.whole("seed")
        )
        self.optimiser.zero_grad()
        losses = self._losses(rows)
        total = sum(self.recipe.objectives[name] * loss for name, loss in losses.items())
        total = total + orthogonality(self.model, self.recipe)
        if not bool(torch.isfinite(torch.as_tensor(total))):
            raise CvaError(
                f"the loss is no number after {step} steps; learn more slowly: --params "
                f"learning_rate={self.recipe.number('learning_rate') / 10:g}"
            )
        if losses:
            total.backward()
            parameters = [*self.trained.values(), *self.heads.parameters()]
            torch.nn.utils.clip_grad_norm_(parameters, LARGEST_GRADIENT)
            self.optimiser.step()
            after_step(self.model, self.recipe, step)
        self.state.step += 1
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def _losses(self, rows: NDArray[np.intp]) -> Any:
        import torch

        batch = self.texts.batch(rows, self.device, halved=bool(self.recipe.whole("halves")))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            return self.objectives.losses(batch)

    def _seed(self, number: int) -> None:
        import torch

        drawn = np.random.SeedSequence([self.recipe.whole("seed"), number]).generate_state(1)
        torch.manual_seed(int(drawn[0]))

    def _pace(self, step: int) -> float:
        """The share of the learning rate: up to 1 while it warms up, then evenly down to 0."""
        warm = self.recipe.number("warmup") * self.recipe.steps
        if step < warm:
            return (step + 1) / (warm + 1)
        return (self.recipe.steps - step) / max(self.recipe.steps - warm, 1.0)

    def _add_points(self, losses: list[dict[str, float]], *, is_held_out: bool) -> None:
        for name in self.recipe.objectives:
            found = [one[name] for one in losses if name in one]
            if found:
                point = Point(name, self.state.step, float(np.mean(found)), is_held_out)
                self.state.curve.append(point)

    def _keep(self, save: Callable[[bytes], None]) -> None:
        """A point of the curve on held-out customers, then the checkpoint."""
        import torch

        if all(p.step < self.state.step for p in self.state.curve if p.is_held_out):
            size, losses = self.recipe.whole("batch_size"), list[dict[str, float]]()
            rows = self.texts.held_out[:JUDGED]
            with torch.no_grad():
                for first in range(0, len(rows), size):
                    self._seed(first)  # with the dropout of a step: contrastive is nothing else
                    found = self._losses(rows[first : first + size])
                    losses.append({name: float(loss) for name, loss in found.items()})
            self._add_points(losses, is_held_out=True)
        save(self._checkpoint())

    def _checkpoint(self) -> bytes:
        import torch

        kept = {
            "recipe": self.recipe.to_dict(),
            "fingerprint": self.corpus.fingerprint,
            "threads": torch.get_num_threads(),
            "step": self.state.step,
            "seconds": self.state.seconds,
            "since": self.state.since,
            "curve": [(p.objective, p.step, p.loss, p.is_held_out) for p in self.state.curve],
            "model": {name: value.detach() for name, value in self.trained.items()},
            "heads": self.heads.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "ranks": ranks_state(self.model, self.recipe),
        }
        data = BytesIO()
        torch.save(kept, data)
        return data.getvalue()

    def _restore(self, saved: Mapping[str, Any]) -> None:
        import torch

        with torch.no_grad():
            for name, value in saved["model"].items():
                self.trained[name].copy_(value)
        self.heads.load_state_dict(saved["heads"])
        self.optimiser.load_state_dict(saved["optimiser"])
        restore_ranks(self.model, saved["ranks"])
        curve = [Point(*point) for point in saved["curve"]]
        self.state = State(saved["step"], curve, saved["seconds"], list(saved["since"]))

    def _check_memory(self) -> None:
        peak, most = peak_memory(), self.recipe.number("memory_gb")
        if peak is not None and peak > most * 1e9:
            size = max(2, self.recipe.whole("batch_size") // 2)
            raise CvaError(
                f"fine-tuning took {peak / 1e9:.1f} GB, and memory_gb is {most:g}; begin anew with "
                f"more, or with --params batch_size={size}"
            )
