"""Rows as the members see them: features, and what buy-till-you-die expects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from cva_sql.models_onnx.value.arrays import SMALLEST_PROBABILITY, Floats, Matrix, logit
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.data.preprocessing import Preprocessing
from cva_sql.models_onnx.value.data.target import SPEND, Target
from cva_sql.models_onnx.value.estimators.lifetimes import COLUMNS, Expectation, Lifetimes, expect
from cva_sql.models_onnx.value.judging.rules import DECAY_DAYS
from cva_sql.models_onnx.value.preparation.cold_start import AGE, ColdStart
from cva_sql.models_onnx.value.preparation.corrections import Correction, add_corrections

DECAYED_FLOOR = 0.02  # of the mean spend: those who spent nothing lately may yet
SPEND_FLOOR = 0.001  # of the mean spend: what buy-till-you-die at least expects


@dataclass(frozen=True)
class Constants:
    """What is frozen about the shop: its mean spend, customers without an order, the largest spend.

    `cold` are means over those without an order; `decayed_cap` is the largest decayed spend that
    counts; all for `label_days`.
    """

    label_days: int
    mean_spend: float
    cold: ColdStart
    decayed_cap: float


@dataclass(frozen=True)
class Prepared:
    """Rows as the members see them; all but `matrix` of shape (rows,).

    `matrix` is float64 with NaN for NULL: the features, then lifetimes.COLUMNS. What is expected in
    the label is `log_spend`, `logit_purchase`, `log_orders`; the `_extrapolation` of each is what
    the horizon adds to it, 0 where label and horizon are the same. `beside` has the numbers that
    stand beside the matrix, (rows, numbers). A `_correction` is what optional families add.
    """

    matrix: Matrix
    log_spend: Floats
    logit_purchase: Floats
    log_orders: Floats
    log_decayed: Floats
    spend_extrapolation: Floats
    purchase_extrapolation: Floats
    orders_extrapolation: Floats
    beside: Matrix
    spend_correction: Floats = field(default_factory=lambda: np.zeros(1))
    purchase_correction: Floats = field(default_factory=lambda: np.zeros(1))

    @property
    def features(self) -> Matrix:
        """The columns of `matrix` that trees see: the features alone, so that what a tree says of a
        customer is owed to features and to nothing derived from several of them."""
        return self.matrix[:, : -len(COLUMNS)]


def concatenate(parts: Sequence[Prepared]) -> Prepared:
    """The rows of all parts, in order."""
    names = Prepared.__dataclass_fields__
    return Prepared(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in names})


@dataclass(frozen=True)
class Preparation:
    """How rows of one date become `Prepared`; with a target in orders, `log_spend` is of those.

    `corrections` are those of the optional families that earned a weight.
    """

    preprocessing: Preprocessing
    lifetimes: Lifetimes
    constants: Constants
    horizon_days: int
    target: Target = SPEND
    corrections: tuple[Correction, ...] = ()

    @property
    def numbers(self) -> tuple[str, ...]:
        """All numbers that are read, those of families last."""
        families = (one.columns.preprocessing.numbers for one in self.corrections)
        return (*self.preprocessing.inputs, *(name for names in families for name in names))

    @property
    def categories(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """All categories that are read, with the values that are told apart."""
        families = (one.columns.preprocessing.categories for one in self.corrections)
        return (*self.preprocessing.categories, *(one for found in families for one in found))

    def apply(self, rows: Dataset) -> Prepared:
        """The rows as the members see them."""
        days = self.constants.label_days
        near = expect(self.lifetimes, rows.numbers, days)
        features = self.preprocessing.matrix(rows.numbers, rows.categories).astype(np.float64)
        cold = self._cold(rows)
        spend, purchase, orders = self._logs(near, cold)
        later = spend, purchase, orders
        if self.horizon_days != days:
            later = self._logs(expect(self.lifetimes, rows.numbers, self.horizon_days), cold)
        is_cold = np.isnan(near.spend)
        decayed = rows.numbers[self.target.decayed].astype(np.float64)
        decayed = np.minimum(decayed, self.constants.decayed_cap)
        decayed = np.where(is_cold, cold[0], decayed * (days / DECAY_DAYS))
        corrected = add_corrections(self.corrections, rows)
        return Prepared(
            matrix=np.column_stack([features, self._columns(near, cold)]),
            log_spend=spend,
            logit_purchase=purchase,
            log_orders=orders,
            log_decayed=np.log(decayed + DECAYED_FLOOR * self.constants.mean_spend),
            spend_extrapolation=later[0] - spend,
            purchase_extrapolation=later[1] - purchase,
            orders_extrapolation=later[2] - orders,
            beside=self.preprocessing.beside_of(rows.numbers),
            spend_correction=corrected[0],
            purchase_correction=corrected[1],
        )

    def _cold(self, rows: Dataset) -> tuple[Floats, Floats]:
        """(spend, probability) of each row if it were a customer without an order."""
        cold = self.constants.cold
        if not cold.probabilities:
            return np.full(len(rows), cold.spend), np.full(len(rows), cold.probability)
        return cold.at(rows.numbers[AGE].astype(np.float64))

    def _columns(self, near: Expectation, cold: tuple[Floats, Floats]) -> Matrix:
        """What is expected, as features; where sign-ups tell, of those without an order too.

        Without that the regressions take them for half-way customers: NaN becomes the median.
        """
        columns = near.columns()
        if not self.constants.cold.probabilities:
            return columns
        spend, probability = cold
        orders = -np.log(1 - probability)
        known = replace(near, orders=orders, probability=probability)
        if self.target.expected == "spend":  # else `spend` is none, and no price is known
            known = replace(known, order_value=spend / orders)
        return np.where(np.isnan(near.spend)[:, None], known.columns(), columns)

    def _logs(
        self, expected: Expectation, cold: tuple[Floats, Floats]
    ) -> tuple[Floats, Floats, Floats]:
        """log spend, purchase logit and log orders; customers without an order as a mean."""
        fixed, is_cold = self.constants, np.isnan(expected.spend)
        spend = np.where(is_cold, cold[0], getattr(expected, self.target.expected))
        purchase = np.where(is_cold, cold[1], expected.probability)
        orders = np.where(is_cold, -np.log(1 - cold[1]), expected.orders)
        return (
            np.log(spend + SPEND_FLOOR * fixed.mean_spend),
            logit(purchase),
            np.log(orders + SMALLEST_PROBABILITY),
        )
