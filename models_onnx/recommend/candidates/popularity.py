"""What sells now: each order with the product counts, half as much with every 14 days."""

from __future__ import annotations

import numpy as np

from cva_sql.models_onnx.recommend.baskets import Baskets, Floats, Index, Scores
from cva_sql.models_onnx.recommend.contract import Candidate, Scorer

HALF_LIFE_DAYS = 14.0


def popularity(baskets: Baskets, day: int, half_life: float = HALF_LIFE_DAYS) -> Floats:
    """Decayed count of orders of each product, (products,)."""
    weight = 0.5 ** ((day - baskets.day) / half_life)
    found = np.bincount(baskets.product, weights=weight, minlength=baskets.products)
    return found.astype(np.float64)


def fit(baskets: Baskets, day: int, horizon: int) -> Scorer:
    """The same scores for everybody."""
    found = popularity(baskets, day).astype(np.float32)

    def score(customers: Index) -> Scores:
        return np.tile(found, (len(customers), 1))

    return score


CANDIDATE = Candidate("popularity", fit, "many customers buy this now", is_rule=True)
