"""Weights as whole numbers whose errors cancel on real inputs (GPTQ; Frantar et al., ICLR 2023)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LARGEST = 127
PAIR = 128  # of two neighbours of one sign: 255 · 128 still fits the 16 bits that AVX2 adds up in
DAMP = 0.01  # of the mean diagonal
BLOCK = 64
WIDTHS = (0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4)  # tried, of the largest weight

Matrix = NDArray[np.float64]


def gptq(weight: Matrix, hessian: Matrix) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Values (inputs, outputs) and a scale for each output: weight ≈ values · scale.

    `hessian` is the mean of x · xᵀ over real inputs x. Inputs are taken by falling weight; what one
    is off is made up for by those after it. Neighbours (2i, 2i + 1) keep the rule of PAIR.
    """
    order = np.argsort(-np.diag(hessian), kind="stable")
    rest, upper = weight[order], _inverse_root(hessian[np.ix_(order, order)])
    place = np.argsort(order)
    scale = _scale(weight, np.diag(hessian))
    found = np.zeros(weight.shape)  # by input
    for start in range(0, len(rest), BLOCK):
        stop = min(start + BLOCK, len(rest))
        errors = np.zeros((stop - start, weight.shape[1]))
        for row in range(start, stop):
            own = order[row]
            partner = own ^ 1
            other = found[partner] if place[partner] < row else np.zeros(weight.shape[1])
            found[own] = _clamped(np.rint(rest[row] / scale), other)
            error = (rest[row] - found[own] * scale) / upper[row, row]
            rest[row + 1 : stop] -= np.outer(upper[row, row + 1 : stop], error)
            errors[row - start] = error
        rest[stop:] -= upper[start:stop, stop:].T @ errors
    return found.astype(np.int8), scale.astype(np.float32)


def widest_pair(values: NDArray[np.int8]) -> int:
    """The largest sum of two neighbours of one sign; what is above PAIR could overflow on AVX2."""
    first, second = values[0::2].astype(int), values[1::2].astype(int)
    same = np.sign(first) == np.sign(second)
    return int((np.abs(first + second) * same).max())


def beyond_pair(weight: Matrix) -> NDArray[np.float32]:
    """(inputs, inputs): what the weights of two would be beyond PAIR as neighbours, squared."""
    values = (weight / np.abs(weight).max(axis=0) * LARGEST).astype(np.float32)
    sizes, found = np.abs(values), np.empty((len(values), len(values)), dtype=np.float32)
    for row, (own, size) in enumerate(zip(values, sizes, strict=True)):
        beyond = np.maximum(sizes + (size - PAIR), 0) * ((own > 0) == (values > 0))
        found[row] = np.sum(beyond * beyond, axis=1)
    np.fill_diagonal(found, 0)
    return found


def _inverse_root(hessian: Matrix) -> Matrix:
    """Upper triangle U with UᵀU the inverse."""
    damped = hessian + np.eye(len(hessian)) * DAMP * np.diag(hessian).mean()
    return np.linalg.cholesky(np.linalg.inv(damped)).T


def _scale(weight: Matrix, importance: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each output the width that loses least, the rule of PAIR kept."""
    widest = np.maximum(np.abs(weight).max(axis=0), 1e-12) / LARGEST
    losses = []
    for width in WIDTHS:
        step = widest * width
        values = np.clip(np.rint(weight / step), -LARGEST, LARGEST)
        values[1::2] = _clamped(values[1::2], values[0::2])
        losses.append(importance @ (weight - values * step) ** 2)
    best: NDArray[np.float64] = widest * np.array(WIDTHS)[np.argmin(losses, axis=0)]
    return best.astype(np.float32).astype(np.float64)


def _clamped(values: Matrix, other: Matrix) -> Matrix:
    """Within ±LARGEST, and with a neighbour of the same sign within PAIR."""
    highest = np.where(other > 0, np.minimum(PAIR - other, LARGEST), LARGEST)
    lowest = np.where(other < 0, np.maximum(-PAIR - other, -LARGEST), -LARGEST)
    return np.asarray(np.clip(values, lowest, highest))
