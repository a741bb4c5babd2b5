"""What a text would have been rated: the head that a shop's own ratings taught."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.projection import DIMENSION

FOLDS = 5  # of customers; each is rated by what the other four taught
LOWEST, HIGHEST = 1.0, 5.0
DECIMALS = 4

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RatingHead:
    """Ratings as sums over words beside the vector and the unlearned sentiment of a text.

    `terms` are pieces of the encoder's tokenizer by number, alone ("17") or two in a row ("17 4"),
    `idf` (terms,) their weights. The others are one line a fold of customers: `words` (FOLDS,
    terms), `vector` (FOLDS, 384), `sentiment` and `level` (FOLDS,). `encoder_key` says whose pieces
    and vectors. Raises ValueError where shapes differ or a number is not finite.
    """

    encoder_key: str
    terms: tuple[str, ...]
    idf: Numbers
    words: Numbers
    vector: Numbers
    sentiment: Numbers
    level: Numbers

    def __post_init__(self) -> None:
        wanted = [(len(self.terms),), (FOLDS, len(self.terms)), (FOLDS, DIMENSION), (FOLDS,)]
        arrays = [self.idf, self.words, self.vector, self.sentiment, self.level]
        if [one.shape for one in arrays] != [*wanted, (FOLDS,)]:
            raise ValueError("a rating head's shapes do not fit together")
        if not all(np.isfinite(one).all() for one in arrays):
            raise ValueError("a rating head has numbers that are not finite")

    @cached_property
    def _places(self) -> dict[str, int]:
        return {term: place for place, term in enumerate(self.terms)}

    def apply(self, pieces: Sequence[int], vector: Numbers, sentiment: float | None) -> Numbers:
        """The rating by each fold's weights, (FOLDS,), from LOWEST to HIGHEST.

        `pieces` are the text's, `vector` (384,); without a sentiment it counts as neutral.
        """
        weights = weigh(pieces, self._places, self.idf)
        total = self.level + self.vector @ vector + self.sentiment * (sentiment or 0.0)
        for place, weight in weights.items():
            total = total + self.words[:, place] * weight
        return np.asarray(np.round(np.clip(total, LOWEST, HIGHEST), DECIMALS), dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """As a manifest has it."""
        arrays = {name: np.round(getattr(self, name), 6).tolist() for name in ARRAYS}
        return {"encoder_key": self.encoder_key, "terms": list(self.terms), **arrays}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> RatingHead:
        """The head of `to_dict`; raises KeyError, TypeError or ValueError."""
        arrays = {name: np.array(raw[name], dtype=np.float64) for name in ARRAYS}
        terms = tuple(str(term) for term in raw["terms"])
        return cls(encoder_key=str(raw["encoder_key"]), terms=terms, **arrays)


ARRAYS = ("idf", "words", "vector", "sentiment", "level")


def terms_of(pieces: Sequence[int]) -> Iterator[str]:
    """Pieces alone, then two in a row."""
    yield from map(str, pieces)
    yield from (f"{left} {right}" for left, right in itertools.pairwise(pieces))


def weigh(pieces: Sequence[int], places: dict[str, int], idf: Numbers) -> dict[int, float]:
    """TF-IDF of a text's known terms by place, (1 + ln count) · idf, of length 1 together."""
    found = Counter(places[term] for term in terms_of(pieces) if term in places)
    weights = {place: (1 + math.log(found[place])) * idf[place] for place in sorted(found)}
    length = math.sqrt(math.fsum(value * value for value in weights.values()))
    return {place: float(value / length) for place, value in weights.items()}


def rows_of(
    texts: Iterable[Sequence[int]], places: dict[str, int], idf: Numbers
) -> tuple[list[int], list[int], list[float]]:
    """Row, place and weight of each known term of each text: a sparse matrix's coordinates."""
    rows, columns, values = [], [], []
    for row, pieces in enumerate(texts):
        for place, value in weigh(pieces, places, idf).items():
            rows.append(row)
            columns.append(place)
            values.append(value)
    return rows, columns, values
