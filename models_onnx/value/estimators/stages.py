"""Regular gaps: k stages of a Poisson stream between purchases, and what follows from their sums.

MBG/CNBD-k (Reutterer, Platzer, Schröder 2021, "Leveraging purchase regularity for predicting
customer behavior the easy way"): a gap is Erlang-k, the sum of k stages that each end at the rate
λ ~ Gamma(r, α), so k = 1 is MBG/NBD and a larger k a steadier customer. After x repeat purchases
s = r + k·x is the shape of λ's posterior, and of a customer who bought u days ago, at age T, the
stages passed since are j < k with weights c_j = (s)_j / j! · w^j, w = u / (α + T). All sums run
over those weights.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.arrays import Floats

# Of `smooth_orders`: 1 − q^M loses its digits below, and E changes by 5e-7 · M; at 1 it has none.
SMALLEST_P, LARGEST_P = 1e-6, 1 - 1e-9
HARMONICS = 3  # as many as k / 2 would be exact at one p; these three leave what `btyd` states


def stage_sum(shape: Floats, w: Floats, stages: int) -> Floats:
    """Σ of c_j over j < stages, shapes as numpy broadcasts them; 1 for one stage.

    A partial sum of the negative binomial series, by Horner's scheme: all terms are positive.
    """
    total = np.ones(np.broadcast(shape, w).shape)
    for j in range(stages - 1, 0, -1):
        total = 1 + total * (w * ((shape + (j - 1)) * (1 / j)))
    return total


def log_stage_sum(shape: Floats, w: Floats, stages: int) -> tuple[Floats, Floats, Floats]:
    """log of `stage_sum` and its derivatives by shape and by w."""
    total, by_shape, by_w = np.ones(len(w)), np.zeros(len(w)), np.zeros(len(w))
    for j in range(stages - 1, 0, -1):
        factor = (shape + (j - 1)) * (1 / j)
        by_shape = by_shape * (w * factor) + total * w / j
        by_w = by_w * (w * factor) + total * factor
        total = 1 + total * (w * factor)
    return np.log(total), by_shape / total, by_w / total


def smooth_orders(p: Floats, shape: Floats, z: Floats, w: Floats, stages: int) -> Floats:
    """E[(1 − (1 − p)^M) / p] of a customer alive, as if the stages over at the end were even.

    z = horizon / (α + T), p within SMALLEST_P and LARGEST_P. M = (stages − rest) / k, and a rest
    equally likely to be 0 to k − 1 gives closed integrals over λ: see `uneven_orders`.
    """
    y = -np.log1p(-p) / stages
    rest = -np.expm1(-y)
    later = stage_sum(shape, w * np.exp(-y) / (1 + z * rest), stages)
    log_ratio = np.log(later / stage_sum(shape, w, stages))
    none = log_ratio - shape * np.log1p(z * rest) + (stages - 1) * y + np.log(p / (stages * rest))
    return np.asarray(-np.expm1(none) / p)


def harmonics(stages: int) -> Iterator[tuple[float, float, float]]:
    """(share, cos, sin) of the angles 2πl / stages that `uneven_orders` adds up."""
    for number in range(1, min(HARMONICS, stages // 2) + 1):
        angle = 2 * np.pi * number / stages
        twice = 1.0 if 2 * number == stages else 2.0
        yield twice / stages, float(np.cos(angle)), float(np.sin(angle))


def uneven_orders(p: Floats, shape: Floats, z: Floats, w: Floats, stages: int) -> Floats:
    """What `smooth_orders` leaves out, by the first HARMONICS of the rest's distribution.

    Σ over roots of unity ω of E[(s·ω)^stages] / (1 − 1 / (s·ω)) / (k·(1 − p)), s = (1 − p)^(1/k):
    small and smooth in p, so that the mean of p serves.
    """
    first = stage_sum(shape, w, stages)
    size = np.exp(np.log1p(-p) / stages)
    total: Floats = np.zeros_like(shape)
    with np.errstate(invalid="ignore"):  # a customer without an order has NaN, and keeps it
        for share, cos, sin in harmonics(stages):
            turned: NDArray[np.complex128] = size * complex(cos, sin)
            slower = 1 + z * (1 - turned)
            later: NDArray[np.complex128] = np.ones(shape.shape, dtype=np.complex128)
            for j in range(stages - 1, 0, -1):
                later = 1 + later * ((w * turned / slower) * ((shape + (j - 1)) * (1 / j)))
            value = np.exp(-shape * np.log(slower)) * later * turned / (turned - 1)
            total = total + share * value.real
    return np.asarray(total / (first * (1 - p)))
