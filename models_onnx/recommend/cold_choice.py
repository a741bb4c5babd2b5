"""Whether what customers alike buy is offered to who is new: where it beat popularity, later on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cva_sql.models_onnx.recommend.baskets import Baskets, Floats
from cva_sql.models_onnx.recommend.choice import LEAST_CUSTOMERS
from cva_sql.models_onnx.recommend.cold import Cold, Groups, cold
from cva_sql.models_onnx.recommend.metrics import LENGTH, interval, list_metrics
from cva_sql.models_onnx.recommend.offers import POPULAR, SIMILAR, Neighbours
from cva_sql.models_onnx.recommend.ranker import bought_in, known, sampled
from cva_sql.models_onnx.recommend.reasons import words_of

MOST_CUSTOMERS = 5000  # new ones that are judged by


@dataclass(frozen=True)
class ColdChoice:
    """`similar` or `popular`, and why."""

    name: str
    verdict: str


def choose_cold(
    baskets: Baskets,
    groups: Groups,
    day: int,
    horizon: int,
    excluded: NDArray[np.bool_] | None = None,
) -> ColdChoice:
    """Judged by first orders in the last whole horizon before `day`; popularity where in doubt."""
    if not groups:
        return ColdChoice(POPULAR, "popularity: of no customer country or channel is known")
    past, start = baskets.before(day), day - horizon
    alike = judge_cold(past, groups, start, horizon, excluded)["ndcg"]
    if len(alike) < LEAST_CUSTOMERS:
        return ColdChoice(POPULAR, "popularity: too few new customers to judge by")
    plain = judge_cold(past, {}, start, horizon, excluded)["ndcg"]
    lead = interval(alike - plain, np.arange(len(alike)))
    said = (
        f"ndcg@10 {np.nanmean(alike):.3f}, popularity {np.nanmean(plain):.3f}, "
        f"lead {lead.lower:.3f} to {lead.upper:.3f}"
    )
    if lead.lower > 0:
        return ColdChoice(SIMILAR, f"what similar customers buy: {said}")
    return ColdChoice(
        POPULAR,
        f"popularity: what similar customers buy is not ahead of it beyond its interval ({said})",
    )


def judge_cold(
    baskets: Baskets,
    groups: Groups,
    day: int,
    horizon: int,
    excluded: NDArray[np.bool_] | None = None,
) -> Mapping[str, Floats]:
    """Metrics of lists of those whose first order is in the horizon after `day`, a value each.

    The lists are made from the orders before `day`; without `groups` they are the popular ones.
    """
    state = known(baskets, day, horizon, [], excluded)
    new = np.setdiff1d(baskets.within(day, horizon).active(), baskets.before(day).active())
    new = sampled(new, MOST_CUSTOMERS)
    products = baskets.products
    near = Neighbours([("", sparse.csr_array((products, products)))], [])
    people = Cold(baskets.customer_ids[new], {}, groups)
    margin = np.full(products, np.nan)
    offers = cold(state, near, people, LENGTH, baskets.product_ids, margin, words_of("en"))
    length = len(offers.rank) // max(len(new), 1)  # each has as many: all that may be offered
    if not length:
        return {name: np.zeros(0) for name in ("recall", "ndcg", "map")}
    lists = offers.product.reshape(len(new), length)
    wanted = bought_in(baskets, day, horizon, new)
    return list_metrics(lists, np.ones_like(lists, dtype=np.bool_), wanted)
