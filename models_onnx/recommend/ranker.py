"""LightGBM's lambdarank over what the candidates put forward, fitted on earlier dates."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cva_sql.models_onnx.recommend.baskets import Baskets, Floats, Index, Scores
from cva_sql.models_onnx.recommend.contract import Candidate, Scorer
from cva_sql.models_onnx.recommend.lists import largest, tie_breaks
from cva_sql.models_onnx.recommend.pairs import NAMES, Facts, facts, shop_popularity
from cva_sql.models_onnx.recommend.rules import Rules, rules
from cva_sql.udfs.threads import in_order

# Read when OpenMP is loaded, so before LightGBM is: threads that spin slow other work down.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

POOL = 40  # products of each candidate that the ranker orders anew
CHUNK = 128  # customers at a time: their scores fit into the processor's cache
MOST_CUSTOMERS = 2000  # of a date that the ranker learns from: half a million pairs and more
SETTINGS: Mapping[str, Any] = {
    "objective": "lambdarank",
    "lambdarank_truncation_level": 10,  # what is below place 10 is in nobody's list
    "learning_rate": 0.1,
    "num_leaves": 15,
    "min_data_in_leaf": 100,
    "lambda_l2": 5.0,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "seed": 7,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 2,
    "verbosity": -1,
}
ROUNDS = 120


@dataclass(frozen=True)
class Known:
    """All candidates fitted on the baskets before a day, with the facts of that day."""

    baskets: Baskets
    day: int
    horizon: int
    scorers: Mapping[str, Scorer]
    facts: Facts
    popularity: Floats
    rules: Rules

    def scores(self, customers: Index) -> dict[str, Scores]:
        """Each candidate's scores of every product."""
        return {name: scorer(customers) for name, scorer in self.scorers.items()}

    @cached_property
    def bought(self) -> sparse.csr_array:
        """Customers by products: how many orders hold the product."""
        return self.baskets.matrix()

    @cached_property
    def ties(self) -> Floats:
        """What puts equal scores in the order of popularity."""
        return tie_breaks(self.popularity)

    def owned(self, customers: Index) -> NDArray[np.bool_]:
        """(len(customers), products) that each of them has."""
        return np.asarray(self.bought[customers].toarray() > 0)

    def allowed(self, customers: Index) -> NDArray[np.bool_]:
        """(len(customers), products) that may be in each one's list."""
        return self.rules.allowed(self.owned(customers))


def known(
    baskets: Baskets,
    day: int,
    horizon: int,
    candidates: Sequence[Candidate],
    excluded: NDArray[np.bool_] | None = None,
) -> Known:
    """Fits every candidate that can work on what was bought before `day`."""
    past = baskets.before(day)
    fitted = in_order(lambda found: (found.name, found.fit(past, day, horizon)), candidates)
    scorers = {name: scorer for name, scorer in fitted if scorer is not None}
    return Known(
        past,
        day,
        horizon,
        scorers,
        facts(past, day),
        shop_popularity(past, day),
        rules(past, day, excluded),
    )


@dataclass(frozen=True)
class Pool:
    """What the ranker orders: rows by customer."""

    row: Index  # of the customers asked for
    product: Index
    matrix: Scores


def pooled(state: Known, customers: Index, scores: Mapping[str, Scores], size: int = POOL) -> Pool:
    """The `size` best of every candidate for each customer, with what the ranker reads of them.

    Only what may be in the customer's list: else what may not be would take the places of the rest.
    """
    allowed = state.allowed(customers)
    chosen = np.zeros_like(allowed)
    for values in scores.values():
        place = largest(values, state.ties, size, allowed)
        np.put_along_axis(chosen, place, True, axis=1)
    chosen &= allowed
    row, product = np.nonzero(chosen)
    columns = [scores[name][row, product] for name in sorted(scores)]
    columns += [_shares(scores[name], row, product) for name in sorted(scores)]
    told = state.facts.of(customers[row], product)
    return Pool(row, product, np.column_stack([*columns, told]).astype(np.float32))


def column_names(names: Sequence[str]) -> list[str]:
    """The columns of a pool's matrix."""
    found = sorted(names)
    return [*found, *(f"{name}_share" for name in found), *NAMES]


def _shares(values: Scores, row: Index, product: Index) -> Scores:
    """Each score as a share of the customer's best."""
    best = values.max(axis=1)
    return np.asarray(values[row, product] / np.where(best > 0, best, 1.0)[row], dtype=np.float32)


