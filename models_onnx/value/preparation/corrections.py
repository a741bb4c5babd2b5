"""What an optional family of features adds to a prediction: a linear correction in logs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.arrays import Floats, Matrix, Signs
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.data.preprocessing import (
    LogScale,
    Preprocessing,
    fit_known_scale,
    fit_preprocessing,
)
from cva_sql.models_onnx.value.estimators.linear import Linear


@dataclass(frozen=True)
class FamilyColumns:
    """A family's features as standardised columns: numbers, category values, what is missing.

    A number that is NULL is 0 there. `missing` names the numbers with a column of their own for
    that: one of those that are missing together.
    """

    preprocessing: Preprocessing
    missing: tuple[str, ...]
    log_scale: LogScale

    def matrix(self, rows: Dataset) -> Matrix:
        """Shape (rows, columns), each within a few standard deviations of 0."""
        return self.log_scale.transform(_columns(self.preprocessing, self.missing, rows))

    def signs(self, monotone: Mapping[str, int]) -> Signs:
        """How each column may act, (columns,): see `directions.column_signs`."""
        own = [monotone.get(name, 0) for name in self.preprocessing.numbers]
        free = self.preprocessing.width - len(own) + len(self.missing)
        return np.array([*own, *([0] * free)], dtype=np.int64)


def _columns(preprocessing: Preprocessing, missing: tuple[str, ...], rows: Dataset) -> Matrix:
    features = preprocessing.matrix(rows.numbers, rows.categories).astype(np.float64)
    absent = [np.isnan(rows.numbers[name]).astype(np.float64) for name in missing]
    return np.column_stack([features, *absent])


def fit_family_columns(rows: Dataset, weight: Floats) -> FamilyColumns | None:
    """The columns of a family by rows that have its features alone; None where nothing varies."""
    preprocessing = fit_preprocessing(rows.numbers, rows.categories)
    if not preprocessing.width:
        return None
    patterns: dict[bytes, str] = {}
    for name in preprocessing.numbers:
        is_missing = np.isnan(rows.numbers[name])
        if is_missing.any() and not is_missing.all():
            patterns.setdefault(np.packbits(is_missing).tobytes(), name)
    missing = tuple(patterns.values())
    columns = _columns(preprocessing, missing, rows)
    scale = fit_known_scale(columns, weight, logs=len(missing))
    return FamilyColumns(preprocessing, missing, scale)


@dataclass(frozen=True)
class Correction:
    """What a family adds to the log of expected spend and to the logit of the probability to buy.

    Both are linear in its columns, and `scale`, above 0 and up to 1, is in them already.
    """

    family: str
    scale: float
    columns: FamilyColumns
    spend: Linear
    purchase: Linear

    def add(self, rows: Dataset) -> tuple[Floats, Floats]:
        """What is added to log spend and to the purchase logit, each (rows,)."""
        z = self.columns.matrix(rows)
        return self.spend.predict(z), self.purchase.predict(z)

    def at(self, scale: float, z: Matrix, share: Floats) -> Correction:
        """The correction, fitted in full, at a scale; `share` of spend is expected of each row.

        `z` are the rows that it was fitted to: their expected total stays what it was.
        """
        spend = replace(self.spend, coefficients=scale * self.spend.coefficients, intercept=0.0)
        raised = float(np.log(np.sum(share * np.exp(spend.predict(z))) / np.sum(share)))
        purchase = Linear(scale * self.purchase.coefficients, scale * self.purchase.intercept)
        return replace(
            self, scale=scale, spend=replace(spend, intercept=-raised), purchase=purchase
        )


def add_corrections(corrections: tuple[Correction, ...], rows: Dataset) -> tuple[Floats, Floats]:
    """What all of them add, each (rows,); 0 without any."""
    spend: NDArray[np.float64] = np.zeros(len(rows))
    purchase: NDArray[np.float64] = np.zeros(len(rows))
    for correction in corrections:
        own_spend, own_purchase = correction.add(rows)
        spend, purchase = spend + own_spend, purchase + own_purchase
    return spend, purchase
