"""What may be offered at all: products still sold, and again only what people buy again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.recommend.baskets import Baskets, Floats, Index

SILENT_DAYS = 180  # sold before, and to nobody for so long: withdrawn
PRICED_DAYS = 91  # prices that say whether a product is given away
# Share of the buyers who ordered again and took the product again: below, it is bought once.
REBOUGHT = 0.02
PAIRS = 50  # customers and products that a category is told apart by; with fewer it is the shop's


@dataclass(frozen=True)
class Rules:
    """`offered` and `again`, (products,): may be in a list, and in that of one who has it."""

    offered: NDArray[np.bool_]
    again: NDArray[np.bool_]

    def allowed(self, owned: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(customers, products) of which each customer owns `owned`."""
        return np.asarray(self.offered & (self.again | ~owned))


def rules(baskets: Baskets, day: int, excluded: NDArray[np.bool_] | None = None) -> Rules:
    """Learned from the baskets before `day`; `excluded` products are never offered."""
    past = baskets.before(day)
    offered = ~_withdrawn(past, day) & ~_given_away(past, day)
    if excluded is not None:
        offered &= ~excluded
    return Rules(offered, rebuyable(past))


def _withdrawn(past: Baskets, day: int) -> NDArray[np.bool_]:
    newest = np.full(past.products, -1, dtype=np.int64)
    np.maximum.at(newest, past.product, past.day)
    return np.asarray((newest >= 0) & (newest < day - SILENT_DAYS))


def _given_away(past: Baskets, day: int) -> NDArray[np.bool_]:
    lately = np.isfinite(past.price) & (past.day >= day - PRICED_DAYS)
    dearest = np.full(past.products, np.nan)
    np.fmax.at(dearest, past.product[lately], past.price[lately])
    return np.asarray(dearest <= 0)


def rebuyable(past: Baskets) -> NDArray[np.bool_]:
    """Whether each product's category is one that people buy again, (products,).

    Asked of customers with two orders or more: who never came back says nothing of a product.
    """
    orders = np.zeros(past.customers, dtype=np.int64)
    np.maximum.at(orders, past.customer, past.basket_rank() + 1)
    past = past.where(orders[past.customer] > 1)
    key = past.customer * past.products + past.product
    keys, count = np.unique(key, return_counts=True)
    product = keys % max(past.products, 1)
    again = (count > 1).astype(np.float64)
    shop = float(again.mean()) if len(again) else 1.0
    share = _by_category(past.category[product], again, int(past.category.max(initial=-1)) + 1)
    own = np.where(past.category >= 0, share[past.category], np.nan)
    return np.asarray(np.where(np.isfinite(own), own, shop) >= REBOUGHT)


def _by_category(category: Index, again: Floats, categories: int) -> Floats:
    known = category >= 0
    size = max(categories, 1)
    pairs = np.bincount(category[known], minlength=size)
    total = np.bincount(category[known], weights=again[known], minlength=size)
    return np.where(pairs >= PAIRS, total / np.maximum(pairs, 1), np.nan)
