"""UP-CF: what customers alike bought in their last orders, their own included.

Faggioli et al. (2020), Recency aware collaborative filtering for next basket recommendation,
equations 3 to 6; Li et al., arXiv 2109.14233, find it hard to beat.
"""

from __future__ import annotations

import numpy as np

from cva_sql.models_onnx.recommend.baskets import Baskets, Index, Scores, dense
from cva_sql.models_onnx.recommend.candidates.item_knn import binary
from cva_sql.models_onnx.recommend.candidates.tifuknn import _orders, pool
from cva_sql.models_onnx.recommend.contract import Candidate, Scorer
from cva_sql.models_onnx.recommend.neighbours import scaled_rows, similar_rows, turned

ORDERS = 10  # newest ones that count
ASYMMETRY = 0.25
LOCALITY = 5.0  # power of similarity: near customers count much more
NEIGHBOURS = 300


def fit(baskets: Baskets, day: int, horizon: int) -> Scorer:
    """Share of the last orders that hold the product, over customers by similarity."""
    newest = (baskets.recency() < ORDERS).astype(np.float64)
    share = scaled_rows(baskets.matrix(newest), 1.0 / np.clip(_orders(baskets), 1.0, ORDERS))
    bought = binary(baskets.matrix())
    size = np.maximum(np.asarray(bought.sum(axis=1)).ravel(), 1.0)
    left = scaled_rows(bought, size**-ASYMMETRY)
    right = scaled_rows(bought, size ** -(1.0 - ASYMMETRY))
    others = pool(baskets)
    their, wanted = share[others], turned(right[others])

    def score(customers: Index) -> Scores:
        near = similar_rows(left[customers], wanted, NEIGHBOURS, is_square=False)
        near.data = near.data**LOCALITY
        return dense(near @ their)

    return score


CANDIDATE = Candidate("upcf", fit, "customers like you buy this")
