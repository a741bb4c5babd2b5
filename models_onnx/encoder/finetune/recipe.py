"""What a fine-tuning is asked for: its method, what it learns from, and its settings."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from cva_sql.models_onnx.value.settings import Setting, Value, values_of
from cva_sql.udfs.errors import UsageError

LORA, ADALORA, ADAPTER, FULL = METHODS = ("lora", "adalora", "adapter", "full")
CONTRASTIVE, MASKED, RATING, SPEND = OBJECTIVES = ("contrastive", "mlm", "rating", "value")
LABELLED = (RATING, SPEND)
USUAL_STEPS, USUAL_MINUTES = 600, 30.0
MOST_STEPS = 1_000_000

_SHARED = {
    "batch_size": Setting(16, 2, 1024),
    "tokens": Setting(128, 8, 256),
    "weight_decay": Setting(0.01, 0.0, 10.0),
    "warmup": Setting(0.06, 0.0, 1.0),  # of all steps
    "temperature": Setting(0.05, 0.001, 10.0),  # SimCSE's (Gao et al. 2021, arXiv:2104.08821)
    # Pairs are the two halves of a text; with 0 two dropouts of it, which the encoder tells already
    # from the others of a batch (a loss of 0.001 on clothing reviews): little is left to learn.
    "halves": Setting(1, 0, 1),
    "mask_share": Setting(0.15, 0.01, 0.9),  # BERT's (Devlin et al. 2019, arXiv:1810.04805)
    "save_every": Setting(50, 1, MOST_STEPS),
    "memory_gb": Setting(6.0, 0.1, 10_000.0),
    "seed": Setting(7, 0, 2**31 - 1),
}
_RANKS = {
    "learning_rate": Setting(0.0005, 1e-7, 1.0),
    "rank": Setting(8, 1, 384),
    "alpha": Setting(16.0, 0.01, 10_000.0),
    "dropout": Setting(0.05, 0.0, 0.9),
}
SETTINGS: Mapping[str, Mapping[str, Setting]] = MappingProxyType(
    {
        LORA: {**_RANKS, **_SHARED},
        # AdaLoRA begins with half as many ranks again and gives them where they matter.
        ADALORA: {**_RANKS, "learning_rate": Setting(0.001, 1e-7, 1.0), **_SHARED},
        ADAPTER: {
            "learning_rate": Setting(0.0005, 1e-7, 1.0),
            "width": Setting(48, 1, 1024),
            **_SHARED,
        },
        FULL: {"learning_rate": Setting(0.00002, 1e-8, 1.0), **_SHARED},
    }
)


@dataclass(frozen=True)
class Recipe:
    """What is learned and how; the same recipe and texts give the same weights.

    `objectives` is name -> weight in the loss, all above 0.
    """

    method: str
    objectives: Mapping[str, float]
    steps: int
    values: Mapping[str, Value]

    def number(self, name: str) -> float:
        """A setting as a number with a fraction."""
        value = self.values[name]
        assert not isinstance(value, tuple)
        return float(value)

    def whole(self, name: str) -> int:
        """A setting that is a whole number."""
        return int(self.number(name))

    def to_dict(self) -> dict[str, Any]:
        """As the file beside the weights says it."""
        return {
            "method": self.method,
            "objectives": dict(self.objectives),
            "steps": self.steps,
            "settings": dict(self.values),
        }


def recipe_of(said: Mapping[str, Any]) -> Recipe:
    """The recipe that `to_dict` made."""
    return Recipe(said["method"], said["objectives"], said["steps"], said["settings"])


def make_recipe(
    method: str | None, objective: str | None, steps: int | None, given: Mapping[str, Any]
) -> Recipe:
    """The recipe of what was asked; raises UsageError for what cannot be."""
    method = LORA if method is None else method
    if method not in METHODS:
        raise UsageError(f"--method {method}: expected {', '.join(METHODS)}")
    steps = USUAL_STEPS if steps is None else steps
    if not 1 <= steps <= MOST_STEPS:
        raise UsageError(f"--steps {steps}: expected a whole number from 1 to {MOST_STEPS}")
    known, values = SETTINGS[method], dict[str, Value]()
    for name, value in given.items():
        if name not in known:
            near = difflib.get_close_matches(str(name), list(known), n=3, cutoff=0.5)
            said = f"nearest: {', '.join(near)}" if near else f"expected some of {', '.join(known)}"
            raise UsageError(f"--params has {str(name)[:80]} for method {method}; {said}")
        values[name] = known[name].read(value, f"--params: {name}")
    return Recipe(method, parse_objectives(objective), steps, values_of(known, values))


def parse_objectives(text: str | None) -> dict[str, float]:
    """`contrastive=1,rating=0.5` as name -> weight; without a weight it is 1.

    By default contrastive, which needs no labels. Raises UsageError.
    """
    found = dict[str, float]()
    for part in (CONTRASTIVE if text is None else text).split(","):
        name, _, weight = (piece.strip() for piece in part.partition("="))
        if name not in OBJECTIVES or name in found:
            raise UsageError(
                f"--objective {str(text)[:80]}: expected some of {', '.join(OBJECTIVES)}, each "
                "once, e.g. contrastive=1,rating=0.5"
            )
        try:
            found[name] = float(weight or 1)
        except ValueError:
            found[name] = 0.0
        if not 0 < found[name] <= 1e6:
            raise UsageError(f"--objective {name}={weight[:80]}: expected a weight above 0")
    return found


def show_settings() -> str:
    """Every method's settings with their defaults, as YAML."""
    lines = []
    for method, settings in SETTINGS.items():
        lines.append(f"# --method {method}")
        lines += [f"{name}: {one.default}  # from {one.bounds}" for name, one in settings.items()]
    return "\n".join(lines)
