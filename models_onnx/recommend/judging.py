"""Lists held against what was bought afterwards, re-buys and new products apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.recommend.baskets import Baskets, Floats, Index, Scores
from cva_sql.models_onnx.recommend.lists import ordered, top
from cva_sql.models_onnx.recommend.metrics import (
    LENGTH,
    Estimate,
    coverage,
    interval,
    list_metrics,
    novelty,
)
from cva_sql.models_onnx.recommend.ranker import (
    Known,
    Ranker,
    bought_in,
    chunks,
    judged_customers,
    sampled,
)

RANKER = "ranker"
PARTS = ("all", "rebuys", "new")
METRICS = ("recall", "ndcg", "map")


@dataclass(frozen=True)
class Judged:
    """One date's figures of everything that recommends.

    `rows` is name -> (part, metric) -> a value a customer, NaN where that part holds nothing.
    """

    day: int
    customer: Index
    rows: Mapping[str, Mapping[tuple[str, str], Floats]]
    coverage: Mapping[str, float]
    novelty: Mapping[str, float]


def judge_date(
    baskets: Baskets, state: Known, ranker: Ranker | None, most: int | None = None
) -> Judged:
    """How the candidates and the ranker did in the horizon after the state's day.

    With `most` by so many customers, drawn the same way every time.
    """
    customers = sampled(judged_customers(baskets, state.day, state.horizon), most)
    found: dict[str, list[dict[tuple[str, str], Floats]]] = {}
    lists: dict[str, list[tuple[Index, NDArray[np.bool_]]]] = {}
    for part in chunks(customers):
        wanted = bought_in(baskets, state.day, state.horizon, part)
        owned = state.owned(part)
        scores: dict[str, Scores] = state.scores(part)
        if ranker is not None:
            scores[RANKER] = ranker.score(state, part, scores)
        parts = {"all": np.ones_like(owned), "rebuys": owned, "new": ~owned}
        allowed = state.rules.allowed(owned)
        for name, values in scores.items():
            keys = ordered(values, state.popularity)
            rows: dict[tuple[str, str], Floats] = {}
            for kind, inside in parts.items():
                place, usable = top(keys, LENGTH, allowed & inside)
                for metric, column in list_metrics(place, usable, wanted & inside).items():
                    rows[kind, metric] = column
                if kind == "all":
                    lists.setdefault(name, []).append((place, usable))
            found.setdefault(name, []).append(rows)
    on_sale = int((np.bincount(state.baskets.product, minlength=1) > 0).sum())
    return _gathered(state, customers, found, lists, on_sale)


def _gathered(
    state: Known,
    customers: Index,
    found: Mapping[str, Sequence[Mapping[tuple[str, str], Floats]]],
    lists: Mapping[str, Sequence[tuple[Index, NDArray[np.bool_]]]],
    on_sale: int,
) -> Judged:
    buyers = np.asarray((state.bought > 0).sum(axis=0)).ravel()
    active = len(state.baskets.active())
    rows = {
        name: {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        for name, parts in found.items()
    }
    whole = {name: np.concatenate([one for one, _ in parts]) for name, parts in lists.items()}
    usable = {name: np.concatenate([one for _, one in parts]) for name, parts in lists.items()}
    return Judged(
        state.day,
        customers,
        rows,
        {name: coverage(place, usable[name], on_sale) for name, place in whole.items()},
        {name: novelty(place, usable[name], buyers, active) for name, place in whole.items()},
    )


def estimate(dates: Sequence[Judged], name: str, part: str, metric: str) -> Estimate:
    """The mean over the customers of all dates, with its interval."""
    values = np.concatenate([date.rows[name][part, metric] for date in dates])
    return interval(values, np.concatenate([date.customer for date in dates]))


def difference(dates: Sequence[Judged], name: str, other: str, part: str, metric: str) -> Estimate:
    """The mean lead of `name` over `other`, with its paired interval."""
    values = np.concatenate(
        [date.rows[name][part, metric] - date.rows[other][part, metric] for date in dates]
    )
    return interval(values, np.concatenate([date.customer for date in dates]))
