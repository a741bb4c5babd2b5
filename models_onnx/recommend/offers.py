"""Each customer's list, with what speaks for every product in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cva_sql.models_onnx.recommend.baskets import Baskets, Floats, Ids, Index
from cva_sql.models_onnx.recommend.candidates import bought_together, item_knn
from cva_sql.models_onnx.recommend.candidates.content import CANDIDATE as CONTENT
from cva_sql.models_onnx.recommend.lists import ordered, top
from cva_sql.models_onnx.recommend.neighbours import BLOCK, keep_largest
from cva_sql.models_onnx.recommend.pairs import NAMES
from cva_sql.models_onnx.recommend.ranker import Known, Ranker, chunks

PERSONAL, BROWSED, POPULAR = "personal", "browsed", "popular"
AGAIN, EVERY, BEFORE = (
    "you buy this often",
    "you buy this every {days} days",
    "you bought this before",
)
SEEN, SEEN_WITH = "you looked at this", "often bought with {product}, which you looked at"
MANY = "many customers buy this now"
SHORTEST_RHYTHM = 2  # days: below, a rhythm is several orders in one go
OFTEN = 3  # orders: two on a day or the next may be one that was split
LATELY_DAYS = 365  # without the product, and twice the rhythm: what was a habit is none any more
VIEW_DECAY = 0.8  # weight of a viewed product against the next later one


OWN = (EVERY, AGAIN, BEFORE)  # of what the customer has
# Every sentence that a reason can be, the more particular before what it is a part of.
TEMPLATES = (
    *OWN,
    SEEN,
    SEEN_WITH,
    bought_together.CANDIDATE.reason,
    item_knn.CANDIDATE.reason,
    CONTENT.reason,
    MANY,
)


@dataclass(frozen=True)
class Offers:
    """Rows of lists, by customer and rank from 1; `score` compares within a list alone."""

    customer: Ids
    rank: Index
    product: Index
    score: Floats
    reason: NDArray[np.object_]
    status: NDArray[np.object_]


@dataclass(frozen=True)
class Neighbours:
    """Products by products: what goes with what, the surest way first.

    `by` has a name, the words for it, and how near row and column are, the `toward` of each turned.
    """

    by: Sequence[tuple[str, str, sparse.csr_array]]
    toward: Sequence[sparse.csr_array]

    def partner(self, history: sparse.csr_array, product: Index) -> tuple[Index, list[str]]:
        """For pairs of a customer's history and a product: the own one that speaks for it most.

        -1 and '' where none does.
        """
        found = np.full(len(product), -1, dtype=np.int64)
        words = [""] * len(product)
        for (_, text, _), turned in zip(self.by, self.toward, strict=True):
            missing = np.flatnonzero(found < 0)
            if not len(missing):
                break
            best = sparse.csr_array(turned[product[missing]].multiply(history[missing]))
            has = np.diff(best.indptr) > 0
            place = np.asarray(best.argmax(axis=1)).ravel()
            for pair in missing[has]:
                words[pair] = text
            found[missing[has]] = place[has]
        return found, words


def neighbours(baskets: Baskets, count: int = 50) -> Neighbours:
    """By orders, by customers, and by text or picture where products have vectors."""
    by = [
        (
            "bought_together",
            bought_together.CANDIDATE.reason,
            bought_together.pairs(baskets, count),
        ),
        ("same_customers", item_knn.CANDIDATE.reason, item_knn.neighbours(baskets, count)),
    ]
    if baskets.vectors is not None:
        by.append(("content", CONTENT.reason, _alike(baskets.vectors, count)))
    return Neighbours(by, [sparse.csr_array(matrix.T) for _, _, matrix in by])


def _alike(vectors: NDArray[np.float32], count: int) -> sparse.csr_array:
    blocks = []
    for start in range(0, len(vectors), BLOCK):
        near = np.maximum(vectors[start : start + BLOCK] @ vectors.T, 0.0).astype(np.float32)
        here = np.arange(len(near))
        near[here, start + here] = 0.0
        blocks.append(keep_largest(near, count))
    return sparse.csr_array(sparse.vstack(blocks, format="csr"))


def personal(
    state: Known, ranker: Ranker, near: Neighbours, count: int, names: Ids
) -> Iterator[Offers]:
    """Lists of all who ever ordered; `names` are the products' for people."""
    recent = bought_together.recent(state.baskets)
    for part in chunks(state.baskets.active()):
        scores = state.scores(part)
        values = ranker.score(state, part, scores)
        place, usable = top(ordered(values, state.popularity), count, state.allowed(part))
        row, column = np.nonzero(usable)
        product = place[row, column]
        facts = state.facts.of(part[row], product)
        partner, words = near.partner(recent[part[row]], product)
        yield Offers(
            state.baskets.customer_ids[part[row]],
            column + 1,
            product,
            values[row, product].astype(np.float64),
            np.array(
                [
                    _reason(dict(zip(NAMES, told, strict=True)), other, text, names)
                    for told, other, text in zip(facts, partner, words, strict=True)
                ],
                dtype=object,
            ),
            np.full(len(row), PERSONAL, dtype=object),
        )


