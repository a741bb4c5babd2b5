"""The fitted value model in numpy: what it predicts. `export.py` writes the same as a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.arrays import Floats, Matrix, logit, sigmoid
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.data.preprocessing import LogScale, Preprocessing
from cva_sql.models_onnx.value.graph.builder import (
    LARGEST_PROBABILITY,
    Q_LEVELS,
    SMALLEST_PROBABILITY,
)
from cva_sql.models_onnx.value.judging.rules import DECAY_DAYS
from cva_sql.models_onnx.value.level.forecast import Level
from cva_sql.models_onnx.value.members.lifetimes import COLUMNS, Expectation, Lifetimes, expect
from cva_sql.models_onnx.value.members.linear import Linear
from cva_sql.models_onnx.value.members.trees import Trees

# What each kind of model is made of: weights in the geometric mean of its members. Those of the
# ensemble are rounded and the same for every shop: weights fitted to past dates of two shops did
# worse on later ones, and so did each member alone. "mbgnbd" has Gamma-Gamma beside it,
# "glm_offset" learns what to add to its log, "glm_plain" knows it as a feature; "hurdle" is the
# chance to buy times the amount that LightGBM expects of a buyer; "decayed" is the plain rule.
WEIGHTS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "mbgnbd": {"mbgnbd": 1.0},
        "glm": {"glm_offset": 0.5, "glm_plain": 0.5},
        "lightgbm": {"lightgbm": 1.0},
        "hurdle": {"hurdle": 1.0},
        "ensemble": {
            "mbgnbd": 0.2,
            "glm_offset": 0.2,
            "glm_plain": 0.2,
            "lightgbm": 0.1,
            "hurdle": 0.1,
            "decayed": 0.2,
        },
    }
)
KINDS = tuple(WEIGHTS)
ENSEMBLE = "ensemble"
# Weights of the logit of MBG/NBD's own chance, and of the two logistic regressions; the first of
# them has that logit as its offset, so it carries its weight as well.
CHANCES: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {kind: (1.0, 0.0, 0.0) if kind == "mbgnbd" else (0.5, 0.5, 0.5) for kind in WEIGHTS}
)
RESIDUAL_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
DECAYED = "decayed_spend"
DECAYED_FLOOR = 0.02  # of the mean spend: those who spent nothing lately may yet
SPEND_FLOOR = 0.001  # of the mean spend: what buy-till-you-die at least expects
# Many customers share a prediction; its last bit must not decide on which side of a bound it is.
# Not less: onnxruntime takes a factor that single precision calls 1 for none.
NUDGE = 1 + 1e-6
LARGEST_LOGIT = 30.0  # 1 − 1e-13; beyond, a chance says nothing more
MIN_STEP = 1e-12  # between equal points of the reference


@dataclass(frozen=True)
class Constants:
    """What is frozen about the shop: its mean spend, customers without an order, the largest spend.

    `cold_spend` and `cold_probability` are means over those without an order; `decayed_cap` is the
    largest decayed spend that counts; all for `label_days`.
    """

    label_days: int
    mean_spend: float
    cold_spend: float
    cold_probability: float
    decayed_cap: float


@dataclass(frozen=True)
class Prepared:
    """Rows as the members see them; all but `matrix` of shape (rows,).

    `matrix` is float64 with NaN for NULL: the features, then lifetimes.COLUMNS. What is expected in
    the label is `log_spend`, `logit_purchase`, `log_orders`; the `_stretch` of each is what the
    horizon adds to it, 0 where label and horizon are the same.
    """

    matrix: Matrix
    log_spend: Floats
    logit_purchase: Floats
    log_orders: Floats
    log_decayed: Floats
    spend_stretch: Floats
    purchase_stretch: Floats
    orders_stretch: Floats

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
    """How rows of one date become `Prepared`."""

    preprocessing: Preprocessing
    lifetimes: Lifetimes
    constants: Constants
    horizon_days: int

    def apply(self, rows: Dataset) -> Prepared:
        """The rows as the members see them."""
        days = self.constants.label_days
        near = expect(self.lifetimes, rows.numbers, days)
        features = self.preprocessing.matrix(rows.numbers, rows.categories).astype(np.float64)
        spend, purchase, orders = self._logs(near)
        later = spend, purchase, orders
        if self.horizon_days != days:
            later = self._logs(expect(self.lifetimes, rows.numbers, self.horizon_days))
        is_cold = np.isnan(near.spend)
        decayed = np.minimum(rows.numbers[DECAYED].astype(np.float64), self.constants.decayed_cap)
        decayed = np.where(is_cold, self.constants.cold_spend, decayed * (days / DECAY_DAYS))
        return Prepared(
            matrix=np.column_stack([features, near.columns()]),
            log_spend=spend,
            logit_purchase=purchase,
            log_orders=orders,
            log_decayed=np.log(decayed + DECAYED_FLOOR * self.constants.mean_spend),
            spend_stretch=later[0] - spend,
            purchase_stretch=later[1] - purchase,
            orders_stretch=later[2] - orders,
        )

    def _logs(self, expected: Expectation) -> tuple[Floats, Floats, Floats]:
        """log spend, logit of the chance and log orders; customers without an order as a mean."""
        fixed, is_cold = self.constants, np.isnan(expected.spend)
        spend = np.where(is_cold, fixed.cold_spend, expected.spend)
        purchase = np.where(is_cold, fixed.cold_probability, expected.probability)
        orders = np.where(is_cold, -np.log(1 - fixed.cold_probability), expected.orders)
        return (
            np.log(spend + SPEND_FLOOR * fixed.mean_spend),
            logit(purchase),
            np.log(orders + SMALLEST_PROBABILITY),
        )


@dataclass(frozen=True)
class Members:
    """Everything fitted on one set of training rows, for rows of the date of `preparation`."""

    preparation: Preparation
    log_scale: LogScale
    glm_offset: Linear
    glm_plain: Linear
    logit_offset: Linear
    logit_plain: Linear
    value_trees: Trees
    amount_trees: Trees

    def spend_line(self, rows: Prepared, kind: str) -> Floats:
        """log of the spend that a kind expects in the horizon, before its level is set."""
        z = self.log_scale.transform(rows.matrix)
        total = np.zeros(len(z))
        for name, weight in WEIGHTS[kind].items():
            total += weight * self._log_member(name, rows, z)
        return total + rows.spend_stretch

    def _log_member(self, name: str, rows: Prepared, z: Matrix) -> Floats:
        if name == "mbgnbd":
            return rows.log_spend
        if name == "glm_offset":
            return rows.log_spend + self.glm_offset.line(z)
        if name == "glm_plain":
            return self.glm_plain.line(z)
        if name == "lightgbm":
            return self.value_trees.log(rows.features)
        if name == "hurdle":
            chance = np.clip(self._logit(rows, z, ENSEMBLE), -LARGEST_LOGIT, LARGEST_LOGIT)
            return self.amount_trees.log(rows.features) - np.logaddexp(0.0, -chance)
        return rows.log_decayed

    def purchase_line(self, rows: Prepared, kind: str) -> Floats:
        """logit of the chance to buy in the horizon, before its level is set."""
        z = self.log_scale.transform(rows.matrix)
        return self._logit(rows, z, kind) + rows.purchase_stretch

    def _logit(self, rows: Prepared, z: Matrix, kind: str) -> Floats:
        own, with_offset, plain = CHANCES[kind]
        line = own * rows.logit_purchase
        if with_offset:
            line = line + with_offset * self.logit_offset.line(z)
        if plain:
            line = line + plain * self.logit_plain.line(z)
        return np.asarray(line)


@dataclass(frozen=True)
class Residuals:
    """Quantiles of log(spend / expected spend) of buyers at RESIDUAL_LEVELS, each (levels,).

    They run straight in log(chance to buy) from `low` at `low_at` to `high` at `high_at`.
    """

    low: Floats
    high: Floats
    low_at: float
    high_at: float

    def at(self, probability: Floats) -> Floats:
        """Shape (rows, levels), rising along a row."""
        x = np.clip(np.log(probability), self.low_at, self.high_at)
        share = (x - self.low_at) * (1 / max(self.high_at - self.low_at, MIN_STEP))
        return np.asarray(self.low + share[:, None] * (self.high - self.low))


@dataclass(frozen=True)
class FittedModel:
    """A kind with all that turns it into the contract's outputs.

    predicted_value is exp(slope · line + log_level), at most exp(log_highest); `log_level` brings
    the total to `level`, `logit_level` the chances to what that total makes of them. A chance is
    never so small that a buyer would have to spend more than `largest_spend`, the most that anybody
    did in a label: value and chance are told by different members, who may disagree.
    `orders_factor` is orders per expected purchase day. `reference` is the 101-point grid of
    predictions that score counts in. `level_customers` are those that `level` is the total of.
    """

    kind: str
    members: Members
    level: Level
    slope: float
    log_level: float
    log_highest: float
    largest_spend: float
    logit_level: float
    orders_factor: float
    residuals: Residuals
    reference: Floats
    retention_rate: float
    level_customers: int

    def predict(self, rows: Dataset) -> dict[str, Floats]:
        """The contract's outputs by name, each of shape (rows,)."""
        prepared = self.members.preparation.apply(rows)
        line = self.slope * self.members.spend_line(prepared, self.kind) + self.log_level
        value = np.exp(np.minimum(line, self.log_highest))
        chance = self.members.purchase_line(prepared, self.kind) + self.logit_level
        least = value * (1 / self.largest_spend)
        probability = np.maximum(sigmoid(chance), least)
        probability = np.clip(probability, SMALLEST_PROBABILITY, LARGEST_PROBABILITY)
        outputs = {
            "predicted_value": value,
            "purchase_probability": probability,
            "predicted_orders": self._orders(prepared, probability),
            "horizon_retention_rate": np.full(len(value), self.retention_rate),
            "score": score(value, self.reference),
        }
        residuals = self.residuals.at(probability)
        for level in Q_LEVELS:
            name = f"predicted_value_p{round(level * 100)}"
            outputs[name] = spend_quantile(level, value, probability, residuals)
        return outputs

    def _orders(self, rows: Prepared, probability: Floats) -> Floats:
        """Buy-till-you-die's orders times how much the chance, as a rate, differs from its own."""
        own = np.clip(
            sigmoid(rows.logit_purchase + rows.purchase_stretch),
            SMALLEST_PROBABILITY,
            LARGEST_PROBABILITY,
        )
        ratio = np.log(1 - probability) / np.log(1 - own)
        orders = np.exp(rows.log_orders + rows.orders_stretch) * ratio * self.orders_factor
        return np.maximum(orders, probability)


