"""Products whose text or picture is near to what the customer bought lately."""

from __future__ import annotations

import numpy as np

from cva_sql.models_onnx.recommend.baskets import Baskets, Index, Scores
from cva_sql.models_onnx.recommend.candidates.bought_together import recent
from cva_sql.models_onnx.recommend.contract import Candidate, Scorer


def fit(baskets: Baskets, day: int, horizon: int) -> Scorer | None:
    """Cosine to the customer's mean product, newer orders first; None without vectors."""
    vectors = baskets.vectors
    if vectors is None:
        return None
    history = recent(baskets)

    def score(customers: Index) -> Scores:
        taste = (history[customers] @ vectors).astype(np.float32)
        length = np.linalg.norm(taste, axis=1, keepdims=True)
        unit = taste / np.where(length > 0, length, 1.0)
        return np.asarray(np.maximum(unit @ vectors.T, 0.0), dtype=np.float32)

    return score


CANDIDATE = Candidate("content", fit, "looks like {product}")
