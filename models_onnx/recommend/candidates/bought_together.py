"""What is in the same orders as the products of the customer's newest orders."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from cva_sql.models_onnx.recommend.baskets import Baskets, Index, Scores, dense
from cva_sql.models_onnx.recommend.contract import Candidate, Scorer
from cva_sql.models_onnx.recommend.neighbours import row_lengths, scaled_rows, similar_rows, turned

NEIGHBOURS = 100
DECAY = 0.7  # weight of an order against the next later one
SHRINK = 5.0  # orders: two products that met once are no pair


def pairs(baskets: Baskets, count: int = NEIGHBOURS) -> sparse.csr_array:
    """Products by products: cosine over orders, shrunk where few orders hold either."""
    held = sparse.csr_array(baskets.orders().T)
    shrunk = 1.0 / np.sqrt(row_lengths(held) ** 2 + SHRINK)
    lengths = scaled_rows(held, shrunk)
    return similar_rows(lengths, turned(lengths), count, is_square=True)


def recent(baskets: Baskets, decay: float = DECAY) -> sparse.csr_array:
    """Customers by products, each order worth `decay` of the next."""
    return baskets.matrix(decay ** baskets.recency().astype(np.float64))


def fit(baskets: Baskets, day: int, horizon: int) -> Scorer:
    """The sum over the customer's products of how often both are in one order."""
    together, history = pairs(baskets), recent(baskets)

    def score(customers: Index) -> Scores:
        return dense(history[customers] @ together)

    return score


CANDIDATE = Candidate("bought_together", fit, "often bought with {product}")
