"""The members of the value model: a GLM on logs; LightGBM for value, probability and the rest."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.preprocessing import LogScale, fit_log_scale

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]

# Read when OpenMP is loaded, so before LightGBM is: threads that wait by spinning make training
# four times as slow on a machine that has other work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

KINDS = ("glm", "lightgbm", "blend")
RESIDUAL_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
MIN_BUYERS_FOR_QUANTILES = 300  # below, one spread for all
TWEEDIE_POWER = 1.4  # between Poisson (1) and gamma (2): many zeros, a heavy tail
GLM_PENALTY = 0.1  # .01 does as well on two shops; more holds small shops together
GLM_ROWS = 60_000  # sixty coefficients need no more; every n-th row above that
LOWEST_LINE = -20.0  # e^-20 of the mean is nothing, and stays clear of underflow

SHARED: dict[str, Any] = {
    "learning_rate": 0.05,
    "num_leaves": 8,
    "lambda_l2": 5.0,
    "seed": 7,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 2,
    "verbosity": -1,
}


@dataclass(frozen=True)
class Glm:
    """exp of a linear function of the log-scaled matrix, times `unit`."""

    log_scale: LogScale
    coefficients: Floats
    intercept: float
    unit: float
    highest: float

    def predict(self, matrix: Matrix) -> Floats:
        """Expected spend per row, above 0."""
        z = self.log_scale.transform(matrix)
        line = np.sum(z * self.coefficients, axis=1) + self.intercept
        return np.asarray(self.unit * np.exp(np.clip(line, LOWEST_LINE, self.highest)))


@dataclass(frozen=True)
class Trees:
    """A LightGBM booster; `raw` is its sum of leaves, in double."""

    booster: Any
    scale: float = 1.0

    def raw(self, matrix: Matrix) -> Floats:
        """The sum of leaves per row."""
        return np.asarray(self.booster.predict(matrix, raw_score=True), dtype=np.float64)

    def exp(self, matrix: Matrix) -> Floats:
        """scale · exp(raw), for a log link."""
        return self.scale * np.exp(self.raw(matrix))

    def probability(self, matrix: Matrix) -> Floats:
        """1 / (1 + exp(−raw)), for a logit link."""
        return np.asarray(1.0 / (1.0 + np.exp(-self.raw(matrix))))


def fit_glm(matrix: Matrix, value: Floats, weight: Floats) -> Glm:
    """Ridge on logs: a Tweedie regression with log link and an L2 penalty."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import TweedieRegressor
    from threadpoolctl import threadpool_limits

    every = -(-len(value) // GLM_ROWS)
    matrix, value, weight = matrix[::every], value[::every], weight[::every]
    unit = float(np.average(value, weights=weight)) or 1.0
    log_scale = fit_log_scale(matrix, weight)
    regressor = TweedieRegressor(
        power=TWEEDIE_POWER, alpha=GLM_PENALTY, link="log", max_iter=200, tol=1e-6
    )
    # One thread: the products are too small to share, and ten times slower when shared.
    with warnings.catch_warnings(), threadpool_limits(1):
        # A hundred steps are enough for the ranking; the last digits are not worth a warning.
        warnings.simplefilter("ignore", ConvergenceWarning)
        regressor.fit(log_scale.transform(matrix), value / unit, sample_weight=weight)
    return Glm(
        log_scale,
        np.asarray(regressor.coef_, dtype=np.float64),
        float(regressor.intercept_),
        unit,
        float(np.log(max(value.max(initial=0.0) / unit, 1.0))) + 1.0,  # e times the largest seen
    )


def _train(
    matrix: Matrix, target: Floats, weight: Floats, rounds: int, settings: dict[str, Any]
) -> Any:
    import lightgbm

    leaf = int(np.clip(len(target) / 200, 20, 100))
    data = lightgbm.Dataset(matrix, label=target, weight=weight, free_raw_data=True)
    return lightgbm.train({**SHARED, "min_data_in_leaf": leaf, **settings}, data, rounds)


def fit_value_trees(matrix: Matrix, value: Floats, weight: Floats) -> Trees:
    """Tweedie regression of spend; the log link keeps it above 0."""
    scale = float(np.average(value, weights=weight)) or 1.0
    settings = {"objective": "tweedie", "tweedie_variance_power": TWEEDIE_POWER}
    return Trees(_train(matrix, value / scale, weight, 150, settings), scale)


def fit_probability_trees(matrix: Matrix, value: Floats, weight: Floats) -> Trees:
    """Logistic regression of `spends anything`."""
    target = (value > 0).astype(np.float64)
    return Trees(_train(matrix, target, weight, 100, {"objective": "binary"}))


def fit_orders_trees(matrix: Matrix, orders: Floats, weight: Floats) -> Trees:
    """Poisson regression of the number of orders."""
    return Trees(_train(matrix, orders, weight, 100, {"objective": "poisson"}))


def fit_residual_trees(matrix: Matrix, log_ratio: Floats, weight: Floats) -> tuple[Trees, ...]:
    """Quantiles of log(spend / predicted spend) among buyers, at RESIDUAL_LEVELS.

    Empty where there are too few buyers to tell them apart.
    """
    if len(log_ratio) < MIN_BUYERS_FOR_QUANTILES:
        return ()
    return tuple(
        Trees(
            _train(
                matrix,
                log_ratio,
                weight,
                60,
                {"objective": "quantile", "alpha": level, "num_leaves": 4},
            )
        )
        for level in RESIDUAL_LEVELS
    )
