"""Columns that metrics are measured on, with their tie groups found once for many weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cva_sql.models_onnx.value.arrays import Floats


@dataclass(frozen=True, eq=False)
class Column:
    """Finite numbers, one a customer, with their tie groups sorted on first use."""

    values: Floats

    @cached_property
    def _unique(self) -> tuple[Floats, NDArray[np.intp]]:
        distinct, codes = np.unique(self.values, return_inverse=True)
        return np.asarray(distinct, dtype=np.float64), codes

    @property
    def groups(self) -> Floats:
        """The distinct values, ascending."""
        return self._unique[0]

    def group_sums(self, rows: Floats) -> Floats:
        """Sum of `rows` in each tie group, in ascending order of the column."""
        sums = np.bincount(self._unique[1], weights=rows, minlength=len(self.groups))
        return np.asarray(sums, dtype=np.float64)

    def midranks(self, weights: Floats) -> Floats:
        """Each row's weighted midrank less the mean rank; tied rows have the same."""
        sizes = self.group_sums(weights)
        centred = np.cumsum(sizes) - (sizes + sizes.sum()) / 2
        return np.asarray(centred[self._unique[1]], dtype=np.float64)

    def is_constant(self, weights: Floats) -> bool:
        """Whether fewer than two distinct values have any weight."""
        counted = self.values[weights > 0]
        return not len(counted) or bool(counted.min() == counted.max())


Values: TypeAlias = ArrayLike | Column


def column(values: Values, name: str = "values") -> Column:
    """`values` as a column ready for any metric; one that is ready already comes back as it is.

    Prepare a column once where several metrics or many weights use it: its sort is then shared.
    """
    if isinstance(values, Column):
        return values
    if np.ma.is_masked(values):  # np.asarray would drop DuckDB's null mask and keep the filler
        raise ValueError(f"{name} holds nulls; expected a number for every customer")
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1:
        raise ValueError(f"{name} has shape {numbers.shape}; expected one number a customer")
    if not np.isfinite(numbers).all():
        bad = int(np.count_nonzero(~np.isfinite(numbers)))
        raise ValueError(f"{name} holds {bad} null or infinite values of {len(numbers)}")
    return Column(numbers)


def paired(
    outcomes: Values, predictions: Values, weights: ArrayLike | None
) -> tuple[Column, Column, Floats]:
    """Both columns and the weights (ones where absent), checked to be of one length."""
    outcome, forecast = column(outcomes, "actual"), column(predictions, "predicted")
    count = len(outcome.values)
    given = np.ones(count) if weights is None else column(weights, "weights").values
    if not len(forecast.values) == len(given) == count:
        lengths = f"{count} actual, {len(forecast.values)} predicted, {len(given)} weights"
        raise ValueError(f"columns differ in length: {lengths}")
    if count and given.min() < 0:
        raise ValueError(f"weights go down to {given.min():g}; expected 0 or more")
    return outcome, forecast, given


def check_probability(forecast: Column) -> None:
    """Raises ValueError for a column that leaves 0 to 1."""
    low, high = (forecast.groups[0], forecast.groups[-1]) if len(forecast.groups) else (0.0, 1.0)
    if low < 0 or high > 1:
        raise ValueError(f"probability runs from {low:g} to {high:g}; expected 0 to 1")


def ratio(numerator: float, denominator: float) -> float:
    """The quotient, NaN over 0."""
    return float(numerator / denominator) if denominator != 0 else math.nan


def dot(first: Floats, second: Floats) -> float:
    """Σ first · second."""
    return float(first @ second)


def mean(values: Floats, weights: Floats) -> float:
    """The weighted mean, NaN without weight."""
    return ratio(dot(weights, values), float(weights.sum()))
