"""Lists of customers without an order: what they looked at, what those like them buy, the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.recommend.baskets import Floats, Ids
from cva_sql.models_onnx.recommend.candidates.popularity import HALF_LIFE_DAYS
from cva_sql.models_onnx.recommend.lists import ordered, top
from cva_sql.models_onnx.recommend.offers import BROWSED, POPULAR, SIMILAR, Neighbours, Offers
from cva_sql.models_onnx.recommend.ranker import Known
from cva_sql.models_onnx.recommend.reasons import Words

VIEW_DECAY = 0.8  # weight of a viewed product against the next later one
LEAST_BUYERS = 30  # of a group; what fewer buy says little of those like them
STRENGTH = 100.0  # decayed lines that the coarser group's shares count as

Groups = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Cold:
    """Who has no order, what they looked at, the newest first, and who is like them.

    `groups` has of every customer the groups that they are in, each within the one before: a
    country, then a channel of it.
    """

    customers: Ids
    viewed: Mapping[str, Sequence[int]]
    groups: Groups = field(default_factory=dict)


def cold(
    state: Known, near: Neighbours, people: Cold, count: int, names: Ids, margin: Floats,
    words: Words,
) -> Offers:  # fmt: skip
    """Lists of those without an order; their score is 1 / rank."""
    offered = state.rules.offered
    known = _Popular(state, people.groups, count)
    rows: list[tuple[str, int, int, float, str, str]] = []
    for customer in people.customers:
        seen = [product for product in people.viewed.get(customer, ()) if offered[product]]
        said = {product: words.seen for product in seen}
        for product, partner in _around(near, seen, offered, count):
            said.setdefault(product, words.seen_with.format(product=names[partner]))
        usual, is_similar = known.of(people.groups.get(customer, ()))
        for product in usual:
            said.setdefault(product, words.similar if is_similar else words.many)
        status = BROWSED if seen else SIMILAR if is_similar else POPULAR
        for rank, (product, reason) in enumerate(list(said.items())[:count], start=1):
            rows.append((customer, rank, product, 1.0 / rank, reason, status))
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    objects = [np.array(columns[place], dtype=object) for place in (0, 4, 5)]
    listed = np.array(columns[2], dtype=np.int64)
    return Offers(
        objects[0],
        np.array(columns[1], dtype=np.int64),
        listed,
        np.array(columns[3], dtype=np.float64),
        objects[1],
        objects[2],
        np.full(len(rows), np.nan),
        margin[listed],
    )


class _Popular:
    """What sells now, by group; each group is looked at once."""

    def __init__(self, state: Known, groups: Groups, count: int) -> None:
        self._state, self._count = state, count
        self._buyers = [groups.get(customer, ()) for customer in state.baskets.customer_ids]
        self._lists: dict[tuple[str, ...], tuple[list[int], bool]] = {}

    def of(self, groups: tuple[str, ...]) -> tuple[list[int], bool]:
        """The products, and whether they are those of a group rather than of the whole shop."""
        if groups not in self._lists:
            sales, is_similar = self._sales(groups)
            keys = ordered(sales[None, :].astype(np.float32), self._state.popularity)
            place, usable = top(keys, self._count, self._state.rules.offered[None, :])
            self._lists[groups] = (place[0][usable[0]].tolist(), is_similar)
        return self._lists[groups]

    def _sales(self, groups: tuple[str, ...]) -> tuple[Floats, bool]:
        """Each product's share of decayed lines: a group's, drawn to that which it is within."""
        baskets = self._state.baskets
        weight = 0.5 ** ((self._state.day - baskets.day) / HALF_LIFE_DAYS)
        share = self._state.popularity / max(float(self._state.popularity.sum()), 1e-300)
        is_similar = False
        active = np.bincount(baskets.customer, minlength=baskets.customers) > 0
        for group in groups:
            inside = np.array([group in told for told in self._buyers], dtype=np.bool_)
            if int((inside & active).sum()) < LEAST_BUYERS:
                break
            lines = inside[baskets.customer]
            found = np.bincount(
                baskets.product[lines], weights=weight[lines], minlength=baskets.products
            )
            share = (found + STRENGTH * share) / (found.sum() + STRENGTH)
            is_similar = True
        return share, is_similar


def _around(
    near: Neighbours, seen: Sequence[int], offered: NDArray[np.bool_], count: int
) -> list[tuple[int, int]]:
    """Products that go with what was seen, and with which of it, the nearest first."""
    found: dict[int, tuple[float, int]] = {}
    matrix = near.by[0][1]
    for place, product in enumerate(seen):
        row = matrix[[product]]
        for other, value in zip(row.indices, row.data * VIEW_DECAY**place, strict=True):
            if offered[other] and value > found.get(int(other), (0.0, 0))[0]:
                found[int(other)] = (float(value), product)
    best = sorted(found, key=lambda product: (-found[product][0], product))[:count]
    return [(product, found[product][1]) for product in best]
