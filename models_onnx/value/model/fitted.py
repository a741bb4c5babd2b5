"""The fitted value model in numpy: what it predicts. `graph.py` writes the same as a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cva_sql.models_onnx.value.arrays import (
    LARGEST_PROBABILITY,
    SMALLEST_PROBABILITY,
    Floats,
    sigmoid,
)
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.graph.builder import Q_LEVELS
from cva_sql.models_onnx.value.model.ensemble import Members
from cva_sql.models_onnx.value.preparation.rows import Prepared
from cva_sql.models_onnx.value.total.calibration import orders_scale
from cva_sql.models_onnx.value.total.forecast import TotalForecast
from cva_sql.models_onnx.value.total.intervals import Residuals, spend_quantile

# Many customers share a prediction; its last bit must not decide on which side of a bound it is.
# Not less: onnxruntime takes a factor that single precision calls 1 for none.
NUDGE = 1 + 1e-6
MIN_STEP = 1e-12  # between equal points of the reference


@dataclass(frozen=True)
class FittedModel:
    """A kind with all that turns it into the contract's outputs.

    predicted_value is exp(slope · linear predictor + spend_shift), at most exp(log_highest), and
    `purchase_slope` multiplies the purchase logit. Two shifts calibrate the total: `spend_shift`
    brings it to the `forecast`, `purchase_shift` the purchase probabilities to what that total
    makes of them. A probability is never so small that a buyer would have to spend more than
    `largest_spend`, the most that anybody did in a label: value and probability are told by
    different members, who may disagree. `orders_factor` is orders per
    expected purchase day. `reference` is the 101-point grid of predictions that score counts in.
    `forecast_customers` are those that `forecast` is the total of. `growth` is what becomes of a
    value over other days, see `training.growth`.
    """

    kind: str
    members: Members
    forecast: TotalForecast
    slope: float
    spend_shift: float
    log_highest: float
    largest_spend: float
    purchase_slope: float
    purchase_shift: float
    orders_factor: float
    residuals: Residuals
    reference: Floats
    retention_rate: float
    forecast_customers: int
    growth: Mapping[str, Any] = field(default_factory=dict)

    @property
    def counts_orders(self) -> bool:
        """Whether predicted_value is a number of orders itself."""
        return self.members.preparation.target.expected == "orders"

    def predict(self, rows: Dataset) -> dict[str, Floats]:
        """The contract's outputs by name, each of shape (rows,)."""
        prepared = self.members.preparation.apply(rows)
        predictor = self.slope * self.members.linear_predictor(prepared, self.kind)
        value = np.exp(np.minimum(predictor + self.spend_shift, self.log_highest))
        logit = self.purchase_slope * self.members.purchase_logit(prepared, self.kind)
        logit = logit + self.purchase_shift
        return self.outputs(prepared, value, logit)

    def outputs(self, prepared: Prepared, value: Floats, logit: Floats) -> dict[str, Floats]:
        """The same for a predicted value and the logit of the probability to buy, each (rows,)."""
        least = value * (1 / self.largest_spend)
        probability = np.maximum(sigmoid(logit), least)
        if self.counts_orders:  # nobody orders more surely than often
            probability = np.minimum(probability, value)
        probability = np.clip(probability, SMALLEST_PROBABILITY, LARGEST_PROBABILITY)
        outputs = {
            "predicted_value": value,
            "purchase_probability": probability,
            "predicted_orders": np.maximum(value, probability)
            if self.counts_orders
            else self._orders(prepared, probability),
            "horizon_retention_rate": np.full(len(value), self.retention_rate),
            "score": score(value, self.reference),
        }
        residuals = self.residuals.at(probability)
        for level in Q_LEVELS:
            name = f"predicted_value_p{round(level * 100)}"
            outputs[name] = spend_quantile(level, value, probability, residuals)
        return outputs

    def _orders(self, rows: Prepared, probability: Floats) -> Floats:
        """Buy-till-you-die's orders, by how much the probability is not its own: `orders_scale`."""
        own = np.clip(
            sigmoid(rows.logit_purchase + rows.purchase_extrapolation),
            SMALLEST_PROBABILITY,
            LARGEST_PROBABILITY,
        )
        stages = self.members.preparation.lifetimes.dropout.stages
        ratio = orders_scale(probability, stages) / orders_scale(own, stages)
        orders = np.exp(rows.log_orders + rows.orders_extrapolation) * ratio * self.orders_factor
        return np.maximum(orders, probability)


def score(value: Floats, reference: Floats) -> Floats:
    """100 × the share of the reference at or below `value`, between grid points in proportion."""
    low, high = reference[:-1], reference[1:]
    nudged = value * NUDGE
    index = np.searchsorted(high[:-1], nudged, side="left")
    inside = (nudged - low[index]) * (1 / np.maximum(high - low, MIN_STEP))[index]
    return np.asarray(index + np.clip(inside, 0.0, 1.0))
