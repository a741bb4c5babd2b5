"""BM25: products by how alike their buyers are, a customer of many products saying less of each.

Robertson and Zaragoza (2009), The probabilistic relevance framework: BM25 and beyond, taken from
words of texts to products of customers as the package implicit does.
"""

from __future__ import annotations

from scipy import sparse

from cva_sql.models_onnx.recommend.baskets import Baskets, Index, Scores, dense
from cva_sql.models_onnx.recommend.contract import EXTRA, Candidate, Scorer

NEIGHBOURS = 200
K1, B = 1.2, 0.75  # as implicit has them


def fit(baskets: Baskets, day: int, horizon: int) -> Scorer:
    """The sum over the customer's products of how alike each is to a product, itself included."""
    from implicit.nearest_neighbours import ItemItemRecommender, bm25_weight

    counts = baskets.matrix()
    weighted = bm25_weight(sparse.csr_matrix(counts.T), K1, B)
    model = ItemItemRecommender(K=NEIGHBOURS, num_threads=1)
    model.fit(sparse.csr_matrix(weighted.T), show_progress=False)
    near = sparse.csr_array(model.similarity)

    def score(customers: Index) -> Scores:
        return dense(counts[customers] @ near)

    return score


CANDIDATE = Candidate("bm25", fit, "bought by the same customers as {product}", extra=EXTRA)
