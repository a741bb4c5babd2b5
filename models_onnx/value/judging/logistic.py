"""The slope of a logistic regression on one column."""

from __future__ import annotations

import math

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.judging.columns import dot, mean

NEWTON_STEPS = 50  # five or six do on real data; one that needs more is reported as NaN
NEWTON_TOLERANCE = 1e-10  # of the step, far below what a bootstrap interval can show


def logistic_slope(x: Floats, size: Floats, successes: Floats) -> float:
    """Maximum-likelihood slope of `successes` of `size` on x, by Newton with halved steps."""
    centre = mean(x, size)
    scale = math.sqrt(mean((x - centre) ** 2, size))  # so that a narrow x is no harder to fit
    z = (x - centre) / scale

    def fit(intercept: float, slope: float) -> tuple[float, Floats]:
        """Negative log likelihood and fitted probabilities, without overflow."""
        eta = intercept + slope * z
        small = np.exp(-np.abs(eta))
        loss = dot(size, np.log1p(small) + np.maximum(eta, 0)) - dot(successes, eta)
        return loss, np.where(eta > 0, 1.0, small) / (1 + small)

    rate = float(successes.sum() / size.sum())
    intercept, slope = math.log(rate / (1 - rate)), 0.0
    loss, fitted = fit(intercept, slope)
    for _ in range(NEWTON_STEPS):
        residual, variance = successes - size * fitted, size * fitted * (1 - fitted)
        cross = dot(variance, z)
        curvature = np.array([[variance.sum(), cross], [cross, dot(variance, z * z)]])
        step = np.linalg.solve(curvature, np.array([residual.sum(), dot(residual, z)]))
        if np.abs(step).max() < NEWTON_TOLERANCE * (1 + abs(intercept) + abs(slope)):
            return slope / scale
        proposed = fit(intercept + step[0], slope + step[1])
        while proposed[0] > loss + 1e-12 * abs(loss):  # the slack is rounding, at the optimum
            step = step / 2
            proposed = fit(intercept + step[0], slope + step[1])
        intercept, slope = intercept + float(step[0]), slope + float(step[1])
        loss, fitted = proposed
    return math.nan
