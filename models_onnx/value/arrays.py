"""Array types and the two link functions that the value model shares."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Matrix: TypeAlias = NDArray[np.float64]


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + e^−x), without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -x)))


def logit(p: Floats) -> Floats:
    """log(p / (1 − p))."""
    return np.asarray(np.log(p / (1 - p)))
