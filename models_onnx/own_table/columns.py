"""Which columns of a table are learned from, and why the others are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.arrays import Floats

SAME = 0.9999  # a correlation with the target above it: the column is the answer
FEW = 0.5  # of the rows: with more different values a match of values says nothing
LARGEST_TEXT_SHARE = 0.5  # of rows with a text of their own, above which a column is no category


@dataclass(frozen=True)
class Table:
    """Rows to learn from: columns by name, the target (n,) and the folds (n,).

    `numbers` are float32 with NaN for NULL, `categories` text with '' for NULL. `fold` is k > 0 for
    rows that are tested in fold k; with `is_forward` a row of fold k learns from those of lower
    folds alone, else from all other folds.
    """

    numbers: dict[str, NDArray[np.float32]]
    categories: dict[str, NDArray[Any]]
    value: Floats
    fold: NDArray[np.int64]
    is_forward: bool

    def __len__(self) -> int:
        return len(self.value)


def number_problem(column: NDArray[np.float32], value: Floats) -> str:
    """Why a number is not learned from; '' where it is."""
    known = ~np.isnan(column)
    if not known.any():
        return "it is always null"
    x, y = column[known].astype(np.float64), value[known]
    if known.all() and x.min() == x.max():
        return "it is constant"
    if x.min() < x.max() and y.min() < y.max():
        correlation = float(np.corrcoef(x, y)[0, 1])
        if abs(correlation) > SAME:
            return f"it is the target itself (correlation {correlation:.5f})"
    return _same_values(column.astype(str), value)


def category_problem(column: NDArray[Any], value: Floats) -> str:
    """Why a text is not learned from; '' where it is."""
    known = column[column != ""]
    distinct = len(np.unique(known))
    if not distinct:
        return "it is always null"
    if distinct == 1 and len(known) == len(column):
        return "it is constant"
    if distinct > LARGEST_TEXT_SHARE * len(column):
        return f"it has {distinct:,} different texts in {len(column):,} rows, so it is no category"
    return _same_values(column, value)


def _same_values(column: NDArray[Any], value: Floats) -> str:
    """What is said where each value of the column goes with one of the target, and back."""
    texts = np.unique(column.astype(str), return_inverse=True)[1]
    values = np.unique(value, return_inverse=True)[1]
    few, others = int(texts.max()) + 1, int(values.max()) + 1
    if few != others or not 2 < few <= FEW * len(value):
        return ""
    pairs = len(np.unique(texts.astype(np.int64) * others + values))
    return (
        "it is the target itself (each value goes with one of the target)" if pairs == few else ""
    )


def usable(table: Table, names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Of these columns those to learn from, and why not of the others."""
    left_out = {}
    for name in names:
        if name in table.numbers:
            problem = number_problem(table.numbers[name], table.value)
        else:
            problem = category_problem(table.categories[name], table.value)
        if problem:
            left_out[name] = problem
    return [name for name in names if name not in left_out], left_out
