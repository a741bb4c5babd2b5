"""The members of the value model: ridge on logs, and LightGBM for value, probability, orders, quantiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.preprocessing import LogScale, fit_log_scale

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]

KINDS = ("ridge", "lightgbm", "blend")
RESIDUAL_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
MIN_BUYERS_FOR_QUANTILES = 300  # below, one spread for all
TWEEDIE_POWER = 1.4  # between Poisson (1) and gamma (2): many zeros, a heavy tail
RIDGE_ALPHAS = (1.0, 10.0, 100.0, 1000.0)

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
class Ridge:
    """log(1 + y / unit) as a linear function of the log-scaled matrix, rescaled to the total."""

    log_scale: LogScale
    coefficients: Floats
    intercept: float
    unit: float
    highest: float
    factor: float
    alpha: float

    def predict(self, matrix: Matrix) -> Floats:
        """Expected spend per row, at least 0."""
        z = self.log_scale.transform(matrix)
        line = np.sum(z * self.coefficients, axis=1) + self.intercept
        return self.factor * np.expm1(np.clip(line, 0.0, self.highest))


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


def fit_ridge(matrix: Matrix, value: Floats, weight: Floats) -> Ridge:
    """Ridge on logs, its strength by generalised cross-validation."""
    from sklearn.linear_model import RidgeCV

    buyers = value > 0
    unit = float(np.average(value[buyers], weights=weight[buyers])) if buyers.any() else 1.0
    log_scale = fit_log_scale(matrix, weight)
    target = np.log1p(value / unit)
    fitted = RidgeCV(alphas=RIDGE_ALPHAS).fit(
        log_scale.transform(matrix), target, sample_weight=weight
    )
    ridge = Ridge(
        log_scale,
        np.asarray(fitted.coef_, dtype=np.float64),
        float(fitted.intercept_),
        unit,
        float(target.max(initial=0.0)) + 1.0,  # e times the largest seen; beyond is extrapolation
        1.0,
        float(fitted.alpha_),
    )
    predicted = np.average(ridge.predict(matrix), weights=weight)
    factor = float(np.average(value, weights=weight) / predicted) if predicted > 0 else 0.0
    return Ridge(**{**ridge.__dict__, "factor": factor})


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
