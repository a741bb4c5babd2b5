"""How good lists are: recall, NDCG, MAP by customer, coverage and novelty of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.recommend.baskets import Floats, Index

LENGTH = 10  # of a list that is judged
REPLICATES, SEED = 1000, 7
INTERVAL = (2.5, 97.5)


@dataclass(frozen=True)
class Estimate:
    """A mean over customers with its 95 % bootstrap interval."""

    value: float
    lower: float
    upper: float


def list_metrics(
    lists: Index, usable: NDArray[np.bool_], relevant: NDArray[np.bool_]
) -> dict[str, Floats]:
    """recall@10, ndcg@10 and map@10 of each row; NaN where nothing is relevant.

    `lists` are products, best first, (rows, n); `relevant` is (rows, products). Recall is the
    share of all relevant products that are in the list, so a row with 20 of them reaches 0.5.
    """
    hits = np.take_along_axis(relevant, lists, axis=1) & usable
    hits = hits[:, :LENGTH].astype(np.float64)
    wanted = relevant.sum(axis=1).astype(np.float64)
    total = np.where(wanted > 0, wanted, np.nan)
    places = np.arange(1, hits.shape[1] + 1)
    discount = 1.0 / np.log2(places + 1.0)
    ideal = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(2, LENGTH + 2)))])
    best = ideal[np.minimum(wanted, LENGTH).astype(np.int64)]
    precision = np.cumsum(hits, axis=1) / places
    return {
        "recall": hits.sum(axis=1) / total,
        "ndcg": (hits @ discount) / np.where(wanted > 0, best, np.nan),
        "map": (hits * precision).sum(axis=1) / np.minimum(total, LENGTH),
    }


def coverage(lists: Index, usable: NDArray[np.bool_], on_sale: int) -> float:
    """Share of the products on sale that are in anybody's list."""
    return len(np.unique(lists[:, :LENGTH][usable[:, :LENGTH]])) / max(on_sale, 1)


def novelty(lists: Index, usable: NDArray[np.bool_], buyers: Floats, customers: int) -> float:
    """Mean of -log2 of the share of customers who bought the listed product; NaN without one."""
    share = np.clip(buyers / max(customers, 1), 1.0 / max(customers, 1), 1.0)
    listed = lists[:, :LENGTH][usable[:, :LENGTH]]
    return float(-np.log2(share)[listed].mean()) if len(listed) else float("nan")


def interval(values: Floats, customer: Index) -> Estimate:
    """The mean with its interval, customers redrawn with all of their rows; NaN rows are out.

    Of differences it is the paired interval.
    """
    kept = ~np.isnan(values)
    values, customer = values[kept], customer[kept]
    if not len(values):
        return Estimate(np.nan, np.nan, np.nan)
    _, group = np.unique(customer, return_inverse=True)
    sums = np.bincount(group, weights=values)
    sizes = np.bincount(group).astype(np.float64)
    random = np.random.default_rng(SEED)
    means = np.empty(REPLICATES)
    for replicate in range(REPLICATES):
        drawn = np.bincount(random.integers(0, len(sums), len(sums)), minlength=len(sums))
        means[replicate] = (drawn @ sums) / (drawn @ sizes)
    lower, upper = np.percentile(means, INTERVAL)
    return Estimate(float(values.mean()), float(lower), float(upper))


def means(rows: Mapping[str, Floats]) -> dict[str, float]:
    """The mean of each metric over the rows that have it; NaN where none has."""
    return {
        name: float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
        for name, values in rows.items()
    }
