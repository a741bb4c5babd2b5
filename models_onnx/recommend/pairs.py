"""What a ranker is told of a customer and a product, beside the candidates' scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cva_sql.models_onnx.recommend.baskets import Baskets, Floats, Index
from cva_sql.models_onnx.recommend.candidates.popularity import popularity
from cva_sql.models_onnx.recommend.candidates.repeat_timing import rebuy_share

LONG_AGO_DAYS = 3650.0  # stands for never
CUSTOMER = ("orders", "products", "days_since_order", "days_between_orders", "order_size", "again")
PRODUCT = ("sold_28d", "sold_91d", "trend", "days_on_sale", "rebuy_share", "buyers", "price")
PAIR = ("bought", "days_since_bought", "orders_since_bought", "bought_share", "gap", "due")
NAMES = (*CUSTOMER, *PRODUCT, *PAIR)


@dataclass(frozen=True)
class Facts:
    """What was known on a day: by customer, by product, and by pair that there was."""

    customers: Floats
    products: Floats
    pair_keys: Index
    pair_facts: Floats
    width: int

    def of(self, customer: Index, product: Index) -> Floats:
        """(rows, NAMES) of pairs, those never bought with 0 and long ago."""
        key = customer * self.width + product
        place = np.searchsorted(self.pair_keys, key)
        place = np.minimum(place, max(len(self.pair_keys) - 1, 0))
        never = np.array([0.0, LONG_AGO_DAYS, LONG_AGO_DAYS, 0.0, LONG_AGO_DAYS, 0.0])
        found = np.tile(never, (len(key), 1))
        if len(self.pair_keys):
            known = self.pair_keys[place] == key
            found[known] = self.pair_facts[place[known]]
        return np.column_stack([self.customers[customer], self.products[product], found])


def facts(baskets: Baskets, day: int) -> Facts:
    """The facts of the baskets before `day`."""
    key = baskets.customer * baskets.products + baskets.product
    keys, pair, count = np.unique(key, return_inverse=True, return_counts=True)
    first, last = np.full(len(keys), day), np.zeros(len(keys), dtype=np.int64)
    np.minimum.at(first, pair, baskets.day)
    np.maximum.at(last, pair, baskets.day)
    newest = np.full(len(keys), baskets.products + len(baskets.day))
    np.minimum.at(newest, pair, baskets.recency())

    orders = np.zeros(baskets.customers)
    np.maximum.at(orders, baskets.customer, baskets.basket_rank() + 1)
    gap = np.where(count > 1, (last - first) / np.maximum(count - 1, 1), LONG_AGO_DAYS)
    since = (day - last).astype(np.float64)
    owner = keys // max(baskets.products, 1)
    share = count / np.maximum(orders[owner], 1.0)
    pairs = np.column_stack([count, since, newest, share, gap, since / np.maximum(gap, 1.0)])
    return Facts(
        _customers(baskets, day, orders, owner, count),
        _products(baskets, day, keys, count),
        keys,
        pairs,
        baskets.products,
    )


def _customers(baskets: Baskets, day: int, orders: Floats, owner: Index, count: Index) -> Floats:
    size = baskets.customers
    first, last = np.full(size, float(day)), np.full(size, day - LONG_AGO_DAYS)
    np.minimum.at(first, baskets.customer, baskets.day)
    np.maximum.at(last, baskets.customer, baskets.day)
    lines = np.bincount(baskets.customer, minlength=size)
    distinct = np.bincount(owner, minlength=size)
    again = np.bincount(owner, weights=(count > 1).astype(np.float64), minlength=size)
    return np.column_stack(
        [
            orders,
            distinct,
            day - last,
            np.where(orders > 1, (last - first) / np.maximum(orders - 1, 1), LONG_AGO_DAYS),
            lines / np.maximum(orders, 1),
            again / np.maximum(distinct, 1),
        ]
    )


def _products(baskets: Baskets, day: int, keys: Index, count: Index) -> Floats:
    size, product = baskets.products, keys % max(baskets.products, 1)
    month, quarter = (
        np.bincount(baskets.product, weights=baskets.day >= day - days, minlength=size)
        for days in (28, 91)
    )
    first = np.full(size, float(day))
    np.minimum.at(first, baskets.product, baskets.day)
    return np.column_stack(
        [
            month,
            quarter,
            (month + 1.0) / (quarter / 3.25 + 1.0),
            day - first,
            rebuy_share(product, count > 1, size),
            np.bincount(product, minlength=size),
            _price(baskets),
        ]
    )


def _price(baskets: Baskets) -> Floats:
    known = np.isfinite(baskets.price)
    product, size = baskets.product[known], baskets.products
    total = np.bincount(product, weights=baskets.price[known], minlength=size)
    lines = np.bincount(product, minlength=size)
    return np.where(lines > 0, total / np.maximum(lines, 1), -1.0)


def shop_popularity(baskets: Baskets, day: int) -> Floats:
    """What ties are broken by: decayed sales, then all sales."""
    whole = np.bincount(baskets.product, minlength=baskets.products)
    return popularity(baskets, day) + 1e-6 * whole
