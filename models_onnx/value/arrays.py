"""Array types, two link functions and the bounds of a probability, for all of the value model."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Matrix: TypeAlias = NDArray[np.float64]
Signs: TypeAlias = NDArray[np.int64]  # 1 or -1 a column, 0 where either will do

SMALLEST_PROBABILITY = 1e-6  # nearer to 0 or 1 a logarithm loses its digits
LARGEST_PROBABILITY = 1 - 1e-6


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + e^−x), without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -x)))


def logit(p: Floats) -> Floats:
    """log(p / (1 − p))."""
    return np.asarray(np.log(p / (1 - p)))