def chunks(customers: Index) -> Iterator[Index]:
    """Customers in parts."""
    for start in range(0, len(customers), CHUNK):
        yield customers[start : start + CHUNK]


@dataclass(frozen=True)
class Ranker:
    """What orders the pool of some candidates anew: `predict` maps its rows to 0 to 1.

    `booster` is LightGBM's own; None where `predict` is a file's. `pool` products of each
    candidate are ordered: where one recommends alone, no fewer than a list is long.
    """

    predict: Callable[[Scores], Floats]
    candidates: tuple[str, ...]
    booster: Any = None
    pool: int = POOL

    def score(self, state: Known, customers: Index, scores: Mapping[str, Scores]) -> Scores:
        """(customers, products): above 0 in the pool, 0 elsewhere.

        A candidate that cannot work any more, as vectors are gone, has nothing to say.
        """
        found = np.zeros((len(customers), state.baskets.products), dtype=np.float32)
        silent = np.zeros_like(found)
        told = {name: scores.get(name, silent) for name in self.candidates}
        pool = pooled(state, customers, told, self.pool)
        if len(pool.row):
            found[pool.row, pool.product] = self.predict(pool.matrix)
        return found


def alone(names: Collection[str], name: str) -> Ranker:
    """One candidate as a ranker: its share of the customer's best."""
    place = column_names(sorted(names)).index(f"{name}_share")
    return Ranker(lambda matrix: matrix[:, place].astype(np.float64), tuple(sorted(names)))


def boosted(booster: Any) -> Callable[[Scores], Floats]:
    """A booster's raw score, by the logistic function between 0 and 1."""

    def predict(matrix: Scores) -> Floats:
        raw = np.asarray(booster.predict(matrix, num_threads=2, raw_score=True), dtype=np.float64)
        return np.asarray(1.0 / (1.0 + np.exp(-raw)))

    return predict


def bought_in(baskets: Baskets, day: int, horizon: int, customers: Index) -> NDArray[np.bool_]:
    """(customers, products): what each bought in [day, day + horizon)."""
    later = baskets.within(day, horizon).matrix()
    return np.asarray(later[customers].toarray() > 0)


def judged_customers(baskets: Baskets, day: int, horizon: int) -> Index:
    """Those with an order before the day and one within the horizon after it."""
    return np.intersect1d(baskets.before(day).active(), baskets.within(day, horizon).active())


def fit_ranker(baskets: Baskets, states: Sequence[Known]) -> Ranker | None:
    """Learns from what was bought after each state's day; None where nothing was."""
    names = sorted(set.intersection(*(set(state.scorers) for state in states)))

    def learned_from(asked: tuple[Known, Index]) -> tuple[Scores, NDArray[np.bool_], Index]:
        """What is known of their products, which were bought, and how many rows each has."""
        state, part = asked
        pool = pooled(state, part, {name: state.scorers[name](part) for name in names})
        wanted = bought_in(baskets, state.day, state.horizon, part)[pool.row, pool.product]
        has_hit = np.bincount(pool.row, weights=wanted, minlength=len(part)) > 0
        kept = has_hit[pool.row]
        sizes = np.bincount(pool.row[kept], minlength=len(part))[has_hit]
        return pool.matrix[kept], wanted[kept], sizes

    asked = [
        (state, part)
        for state in states
        for part in chunks(
            sampled(judged_customers(baskets, state.day, state.horizon), MOST_CUSTOMERS)
        )
    ]
    found = list(in_order(learned_from, asked))
    matrices, labels, groups = ([one[k] for one in found] for k in range(3))
    if not sum(len(part) for part in groups):
        return None
    booster = _boost(
        np.concatenate(matrices), np.concatenate(labels), np.concatenate(groups), names
    )
    return Ranker(boosted(booster), tuple(names), booster)


def sampled(customers: Index, most: int | None) -> Index:
    """At most so many of them, drawn the same way every time, in their order."""
    if most is None or len(customers) <= most:
        return customers
    return np.sort(np.random.default_rng(7).choice(customers, most, replace=False))


def _boost(matrix: Scores, label: NDArray[np.bool_], groups: Index, names: Sequence[str]) -> Any:
    import lightgbm

    data = lightgbm.Dataset(
        matrix, label=label.astype(np.int32), group=groups, feature_name=column_names(names)
    )
    return lightgbm.train(dict(SETTINGS), data, ROUNDS)
