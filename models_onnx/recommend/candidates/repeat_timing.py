"""When a product that the customer bought is due again.

The modified Poisson-Gamma model of Bhagat et al. (2018), Buy it again: modeling repeat purchase
recommendations, section 4.4: the customer's rate of buying the product, drawn towards that of all
its buyers, times the share of its buyers who ever buy it again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.recommend.baskets import Baskets, Floats, Index, Scores, dense
from cva_sql.models_onnx.recommend.contract import Candidate, Scorer

STRENGTH = 1.0  # purchases that the product's mean rate counts as
BUYERS = 10.0  # that the shop's share of re-buys counts as, in a product's own
SHORTEST_DAYS = 1.0


def fit(baskets: Baskets, day: int, horizon: int) -> Scorer:
    """The probability of a re-buy within the horizon."""
    counts = baskets.matrix()
    first, last = _edges(baskets)
    again = np.maximum(counts.data - 1.0, 0.0)
    share = rebuy_share(counts.indices, again > 0, baskets.products)
    known = np.maximum(day - first, SHORTEST_DAYS)
    rate = _ratio(counts.indices, again, known, baskets.products)

    # A purchase just made says that none is due: within half the gap time is not held against it.
    gap = np.where(again > 0, (last - first) / np.maximum(again, 1.0), 1.0 / rate[counts.indices])
    since = day - last
    effective = (last - first) + np.maximum(np.abs(since - gap), SHORTEST_DAYS)
    prior = STRENGTH / rate[counts.indices]
    expected = (again + STRENGTH) / (effective + prior) * horizon
    counts.data = share[counts.indices] * (1.0 - np.exp(-expected))

    def score(customers: Index) -> Scores:
        return dense(counts[customers])

    return score


def rebuy_share(product: Index, is_again: NDArray[np.bool_], products: int) -> Floats:
    """Share of a product's buyers who bought it again, drawn to the shop's, (products,)."""
    mean = float(is_again.mean()) if len(is_again) else 0.0
    buyers = np.bincount(product, minlength=products)
    rebuyers = np.bincount(product, weights=is_again.astype(np.float64), minlength=products)
    return np.asarray((rebuyers + BUYERS * mean) / (buyers + BUYERS))


def _edges(baskets: Baskets) -> tuple[Floats, Floats]:
    """First and last day of each pair, in the order of the matrix's entries."""
    key = baskets.customer * baskets.products + baskets.product
    _, pair = np.unique(key, return_inverse=True)
    size = int(pair.max()) + 1 if len(pair) else 0
    first, last = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(first, pair, baskets.day)
    np.maximum.at(last, pair, baskets.day)
    return first, last


def _ratio(product: Index, again: Floats, known: Floats, products: int) -> Floats:
    total = max(float(again.sum()), 1.0) / max(float(known.sum()), 1.0)
    bought = np.bincount(product, weights=again, minlength=products)
    exposed = np.bincount(product, weights=known, minlength=products)
    return np.asarray((bought + 1.0) / (exposed + 1.0 / total))


CANDIDATE = Candidate("repeat_timing", fit, "you buy this every {days} days")
