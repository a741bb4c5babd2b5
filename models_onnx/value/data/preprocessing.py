"""From named features to the model's matrix; frozen at fit, repeated in the ONNX graph."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_CATEGORIES = 12  # a longer tail of values is noise to a shop of this size
MIN_CATEGORY_SHARE = 0.01
CLIP = 4.0  # standard deviations; a linear model must not run away with one outlier


@dataclass(frozen=True)
class Preprocessing:
    """The matrix: numbers as they are, then one column per kept category value (1 or 0).

    Numbers that stand `beside` it are read by members that ask for them alone.
    """

    numbers: tuple[str, ...]
    categories: tuple[tuple[str, tuple[str, ...]], ...]
    beside: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """All numbers that are read."""
        return (*self.numbers, *self.beside)

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return len(self.numbers) + sum(len(values) for _, values in self.categories)

    def matrix(
        self, numbers: Mapping[str, NDArray[np.float32]], categories: Mapping[str, NDArray[Any]]
    ) -> NDArray[np.float32]:
        """Shape (rows, width), float32, NaN for NULL."""
        columns = [np.asarray(numbers[name], dtype=np.float32) for name in self.numbers]
        for name, values in self.categories:
            columns += [(categories[name] == value).astype(np.float32) for value in values]
        return np.column_stack(columns)

    def beside_of(self, numbers: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
        """The numbers beside the matrix, (rows, numbers), NaN for NULL."""
        rows = len(next(iter(numbers.values())))
        columns = [numbers[name].astype(np.float64) for name in self.beside]
        return np.column_stack(columns) if columns else np.zeros((rows, 0))


def fit_preprocessing(
    numbers: Mapping[str, NDArray[np.float32]],
    categories: Mapping[str, NDArray[Any]],
    needed: Collection[str] = (),
    beside: Collection[str] = (),
) -> Preprocessing:
    """Keeps the numbers that vary or are `needed`, and the frequent category values.

    Those `beside` the matrix are all kept.
    """
    kept = tuple(
        name
        for name, column in numbers.items()
        if name not in beside and (name in needed or _varies(column))
    )
    frequent = []
    for name, column in categories.items():
        values, counts = np.unique(column.astype(str), return_counts=True)
        order = np.lexsort((values, -counts))
        chosen = [
            str(values[index])
            for index in order[:MAX_CATEGORIES]
            if values[index] != "" and counts[index] >= MIN_CATEGORY_SHARE * len(column)
        ]
        if chosen and len(values) > 1:
            frequent.append((name, tuple(sorted(chosen))))
    return Preprocessing(kept, tuple(frequent), tuple(n for n in numbers if n in beside))


def _varies(column: NDArray[np.float32]) -> bool:
    known = column[~np.isnan(column)]
    return bool(len(known) and (known.min() < known.max() or len(known) < len(column)))


@dataclass(frozen=True)
class LogScale:
    """What the linear models see: sign(x)·log(1 + |x| / scale), the median for NULL, standardised.

    All arrays are float64 of shape (width,). The last columns, which `scale` has no entry for, are
    logs already and taken as they are.
    """

    scale: NDArray[np.float64]
    fill: NDArray[np.float64]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    def transform(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Shape (rows, width), within ±CLIP."""
        z = _logs(matrix, self.scale)
        z = np.where(np.isnan(z), self.fill, z)
        return np.clip((z - self.mean) / self.deviation, -CLIP, CLIP)


def _logs(matrix: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    width = len(scale)
    return np.column_stack([signed_log(matrix[:, :width] * (1 / scale)), matrix[:, width:]])


def signed_log(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """sign(x)·log(1 + |x|), NaN stays."""
    return np.asarray(np.sign(x) * np.log(1.0 + np.abs(x)))


def fit_log_scale(
    matrix: NDArray[np.float64], weight: NDArray[np.float64], logs: int = 0
) -> LogScale:
    """Scales by the median of the magnitudes, so that money in any currency looks alike.

    The last `logs` columns of the matrix are logs already.
    """
    scale = _magnitudes(matrix[:, : matrix.shape[1] - logs])
    z = _logs(matrix, scale)
    fill = np.array([np.median(c[~np.isnan(c)]) if not np.isnan(c).all() else 0.0 for c in z.T])
    z = np.where(np.isnan(z), fill, z)
    mean = np.average(z, axis=0, weights=weight)
    deviation = np.sqrt(np.average((z - mean) ** 2, axis=0, weights=weight))
    return LogScale(scale, fill, mean, np.where(deviation > 1e-9, deviation, 1.0))


def fit_known_scale(
    matrix: NDArray[np.float64], weight: NDArray[np.float64], logs: int = 0
) -> LogScale:
    """The same by what is known alone, with NULL as the mean: 0 once it is standardised."""
    scale = _magnitudes(matrix[:, : matrix.shape[1] - logs])
    z = _logs(matrix, scale)
    known = ~np.isnan(z)
    counted = known * weight[:, None]
    total = np.maximum(counted.sum(axis=0), np.finfo(np.float64).tiny)
    mean = np.sum(np.where(known, z, 0.0) * counted, axis=0) / total
    squares = np.where(known, z - mean, 0.0) ** 2
    deviation = np.sqrt(np.sum(squares * counted, axis=0) / total)
    return LogScale(scale, mean, mean, np.where(deviation > 1e-9, deviation, 1.0))


def _magnitudes(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of each column's magnitudes above 0, (columns,); 1 where there is none."""
    scale = np.ones(matrix.shape[1])
    for index in range(matrix.shape[1]):
        magnitude = np.abs(matrix[:, index])
        magnitude = magnitude[magnitude > 0]  # NaN is not
        if len(magnitude):
            scale[index] = np.median(magnitude)
    return scale
