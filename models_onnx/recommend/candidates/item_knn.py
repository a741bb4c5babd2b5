"""Products whose buyers are the buyers of the customer's products: cosine over customers.

Sarwar et al. (2001), Item-based collaborative filtering recommendation algorithms.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from cva_sql.models_onnx.recommend.baskets import Baskets, Index, Scores, dense
from cva_sql.models_onnx.recommend.contract import Candidate, Scorer
from cva_sql.models_onnx.recommend.neighbours import row_lengths, scaled_rows, similar_rows, turned

NEIGHBOURS = 200


def binary(matrix: sparse.csr_array) -> sparse.csr_array:
    """1 wherever there is anything."""
    found = matrix.copy()
    found.data = np.ones_like(found.data)
    return found


def neighbours(baskets: Baskets, count: int = NEIGHBOURS) -> sparse.csr_array:
    """Products by products: cosine of their buyers."""
    bought = sparse.csr_array(binary(baskets.matrix()).T)
    unit = scaled_rows(bought, 1.0 / row_lengths(bought))
    return similar_rows(unit, turned(unit), count, is_square=True)


def fit(baskets: Baskets, day: int, horizon: int) -> Scorer:
    """The sum of cosines to all that the customer bought."""
    near, history = neighbours(baskets), binary(baskets.matrix())

    def score(customers: Index) -> Scores:
        return dense(history[customers] @ near)

    return score


CANDIDATE = Candidate("item_knn", fit, "bought by the same customers as {product}", is_rule=True)