def score(value: Floats, reference: Floats) -> Floats:
    """100 × the share of the reference at or below `value`, between grid points in proportion."""
    low, high = reference[:-1], reference[1:]
    nudged = value * NUDGE
    index = np.searchsorted(high[:-1], nudged, side="left")
    inside = (nudged - low[index]) * (1 / np.maximum(high - low, MIN_STEP))[index]
    return np.asarray(index + np.clip(inside, 0.0, 1.0))


def spend_quantile(level: float, value: Floats, probability: Floats, residuals: Floats) -> Floats:
    """The quantile of spend: zero with probability 1 − p, else expected spend × exp(residual)."""
    share = level - (1 - probability)
    u = np.clip(share / np.maximum(probability, 1e-9), 1e-4, 1 - 1e-4)
    x = np.log(u / (1 - u))
    knots = [float(np.log(q / (1 - q))) for q in RESIDUAL_LEVELS]
    mean_if_purchase = value / np.maximum(probability, 1e-9)
    spend = mean_if_purchase * np.exp(_piecewise_line(x, knots, residuals))
    return np.where(share <= 0, 0.0, spend)


def _piecewise_line(x: Floats, knots: Sequence[float], values: NDArray[np.float64]) -> Floats:
    line = values[:, 0]
    for k in range(len(knots) - 1):
        width = knots[k + 1] - knots[k]
        step = x - knots[k]
        if k > 0:
            step = np.maximum(step, 0.0)
        if k < len(knots) - 2:
            step = np.minimum(step, width)
        line = line + (values[:, k + 1] - values[:, k]) / width * step
    return np.asarray(line)