def _reason(told: Mapping[str, float], partner: int, words: str, names: Ids) -> str:
    """The customer's own rhythm first, if it lasts, then what the product goes with."""
    if told["bought"] >= 1:
        days, orders = round(told["gap"]), told["bought"]
        if told["days_since_bought"] > max(LATELY_DAYS, 2 * days) or orders < 2:
            return BEFORE
        if days >= SHORTEST_RHYTHM:
            return EVERY.format(days=days)
        return AGAIN if orders >= OFTEN else BEFORE
    return words.format(product=names[partner]) if partner >= 0 else MANY


def cold(
    state: Known, near: Neighbours, customers: Ids, viewed: Mapping[str, Sequence[int]],
    count: int, names: Ids,
) -> Offers:  # fmt: skip
    """Lists of those without an order: what they looked at lately, what goes with it, the rest.

    `viewed` is customer_id -> products, the newest first.
    """
    offered = state.rules.offered
    popular, usable = top(
        ordered(state.popularity[None, :].astype(np.float32), state.popularity),
        count,
        offered[None, :],
    )
    usual = popular[0][usable[0]].tolist()
    rows: list[tuple[str, int, int, float, str, str]] = []
    for customer in customers:
        seen = [product for product in viewed.get(customer, ()) if offered[product]]
        said = {product: SEEN for product in seen}
        for product, partner in _around(near, seen, offered, count):
            said.setdefault(product, SEEN_WITH.format(product=names[partner]))
        for product in usual:
            said.setdefault(product, MANY)
        status = BROWSED if seen else POPULAR
        for rank, (product, reason) in enumerate(list(said.items())[:count], start=1):
            rows.append((customer, rank, product, 1.0 / rank, reason, status))
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    objects = [np.array(columns[place], dtype=object) for place in (0, 4, 5)]
    return Offers(
        objects[0],
        np.array(columns[1], dtype=np.int64),
        np.array(columns[2], dtype=np.int64),
        np.array(columns[3], dtype=np.float64),
        objects[1],
        objects[2],
    )


def _around(
    near: Neighbours, seen: Sequence[int], offered: NDArray[np.bool_], count: int
) -> list[tuple[int, int]]:
    """Products that go with what was seen, and with which of it, the nearest first."""
    found: dict[int, tuple[float, int]] = {}
    matrix = near.by[0][2]
    for place, product in enumerate(seen):
        row = matrix[[product]]
        for other, value in zip(row.indices, row.data * VIEW_DECAY**place, strict=True):
            if offered[other] and value > found.get(int(other), (0.0, 0))[0]:
                found[int(other)] = (float(value), product)
    best = sorted(found, key=lambda product: (-found[product][0], product))[:count]
    return [(product, found[product][1]) for product in best]
