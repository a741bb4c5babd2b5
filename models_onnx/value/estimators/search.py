"""The minimum of a penalised likelihood by its log parameters, from several starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats

Objective = Callable[[Floats], tuple[float, Floats]]

MAX_STEPS = 500  # 15 to 25 are needed
CLIFF = 1e9  # what the search sees where the likelihood cannot be computed


def search_minimum(
    objective: Objective,
    starts: Sequence[Sequence[float]],
    bounds: Sequence[tuple[float, float]],
    names: Sequence[str],
) -> tuple[Floats | None, str]:
    """Log parameters of the lowest minimum that L-BFGS-B reaches, and one line on how starts agree.

    `objective` gives value and gradient at log parameters; starts and bounds are parameters. None
    where no start converges to a finite value.
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    limits = np.log(np.asarray(bounds, dtype=np.float64))
    options = {"maxiter": MAX_STEPS, "ftol": 1e-13, "gtol": 1e-7}
    settings = {"jac": True, "method": "L-BFGS-B", "bounds": limits.tolist(), "options": options}

    def guarded(theta: Floats) -> tuple[float, Floats]:
        with np.errstate(all="ignore"):
            value, gradient = objective(theta)
        if np.isfinite(value) and np.isfinite(gradient).all():
            return value, gradient
        return CLIFF, np.zeros_like(theta)

    firsts = [np.clip(np.log(start), limits[:, 0], limits[:, 1]) for start in starts]
    with threadpool_limits(1):  # four numbers are too few: up to ten times slower if shared
        ends = [minimize(guarded, first, **settings) for first in firsts]
    found = [end for end in ends if end.success and end.fun < CLIFF]
    if not found:
        return None, f"none of {len(starts)} starts converged"
    best = min(found, key=lambda end: float(end.fun))
    apart = max(float(end.fun) for end in found) - float(best.fun)
    is_bound = np.any(np.abs(best.x[:, None] - limits) < 1e-6, axis=1)
    on_bound = ", ".join(name for name, at in zip(names, is_bound, strict=True) if at) or "none"
    report = (
        f"{len(found)} of {len(starts)} starts converged, their optima {apart:.1e} apart in "
        f"log-likelihood per customer; on a bound: {on_bound}"
    )
    return np.asarray(best.x, dtype=np.float64), report
