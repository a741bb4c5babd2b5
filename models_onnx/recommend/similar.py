"""Tables beside the lists: which products go together, and which categories a customer likes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cva_sql.models_onnx.recommend.baskets import Baskets, Floats, Index
from cva_sql.models_onnx.recommend.offers import Neighbours

HALF_LIFE_DAYS = 180.0  # of a line in an affinity
DECIMALS = 6  # of what is published: below, cores may differ


@dataclass(frozen=True)
class Similar:
    """Rows by product and rank from 1; `by` says what makes the two alike."""

    product: Index
    rank: Index
    similar: Index
    score: Floats
    by: NDArray[np.object_]


def similar_products(near: Neighbours, offered: NDArray[np.bool_], count: int) -> Similar:
    """The nearest products that are offered, by the first way that knows any for the product."""
    products = len(offered)
    is_done = np.zeros(products, dtype=np.bool_)
    parts = []
    for name, matrix in near.by:
        kept = sparse.csr_array(matrix @ sparse.diags_array(offered.astype(np.float64)))
        kept.data = np.round(kept.data, DECIMALS)
        kept.eliminate_zeros()
        row = np.repeat(np.arange(products), np.diff(kept.indptr))
        order = np.lexsort((kept.indices, -kept.data, row))
        rank = np.arange(len(row)) - kept.indptr[row] + 1
        chosen = (rank <= count) & ~is_done[row]
        place = order[chosen]
        parts.append((row[chosen], rank[chosen], kept.indices[place], kept.data[place], name))
        is_done |= np.diff(kept.indptr) > 0
    found = [np.concatenate([part[column] for part in parts]) for column in range(4)]
    by = np.concatenate([np.full(len(part[0]), part[4], dtype=object) for part in parts])
    order = np.lexsort((found[1], found[0]))
    product, rank, similar, score = (np.asarray(column[order]) for column in found)
    return Similar(product, rank, similar, score, by[order])


@dataclass(frozen=True)
class Affinity:
    """Rows by customer and rank; `share` of the customer's decayed lines, `orders` with one."""

    customer: Index
    rank: Index
    category: Index
    share: Floats
    orders: Index
    last_day: Index


def category_affinity(baskets: Baskets, day: int) -> Affinity:
    """How much of what a customer buys is of each category, newer lines counting more."""
    known = baskets.category[baskets.product] >= 0
    lines = baskets.where(np.asarray(known))
    if not len(lines.day):
        none, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
        return Affinity(none, none, none, nothing, none, none)
    category = lines.category[lines.product]
    width = int(category.max()) + 1
    keys, pair = np.unique(lines.customer * width + category, return_inverse=True)
    weight = np.bincount(pair, weights=0.5 ** ((day - lines.day) / HALF_LIFE_DAYS))
    owner, kind = keys // width, keys % width
    share = np.round(weight / np.bincount(owner, weights=weight)[owner], DECIMALS)
    orders = np.unique(np.stack([pair, lines.basket]), axis=1)[0]
    last = np.full(len(keys), -1, dtype=np.int64)
    np.maximum.at(last, pair, lines.day)
    order = np.lexsort((kind, -share, owner))
    owner = owner[order]
    first = np.r_[True, owner[1:] != owner[:-1]]
    start = np.maximum.accumulate(np.where(first, np.arange(len(owner)), 0))
    rank = np.arange(len(owner)) - start + 1
    count = np.bincount(orders, minlength=len(keys))
    return Affinity(owner, rank, kind[order], share[order], count[order], last[order])
