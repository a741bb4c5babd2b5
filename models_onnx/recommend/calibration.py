"""How likely a product is bought, by the score that puts it into a list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cva_sql.models_onnx.recommend.baskets import Baskets, Floats, Scores
from cva_sql.models_onnx.recommend.ranker import Known, Ranker, bought_in, chunks, sampled

MOST_CUSTOMERS = 2000  # that it is learned from: some 100,000 pairs
BINS = 50  # of as many pairs each
LEAST_BOUGHT = 50  # pairs; with fewer a bin's share says nothing


@dataclass(frozen=True)
class Calibration:
    """Rising probabilities at rising scores; between two of them a straight line."""

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]
    customers: int

    def of(self, values: Scores) -> Floats:
        """The probability of each score; NaN where it is 0, as nothing was scored there."""
        found = np.interp(values, self.scores, self.probabilities)
        return np.where(values > 0, found, np.nan)

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Calibration:
        """That of a manifest's JSON."""
        scores, shares = (tuple(map(float, raw[name])) for name in ("scores", "probabilities"))
        return Calibration(scores, shares, int(raw["customers"]))


def calibrate(baskets: Baskets, state: Known, ranker: Ranker) -> Calibration | None:
    """Learned from what was bought in the horizon after the state's day; None where too little was.

    Of all who had ordered before, those too who did not come back. The ranker has to have been
    fitted on earlier days. Isotonic regression over bins of scores.
    """
    values, bought = [], []
    customers = sampled(state.baskets.active(), MOST_CUSTOMERS)
    for part in chunks(customers):
        found = ranker.score(state, part, state.scores(part))
        is_scored = found > 0
        values.append(found[is_scored])
        bought.append(bought_in(baskets, state.day, state.horizon, part)[is_scored])
    score = np.concatenate(values).astype(np.float64)
    label = np.concatenate(bought).astype(np.float64)
    if label.sum() < LEAST_BOUGHT:
        return None
    order = np.argsort(score, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    return _rising(
        np.array([score[part].mean() for part in parts]),
        np.array([label[part].mean() for part in parts]),
        np.array([len(part) for part in parts], dtype=np.float64),
        len(customers),
    )


def _rising(score: Floats, share: Floats, size: Floats, customers: int) -> Calibration:
    """Bins that would fall are one: so the knots rise, and two scores never mean the same."""
    from sklearn.isotonic import isotonic_regression

    fitted = isotonic_regression(share, sample_weight=size)
    _, level = np.unique(fitted, return_inverse=True)
    total = np.bincount(level, weights=size)
    knots = np.bincount(level, weights=score * size) / total
    shares = np.bincount(level, weights=fitted * size) / total
    return Calibration(tuple(map(float, knots)), tuple(map(float, shares)), customers)
