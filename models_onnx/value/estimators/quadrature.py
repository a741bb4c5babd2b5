"""Gauss's rule for a mean over a beta distribution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats


@dataclass(frozen=True)
class Quadrature:
    """Gauss's rule for a mean over Beta(a, b): nodes in (0, 1), 1 − nodes, weights of sum 1."""

    nodes: Floats
    rests: Floats
    weights: Floats


def beta_quadrature(a: float, b: float, count: int) -> Quadrature:
    """Gauss's rule with `count` nodes for the mean of f(p), p ~ Beta(a, b).

    Nodes are the eigenvalues of the Jacobi matrix (Golub, Welsch 1969). Weights are
    1 / Σ (orthonormal polynomials)², which keeps the digits of small ones; scipy's roots_jacobi
    overflows from b near 1000.
    """
    from scipy.linalg import eigvalsh_tridiagonal

    k = np.arange(1, count, dtype=np.float64)
    s = 2 * k + a + b - 2
    middle = np.concatenate(([a / (a + b)], (1 + (a - b) * (a + b - 2) / (s * (s + 2))) / 2))
    k, s = k[1:], s[1:]
    later = k * (k + a - 1) * (k + b - 1) * (k + a + b - 2) / (s**2 * (s + 1) * (s - 1))
    side = np.sqrt(np.concatenate(([a * b / ((a + b) ** 2 * (a + b + 1))], later)))
    nodes = eigvalsh_tridiagonal(middle, side)
    previous, current = np.zeros(count), np.ones(count)
    squares = current**2
    for j in range(count - 1):
        back = side[j - 1] * previous if j else previous
        previous, current = current, ((nodes - middle[j]) * current - back) / side[j]
        squares = squares + current**2
    weights = 1 / squares
    return Quadrature(nodes, 1 - nodes, weights / weights.sum())
