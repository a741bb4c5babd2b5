"""EASE: the linear item-to-item model with a closed form, up to 10,000 products.

Steck (2019), Embarrassingly shallow autoencoders for sparse data, equation 8. The customer's
products weigh less the longer ago they were bought.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import lapack

from cva_sql.models_onnx.recommend.baskets import Baskets, Floats, Index, Scores
from cva_sql.models_onnx.recommend.candidates.item_knn import binary
from cva_sql.models_onnx.recommend.contract import Candidate, Scorer

MOST_PRODUCTS = 10_000  # the inverse of 10,000 x 10,000 takes 800 MB and about a minute
REGULARISATION = 200.0
HALF_LIFE_DAYS = 180.0  # of what the customer bought, in scoring


def fit(baskets: Baskets, day: int, horizon: int) -> Scorer | None:
    """Weights between the products sold to two customers or more; None for too many of them."""
    bought = binary(baskets.matrix())
    sold = np.flatnonzero(np.asarray(bought.sum(axis=0)).ravel() >= 2)
    if not 2 <= len(sold) <= MOST_PRODUCTS:
        return None
    weights = _weights(bought[:, sold])
    history = baskets.matrix(0.5 ** ((day - baskets.day) / HALF_LIFE_DAYS))
    history.data = np.minimum(history.data, 1.0)
    history = history[:, sold].astype(np.float32)  # in doubles each product would copy the weights

    def score(customers: Index) -> Scores:
        found = np.zeros((len(customers), baskets.products), dtype=np.float32)
        found[:, sold] = np.maximum(history[customers] @ weights, 0.0)
        return found

    return score


def _weights(bought: Any) -> Scores:
    gram = np.asarray((bought.T @ bought).toarray(), dtype=np.float64)
    gram[np.diag_indices_from(gram)] += REGULARISATION
    factor, _ = lapack.dpotrf(gram, lower=1, overwrite_a=1)  # half the work of a plain inverse
    inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    weights: Floats = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights.astype(np.float32)


CANDIDATE = Candidate("ease", fit, "customers who bought {product} buy this")
