"""What a candidate is: fitted on the baskets before a day, it scores products for customers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cva_sql.models_onnx.recommend.baskets import Baskets, Index, Scores

EXTRA = "recommend"  # of this package: what brings implicit


class Scorer(Protocol):
    """A fitted candidate."""

    def __call__(self, customers: Index) -> Scores:
        """(len(customers), products), more is better, 0 where it has nothing to say."""


@dataclass(frozen=True)
class Candidate:
    """A way to recommend, declared in a module attribute `CANDIDATE`.

    `fit` gets the baskets before `day` and the horizon in days, and gives None where it cannot
    work: no vectors, too many products. `reason` is the sentence for a product it put forward;
    {product} is the customer's own product that speaks for it most, {days} the customer's rhythm.
    `is_rule` marks what people use today without a model: a ranker has to beat those. `extra` is
    what has to be installed for it.
    """

    name: str
    fit: Callable[[Baskets, int, int], Scorer | None]
    reason: str
    is_rule: bool = False
    extra: str | None = None
