"""ALS: customers and products as factors whose product is how surely one buys the other.

Hu, Koren and Volinsky (2008), Collaborative filtering for implicit feedback datasets, as the
package implicit fits it, on counts weighted by BM25; settings are those of its tutorial.
"""

from __future__ import annotations

import numpy as np

from cva_sql.models_onnx.recommend.baskets import Baskets, Index, Scores
from cva_sql.models_onnx.recommend.contract import EXTRA, Candidate, Scorer

FACTORS = 64
REGULARISATION, ALPHA = 0.05, 2.0
K1, B = 100.0, 0.8  # of BM25
SEED = 7


def fit(baskets: Baskets, day: int, horizon: int) -> Scorer:
    """The product of both factors where it is above 0; the same ones every time."""
    from implicit.als import AlternatingLeastSquares
    from implicit.nearest_neighbours import bm25_weight
    from scipy import sparse
    from threadpoolctl import threadpool_limits

    counts = sparse.csr_matrix(baskets.matrix().astype(np.float32))
    weighted = sparse.csr_matrix(bm25_weight(sparse.csr_matrix(counts.T), K1, B).T)
    with threadpool_limits(1):  # sums in another order would give other factors
        model = AlternatingLeastSquares(
            factors=FACTORS,
            regularization=REGULARISATION,
            alpha=ALPHA,
            num_threads=1,
            random_state=SEED,
        )
        model.fit(weighted, show_progress=False)
    own, products = np.asarray(model.user_factors), np.asarray(model.item_factors)

    def score(customers: Index) -> Scores:
        return np.asarray(np.maximum(own[customers] @ products.T, 0.0), dtype=np.float32)

    return score


CANDIDATE = Candidate("als", fit, "customers like you buy this", extra=EXTRA)
