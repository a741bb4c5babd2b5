"""Each customer's list, with what speaks for every product in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cva_sql.models_onnx.recommend.baskets import Baskets, Floats, Ids, Index
from cva_sql.models_onnx.recommend.candidates import bought_together, item_knn
from cva_sql.models_onnx.recommend.lists import ordered, top
from cva_sql.models_onnx.recommend.neighbours import BLOCK, keep_largest
from cva_sql.models_onnx.recommend.pairs import NAMES
from cva_sql.models_onnx.recommend.ranker import Known, Ranker, chunks
from cva_sql.models_onnx.recommend.reasons import Words
from cva_sql.models_onnx.recommend.worth import Worth
from cva_sql.udfs.threads import in_order

PERSONAL, BROWSED, SIMILAR, POPULAR = "personal", "browsed", "similar", "popular"


@dataclass(frozen=True)
class Offers:
    """Rows of lists, by customer and rank from 1; `score` compares within a list alone.

    `probability` is of a purchase within the horizon, NaN where unknown, and `margin` what a unit
    leaves, NaN where unknown.
    """

    customer: Ids
    rank: Index
    product: Index
    score: Floats
    reason: NDArray[np.object_]
    status: NDArray[np.object_]
    probability: Floats
    margin: Floats


@dataclass(frozen=True)
class Neighbours:
    """Products by products: what goes with what, the surest way first.

    `by` has a name, and how near row and column are, the `toward` of each turned.
    """

    by: Sequence[tuple[str, sparse.csr_array]]
    toward: Sequence[sparse.csr_array]

    def partner(self, history: sparse.csr_array, product: Index) -> tuple[Index, list[str]]:
        """For pairs of a customer's history and a product: the own one that speaks for it most.

        With the name of the way that knows it; -1 and '' where none does.
        """
        found = np.full(len(product), -1, dtype=np.int64)
        names = [""] * len(product)
        for (name, _), turned in zip(self.by, self.toward, strict=True):
            missing = np.flatnonzero(found < 0)
            if not len(missing):
                break
            best = sparse.csr_array(turned[product[missing]].multiply(history[missing]))
            has = np.diff(best.indptr) > 0
            place = np.asarray(best.argmax(axis=1)).ravel()
            for pair in missing[has]:
                names[pair] = name
            found[missing[has]] = place[has]
        return found, names


def neighbours(baskets: Baskets, count: int = 50) -> Neighbours:
    """By orders, by customers, and by text or picture where products have vectors."""
    by = [
        ("bought_together", bought_together.pairs(baskets, count)),
        ("same_customers", item_knn.neighbours(baskets, count)),
    ]
    if baskets.vectors is not None:
        by.append(("content", _alike(baskets.vectors, count)))
    return Neighbours(by, [sparse.csr_array(matrix.T) for _, matrix in by])


def _alike(vectors: NDArray[np.float32], count: int) -> sparse.csr_array:
    blocks = []
    for start in range(0, len(vectors), BLOCK):
        near = np.maximum(vectors[start : start + BLOCK] @ vectors.T, 0.0).astype(np.float32)
        here = np.arange(len(near))
        near[here, start + here] = 0.0
        blocks.append(keep_largest(near, count))
    return sparse.csr_array(sparse.vstack(blocks, format="csr"))


def personal(
    state: Known, ranker: Ranker, near: Neighbours, count: int, names: Ids, worth: Worth,
    words: Words,
) -> Iterator[Offers]:  # fmt: skip
    """Lists of all who ever ordered; `names` are the products' for people."""
    recent = bought_together.recent(state.baskets)

    def lists(part: Index) -> Offers:
        values = ranker.score(state, part, state.scores(part))
        order = worth.order(values)
        place, usable = top(ordered(order, state.popularity), count, state.allowed(part))
        row, column = np.nonzero(usable)
        product = place[row, column]
        facts = state.facts.of(part[row], product)
        partner, how = near.partner(recent[part[row]], product)
        reasons = [
            _reason(dict(zip(NAMES, told, strict=True)), other, way, names, words)
            for told, other, way in zip(facts, partner, how, strict=True)
        ]
        return Offers(
            state.baskets.customer_ids[part[row]],
            column + 1,
            product,
            order[row, product].astype(np.float64),
            np.array(reasons, dtype=object),
            np.full(len(row), PERSONAL, dtype=object),
            worth.probability(values[row, product]),
            worth.margin[product],
        )

    return in_order(lists, chunks(state.baskets.active()))


def _reason(told: Mapping[str, float], partner: int, way: str, names: Ids, words: Words) -> str:
    """The customer's own rhythm first, if it lasts, then what the product goes with."""
    if told["bought"] >= 1:
        return words.own_habit(told)
    return words.pairs[way].format(product=names[partner]) if partner >= 0 else words.many
