"""Linear members: Tweedie regression of spend, logistic regression of buying."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats, Matrix, Signs, sigmoid
from cva_sql.models_onnx.value.settings import Setting

TWEEDIE_POWER = 1.4  # between Poisson (1) and gamma (2): many zeros, a heavy tail
GLM_PENALTY = 0.1  # 0.01 does as well on two shops; more holds small shops together
PENALTY = Setting(GLM_PENALTY, 0.0, 1e6, (0.003, 1.0), is_log=True)
LOGIT_PENALTY = 0.02  # 0.001 to 0.1 do alike on two shops
LINEAR_ROWS = 60_000  # sixty coefficients need no more; every n-th row above that
NEWTON_STEPS = 25  # eight do
BOUNDED_STEPS = 500  # of L-BFGS-B, whose steps are cheaper; a hundred do
MAX_ETA = 50.0  # where a first step may go before it is taken back
NEWTON_TOLERANCE = 1e-8  # of a coefficient of standardised columns


@dataclass(frozen=True)
class Linear:
    """coefficients · z + intercept, for a standardised matrix z."""

    coefficients: Floats
    intercept: float

    def predict(self, z: Matrix) -> Floats:
        """The linear function, shape (rows,)."""
        return np.asarray(np.sum(z * self.coefficients, axis=1) + self.intercept)


def add_up_linear(parts: Sequence[tuple[float, Linear]]) -> Linear:
    """Σ weight · part."""
    return Linear(
        np.sum([weight * part.coefficients for weight, part in parts], axis=0),
        sum(weight * part.intercept for weight, part in parts),
    )


def fit_spend_linear(
    z: Matrix,
    value: Floats,
    weight: Floats,
    offset: Floats,
    signs: Signs | None = None,
    penalty: float = GLM_PENALTY,
) -> Linear:
    """Tweedie regression of spend with log link, L2 penalty and an offset in logs.

    The Tweedie deviance is homogeneous: d(c·y, c·μ) = c^(2−p)·d(y, μ). So an offset is a division
    of spend by exp(offset), with weights times exp(offset)^(2−p). A coefficient with an entry in
    `signs`, (columns,), has that sign or is 0.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import TweedieRegressor
    from threadpoolctl import threadpool_limits

    every = slice(None, None, -(-len(value) // LINEAR_ROWS))
    unit = np.exp(offset[every])
    weight = weight[every] * unit ** (2 - TWEEDIE_POWER)
    regressor = TweedieRegressor(
        power=TWEEDIE_POWER,
        alpha=penalty,
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
    free = Linear(np.asarray(regressor.coef_, dtype=np.float64), float(regressor.intercept_))
    y = value[every] / unit

    def loss(eta: Floats) -> tuple[Floats, Floats]:
        return tweedie_loss(y, eta)

    return _held(free, signs, z[every], weight / weight.sum(), penalty, loss)


def tweedie_loss(y: Floats, eta: Floats) -> tuple[Floats, Floats]:
    """Half the Tweedie deviance of exp(eta) but for what depends on y alone, and its slope."""
    low = TWEEDIE_POWER - 1
    spent, expected = y * np.exp(-low * eta), np.exp((1 - low) * eta)
    return spent / low + expected / (1 - low), expected - spent


def fit_logit_linear(
    z: Matrix, bought: Floats, weight: Floats, offset: Floats, signs: Signs | None = None
) -> Linear:
    """Logistic regression with an L2 penalty and an offset in logits, by Newton's method.

    scikit-learn's has no offset. `bought` is 1 or 0; `signs` as for `fit_spend_linear`.
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

    def loss(eta: Floats) -> tuple[Floats, Floats]:
        """Minus the log-likelihood and its slope."""
        eta = offset + eta
        return np.logaddexp(0.0, eta) - y * eta, sigmoid(eta) - y

    free = Linear(beta[:-1], float(beta[-1]))
    return _held(free, signs, z[every], weight, LOGIT_PENALTY, loss)


def _held(
    free: Linear,
    signs: Signs | None,
    z: Matrix,
    weight: Floats,
    penalty: float,
    loss: Callable[[Floats], tuple[Floats, Floats]],
) -> Linear:
    """The least penalised loss among the coefficients of these signs; `free` where it has them.

    `loss` gives each row's loss and slope at a linear predictor; weights add up to 1.
    """
    if signs is None or not np.any(free.coefficients * signs < 0):
        return free
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    def objective(beta: Floats) -> tuple[float, Floats]:
        each, slope = loss(np.clip(z @ beta[:-1] + beta[-1], -MAX_ETA, MAX_ETA))
        pull = weight * slope
        gradient = np.append(z.T @ pull + penalty * beta[:-1], pull.sum())
        return float(weight @ each + penalty / 2 * beta[:-1] @ beta[:-1]), gradient

    low = np.where(signs > 0, 0.0, -np.inf)
    high = np.where(signs < 0, 0.0, np.inf)
    start = np.append(np.clip(free.coefficients, low, high), free.intercept)
    bounds = [*zip(low, high, strict=True), (-np.inf, np.inf)]
    options = {"maxiter": BOUNDED_STEPS, "ftol": 1e-12, "gtol": 1e-7}
    with threadpool_limits(1):
        found = minimize(
            objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
        )
    return Linear(np.clip(found.x[:-1], low, high), float(found.x[-1]))
