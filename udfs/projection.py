"""A text vector as a few numbers: the projection that a value model was trained with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.model_files import parse_object, read_text_file

DIMENSION = 384  # of every text vector, whatever the encoder
MAX_COMPONENTS = 16
WORD_COMPONENTS = 8  # at most, of the family `words`: three means of them are twenty-four features
DECIMALS = 6  # of the model and of what it gives: enough for trees, and the same on every machine


@dataclass(frozen=True, eq=False)  # arrays have no single truth value to compare by
class TextProjection:
    """`components` (k, 384) and `mean` (384,), float64; k is 0 where there is nothing to project.

    `encoder_key` says which encoder's vectors it was fitted on: another's mean nothing to it.
    Raises ValueError where the shapes are others, or a number is not finite.
    """

    components: NDArray[np.float64]
    mean: NDArray[np.float64]
    encoder_key: str = ""

    def __post_init__(self) -> None:
        shapes = (self.components.shape, self.mean.shape)
        count = len(self.components)
        if shapes != ((count, DIMENSION), (DIMENSION,)) or count > MAX_COMPONENTS:
            raise ValueError(
                f"a text projection has shapes {shapes}; expected (at most {MAX_COMPONENTS}, "
                f"{DIMENSION}) and ({DIMENSION},)"
            )
        if not self.encoder_key.isprintable():
            raise ValueError("a text projection's encoder_key cannot be printed")
        if not (np.isfinite(self.components).all() and np.isfinite(self.mean).all()):
            raise ValueError("a text projection has numbers that are not finite")

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to project on, so that every text's result is NULL."""
        return len(self.components) == 0

    def apply(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Text vectors (n, 384) on the components: (n, k) float32, rounded to 6 decimals.

        A row's result does not depend on the rows beside it: a matrix product's order of summing
        changes with its shape, and its last bit may decide how a number is rounded. So the 384
        terms are added one after the other, in double.
        """
        columns = np.ascontiguousarray(embeddings.T, dtype=np.float64)
        total = np.zeros((len(embeddings), len(self.components)))
        if self.is_empty:
            return total.astype(np.float32)
        for place in range(DIMENSION):
            centred = columns[place] - self.mean[place]
            total += centred[:, np.newaxis] * self.components[:, place]
        return (np.round(total, DECIMALS) + 0.0).astype(np.float32)  # + 0: no negative zero

    def to_dict(self) -> dict[str, Any]:
        """`{"components": [[384 numbers] × k], "mean": [384 numbers], "encoder_key": …}`."""
        return {
            "components": self.components.tolist(),
            "mean": self.mean.tolist(),
            "encoder_key": self.encoder_key,
        }

    def to_json(self) -> str:
        """The text of a projection's file."""
        return json.dumps(self.to_dict()) + "\n"

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> TextProjection:
        """The projection of `to_dict`; raises KeyError, TypeError or ValueError."""
        components = np.array(raw["components"], dtype=np.float64)
        if components.size == 0:
            components = np.empty((0, DIMENSION))
        return cls(components, np.array(raw["mean"], dtype=np.float64), str(raw["encoder_key"]))

    @classmethod
    def from_json(cls, text: str) -> TextProjection:
        """The projection of `to_json`; raises KeyError, TypeError or ValueError."""
        return cls.from_dict(parse_object(text))


def empty_projection() -> TextProjection:
    """The projection on nothing: what a shop without text trains with."""
    return TextProjection(np.empty((0, DIMENSION)), np.zeros(DIMENSION))


def read_projection(path: Path) -> TextProjection:
    """The projection of a file; raises ModelError where it is missing or unreadable."""
    remedy = "unset CVA_TEXT_PROJECTION and CVA_WORDS_PROJECTION, or retrain with: cva train"
    text = read_text_file(path, "a text projection", remedy)
    try:
        return TextProjection.from_json(text)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise ModelError(f"{path} is not a text projection ({error}); {remedy}") from None
