"""TIFU-KNN: how often a customer and those like them bought each product, newer orders first.

Hu et al. (2020), Modeling personalized item frequency information for next-basket
recommendation, arXiv 2006.00556, section 4. Neighbours are looked for among the customers who
ordered last, by cosine, which a sparse product gives.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from cva_sql.models_onnx.recommend.baskets import Baskets, Floats, Index, Scores, dense
from cva_sql.models_onnx.recommend.contract import Candidate, Scorer
from cva_sql.models_onnx.recommend.neighbours import row_lengths, scaled_rows, similar_rows, turned

WITHIN, BETWEEN = 0.9, 0.7  # decay of an order within its group, and of a group
GROUP = 7  # orders
NEIGHBOURS = 300
OWN = 0.7  # weight of the customer's own vector
POOL = 10_000  # customers that neighbours are looked for among: most of a list's time goes there


def vectors(baskets: Baskets) -> sparse.csr_array:
    """Customers by products: the mean over groups of the mean over orders, decayed."""
    recency = baskets.recency()
    group, place = recency // GROUP, recency % GROUP
    orders = _orders(baskets)[baskets.customer]
    groups = -(-orders // GROUP)
    size = np.minimum(GROUP, orders - group * GROUP)
    weight = WITHIN**place / size * BETWEEN**group / groups
    return baskets.matrix(weight)


def _orders(baskets: Baskets) -> Floats:
    count = np.zeros(baskets.customers)
    np.maximum.at(count, baskets.customer, baskets.basket_rank() + 1)
    return count


def pool(baskets: Baskets, count: int = POOL) -> Index:
    """The customers who ordered last, at most `count`."""
    newest = np.full(baskets.customers, -1, dtype=np.int64)
    np.maximum.at(newest, baskets.customer, baskets.day)
    order = np.argsort(-newest, kind="stable")[:count]
    return np.sort(order[newest[order] >= 0])


def fit(baskets: Baskets, day: int, horizon: int) -> Scorer:
    """The customer's vector, mixed with the mean of the nearest customers'."""
    own = vectors(baskets)
    unit = scaled_rows(own, 1.0 / row_lengths(own))
    others = pool(baskets)
    their, wanted = own[others], turned(unit[others])

    def score(customers: Index) -> Scores:
        near = similar_rows(unit[customers], wanted, NEIGHBOURS + 1, is_square=False)
        near.data = np.ones_like(near.data)
        near = scaled_rows(near, 1.0 / np.maximum(near.sum(axis=1), 1.0))
        mixed = OWN * own[customers] + (1.0 - OWN) * (near @ their)
        return dense(mixed)

    return score


CANDIDATE = Candidate("tifuknn", fit, "you and customers like you buy this")
