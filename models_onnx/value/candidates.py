"""The members of the value model: linear models on logs, and LightGBM."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.metrics import Floats

Matrix = NDArray[np.float64]

# Read when OpenMP is loaded, so before LightGBM is: threads that wait by spinning make training
# four times as slow on a machine that has other work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

TWEEDIE_POWER = 1.4  # between Poisson (1) and gamma (2): many zeros, a heavy tail
GLM_PENALTY = 0.1  # .01 does as well on two shops; more holds small shops together
LOGIT_PENALTY = 0.02  # .001 to .1 do alike on two shops
LINEAR_ROWS = 60_000  # sixty coefficients need no more; every n-th row above that
NEWTON_STEPS = 25  # eight do
NEWTON_TOLERANCE = 1e-8  # of a coefficient of standardised columns

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
class Linear:
    """coefficients · z + intercept, for a standardised matrix z."""

    coefficients: Floats
    intercept: float

    def line(self, z: Matrix) -> Floats:
        """The linear function, shape (rows,)."""
        return np.asarray(np.sum(z * self.coefficients, axis=1) + self.intercept)


@dataclass(frozen=True)
class Trees:
    """A LightGBM booster for a target in units of `scale`, with a log link."""

    booster: Any
    scale: float

    def log(self, matrix: Matrix) -> Floats:
        """log of the prediction: log scale + the sum of leaves, in double."""
        raw = np.asarray(self.booster.predict(matrix, raw_score=True), dtype=np.float64)
        return float(np.log(self.scale)) + raw


def fit_spend_linear(z: Matrix, value: Floats, weight: Floats, offset: Floats) -> Linear:
    """Tweedie regression of spend with log link, L2 penalty and an offset in logs.

    The Tweedie deviance is homogeneous: d(c·y, c·μ) = c^(2−p)·d(y, μ). So an offset is a division
    of spend by exp(offset), with weights times exp(offset)^(2−p).
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import TweedieRegressor
    from threadpoolctl import threadpool_limits

    every = slice(None, None, -(-len(value) // LINEAR_ROWS))
    unit = np.exp(offset[every])
    weight = weight[every] * unit ** (2 - TWEEDIE_POWER)
    regressor = TweedieRegressor(
        power=TWEEDIE_POWER,
        alpha=GLM_PENALTY,
        link="log",
        solver="newton-cholesky",
        max_iter=NEWTON_STEPS,
        tol=1e-6,
    )
    # One thread: the products are too small to share, and ten times slower when shared.
    with warnings.catch_warnings(), threadpool_limits(1):
        # The steps are enough for the ranking; the last digits are not worth a warning.
        warnings.simplefilter("ignore", ConvergenceWarning)
        regressor.fit(z[every], value[every] / unit, sample_weight=weight / weight.sum())
    return Linear(np.asarray(regressor.coef_, dtype=np.float64), float(regressor.intercept_))


def fit_logit_linear(z: Matrix, bought: Floats, weight: Floats, offset: Floats) -> Linear:
    """Logistic regression with an L2 penalty and an offset in logits, by Newton's method.

    scikit-learn's has no offset. `bought` is 1 or 0.
    """
    from threadpoolctl import threadpool_limits

    every = slice(None, None, -(-len(bought) // LINEAR_ROWS))
    x = np.column_stack([z[every], np.ones(len(bought[every]))])
    y, weight, offset = bought[every], weight[every] / weight[every].sum(), offset[every]
    penalty = np.full(x.shape[1], LOGIT_PENALTY)
    penalty[-1] = 1e-9  # of the intercept: only so that a step exists where all or none bought
    beta = np.zeros(x.shape[1])
    with threadpool_limits(1):
        for _ in range(NEWTON_STEPS):
            p = sigmoid(offset + x @ beta)
            gradient = x.T @ (weight * (p - y)) + penalty * beta
            curvature = (x * (weight * p * (1 - p))[:, None]).T @ x + np.diag(penalty)
            step = np.clip(np.linalg.solve(curvature, gradient), -5.0, 5.0)
            beta = beta - step
            if np.abs(step).max() < NEWTON_TOLERANCE:
                break
    return Linear(beta[:-1], float(beta[-1]))


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + e^−x), without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -x)))


def logit(p: Floats) -> Floats:
    """log(p / (1 − p))."""
    return np.asarray(np.log(p / (1 - p)))


def _train(
    matrix: Matrix, target: Floats, weight: Floats, rounds: int, settings: dict[str, Any]
) -> Any:
    import lightgbm

    leaf = int(np.clip(len(target) / 200, 20, 100))
    data = lightgbm.Dataset(matrix, label=target, weight=weight, free_raw_data=True)
    return lightgbm.train({**SHARED, "min_data_in_leaf": leaf, **settings}, data, rounds)


def fit_value_trees(matrix: Matrix, value: Floats, weight: Floats) -> Trees:
    """Tweedie regression of spend."""
    scale = float(np.average(value, weights=weight)) or 1.0
    settings = {"objective": "tweedie", "tweedie_variance_power": TWEEDIE_POWER}
    return Trees(_train(matrix, value / scale, weight, 80, settings), scale)


def fit_amount_trees(matrix: Matrix, value: Floats, weight: Floats) -> Trees:
    """Gamma regression of what buyers spend: the second half of a hurdle model."""
    bought = value > 0
    amount = value[bought]
    scale = float(np.average(amount, weights=weight[bought])) if len(amount) else 1.0
    settings = {"objective": "gamma"}
    return Trees(_train(matrix[bought], amount / scale, weight[bought], 100, settings), scale)
