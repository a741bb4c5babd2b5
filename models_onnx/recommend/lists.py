"""The best products of each row of scores, the same ones every time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.recommend.baskets import Floats, Index, Scores

TIE = 1e-7  # share of a row's best score that popularity decides within


def ranks(values: Floats) -> Floats:
    """0 for the smallest to 1 for the largest, ties by place: no two are the same."""
    order = np.argsort(values, kind="stable")
    found = np.empty(len(values))
    found[order] = np.arange(len(values)) / max(len(values) - 1, 1)
    return found


def ordered(scores: Scores, popularity: Floats) -> Floats:
    """Scores between 0 and about 1 in which no two of a row are the same.

    Equal ones, those without a score too, are in the order of `popularity`, (products,).
    """
    best = scores.max(axis=1, keepdims=True, initial=0.0).astype(np.float64)
    return np.asarray(scores / np.where(best > 0, best, 1.0) + tie_breaks(popularity))


def top(
    keys: Floats, count: int, allowed: NDArray[np.bool_] | None = None
) -> tuple[Index, NDArray[np.bool_]]:
    """Products of the largest keys by row, best first, (rows, count), and which are allowed.

    `allowed` is (rows, products); where fewer are, the rest of the row is not to be used.
    """
    values = keys if allowed is None else np.where(allowed, keys, -1.0)
    count = min(count, values.shape[1])
    place = np.argpartition(-values, count - 1, axis=1)[:, :count]
    found = np.take_along_axis(values, place, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    place = np.take_along_axis(place, order, axis=1)
    return place, np.take_along_axis(found, order, axis=1) >= 0.0


def tie_breaks(popularity: Floats) -> Floats:
    """What `ordered` adds to scores, so that equal ones are in the order of `popularity`."""
    return TIE * ranks(popularity)


def largest(scores: Scores, ties: Floats, count: int, allowed: NDArray[np.bool_]) -> Index:
    """The products that `top` finds of `ordered`, in no order, (rows, count): in half the time.

    `ties` are the popularity's `tie_breaks`.
    """
    best = scores.max(axis=1, keepdims=True, initial=0.0).astype(np.float64)
    keys = scores / np.where(best > 0, -best, -1.0)
    keys -= ties
    np.putmask(keys, ~allowed, 1.0)
    count = min(count, keys.shape[1])
    return np.argpartition(keys, count - 1, axis=1)[:, :count]
