"""The texts that an encoder is taught on, and which customers say how it goes."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.encoder.finetune.recipe import CONTRASTIVE, MASKED, RATING, SPEND, Recipe

HELD_OUT = 5  # one customer of so many is never trained on


@dataclass(frozen=True)
class Corpus:
    """Texts in a fixed order, one entry each; nothing of them is later than the first cutoff.

    `customers` are ids, '' for a text of nobody. `ratings` are NaN where none was given, `spends`
    (money of the horizon after the text) where that is not over before the cutoff. `digests` tells
    equal texts.
    """

    texts: tuple[str, ...]
    customers: tuple[str, ...]
    ratings: NDArray[np.float64]
    spends: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def is_held_out(self) -> NDArray[np.bool_]:
        """The texts of customers who are not trained on; one of nobody goes by its own words."""
        keys = [customer or text for customer, text in zip(self.customers, self.texts, strict=True)]
        return np.array([is_held_out(key) for key in keys], dtype=np.bool_)

    @property
    def fingerprint(self) -> str:
        """Changes with anything that a training on it sees."""
        digest = hashlib.sha256(json.dumps([self.texts, self.customers]).encode())
        digest.update(np.ascontiguousarray(self.ratings).tobytes())
        digest.update(np.ascontiguousarray(self.spends).tobytes())
        return digest.hexdigest()

    def select(self, mask: NDArray[np.bool_]) -> Corpus:
        """The texts of a mask."""
        kept = np.flatnonzero(mask)
        return Corpus(
            tuple(self.texts[place] for place in kept),
            tuple(self.customers[place] for place in kept),
            self.ratings[kept],
            self.spends[kept],
        )

    def useful_for(self, recipe: Recipe) -> Corpus:
        """The texts that some objective learns from."""
        mask = np.full(len(self), bool({CONTRASTIVE, MASKED} & set(recipe.objectives)))
        if RATING in recipe.objectives:
            mask |= np.isfinite(self.ratings)
        if SPEND in recipe.objectives:
            mask |= np.isfinite(self.spends)
        return self.select(mask)


def is_held_out(customer: str) -> bool:
    """Whether this customer is one who is never trained on, whatever else the shop has."""
    return zlib.crc32(customer.encode()) % HELD_OUT == 0


def levels(ratings: NDArray[np.float64]) -> list[float]:
    """The ratings that are given, in order: an ordinal head has a threshold between two of them."""
    return [float(one) for one in np.unique(ratings[np.isfinite(ratings)])]


def numbers(values: Sequence[float | None]) -> NDArray[np.float64]:
    """Numbers with NaN for None."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
