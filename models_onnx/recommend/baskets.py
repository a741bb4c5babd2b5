"""Who bought what in which order and when: what every recommendation is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Ids: TypeAlias = NDArray[np.object_]
Index: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Scores: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Baskets:
    """Lines of orders, one an order and product, by customer, day and order.

    `customer`, `product` and `basket` (the order) count from 0; `day` counts from 1970-01-01,
    `price` is what a unit cost, NaN where unknown. `customer_ids` and `product_ids` name all
    there are and stay whole when lines are cut, so that indices keep their meaning.
    `category` is each product's place in `categories`, -1 where unknown; `vectors` its text or
    picture, (products, d), zeros where it has none, or None.
    """

    customer_ids: Ids
    product_ids: Ids
    customer: Index
    product: Index
    basket: Index
    day: Index
    price: Floats
    category: Index
    vectors: Scores | None = None
    categories: tuple[str, ...] = ()

    @property
    def customers(self) -> int:
        """How many customers there are, those without a line too."""
        return len(self.customer_ids)

    @property
    def products(self) -> int:
        """How many products there are, those never sold too."""
        return len(self.product_ids)

    def where(self, mask: NDArray[np.bool_]) -> Baskets:
        """The lines of a mask."""
        kept = {
            name: getattr(self, name)[mask]
            for name in ("customer", "product", "basket", "day", "price")
        }
        return replace(self, **kept)

    def before(self, day: int) -> Baskets:
        """What was known on the morning of `day`."""
        return self.where(self.day < day)

    def within(self, day: int, days: int) -> Baskets:
        """What was bought in [day, day + days)."""
        return self.where((self.day >= day) & (self.day < day + days))

    def matrix(self, weight: Floats | None = None) -> sparse.csr_array:
        """Customers by products: how many orders hold the product, or the sum of `weight`."""
        values = np.ones(len(self.day)) if weight is None else weight
        shape = (self.customers, self.products)
        found = sparse.csr_array((values, (self.customer, self.product)), shape=shape)
        found.sum_duplicates()
        return found

    def orders(self) -> sparse.csr_array:
        """Orders by products, 1 where the order holds the product."""
        rows, numbers = np.unique(self.basket, return_inverse=True)
        values = np.ones(len(self.day))
        return sparse.csr_array((values, (numbers, self.product)), shape=(len(rows), self.products))

    def recency(self) -> Index:
        """How many later orders each line's customer has: 0 on the newest order."""
        last = last_by(self.basket_rank(), self.customer, self.customers)
        return last[self.customer] - self.basket_rank()

    def basket_rank(self) -> Index:
        """The place of each line's order among its customer's, from 0."""
        if not len(self.day):
            return np.zeros(0, dtype=np.int64)
        new_order = np.r_[False, self.basket[1:] != self.basket[:-1]]
        running = np.cumsum(new_order)
        new_customer = np.r_[True, self.customer[1:] != self.customer[:-1]]
        start = np.maximum.accumulate(np.where(new_customer, running, 0))
        return np.asarray(running - start, dtype=np.int64)

    def active(self) -> Index:
        """The customers with a line, ascending."""
        return np.unique(self.customer)


def last_by(values: Index, group: Index, groups: int) -> Index:
    """The largest value of each group; -1 in an empty one."""
    last = np.full(groups, -1, dtype=np.int64)
    np.maximum.at(last, group, values)
    return last


def dense(matrix: Any) -> Scores:
    """A sparse matrix as an array of single floats."""
    return np.asarray(matrix.toarray(), dtype=np.float32)


def make_baskets(
    customer_id: Sequence[Any] | NDArray[Any],
    order_id: Sequence[Any] | NDArray[Any],
    product_id: Sequence[Any] | NDArray[Any],
    day: Sequence[int] | Index,
    price: Sequence[float] | Floats | None = None,
    *,
    products: Sequence[Any] = (),
    category: Sequence[Any] = (),
    vectors: Scores | None = None,
) -> Baskets:
    """Baskets of plain columns, a row a line; a product twice in an order is one line.

    `products` are products to be known beside those sold, with their `category` (None where
    unknown) and `vectors` in the same order; the order of rows does not matter.
    """
    customers, customer = np.unique(np.asarray(customer_id, dtype=object), return_inverse=True)
    orders = np.asarray(order_id, dtype=object)
    sold = np.asarray(product_id, dtype=object)
    known = np.asarray(list(products), dtype=object)
    ids, places = np.unique(np.concatenate([known, sold]), return_inverse=True)
    product, days = places[len(known) :], np.asarray(day, dtype=np.int64)
    unit = np.full(len(days), np.nan) if price is None else np.asarray(price, dtype=np.float64)
    _, order = np.unique(orders, return_inverse=True)

    place = np.lexsort((unit, product, order, days, customer))
    lines = np.stack([customer, order, product])[:, place]
    is_first = np.r_[True, (lines[:, 1:] != lines[:, :-1]).any(axis=0)][: len(place)]
    place = place[is_first]
    names = tuple(sorted({str(name) for name in category if name is not None}))
    return Baskets(
        customers,
        ids,
        customer[place].astype(np.int64),
        product[place].astype(np.int64),
        order[place].astype(np.int64),
        days[place],
        unit[place],
        _categories(ids, places[: len(known)], category, names),
        _vectors(ids, places[: len(known)], vectors),
        names,
    )


def _categories(ids: Ids, known: Index, category: Sequence[Any], names: Sequence[str]) -> Index:
    found = np.full(len(ids), -1, dtype=np.int64)
    number = {name: place for place, name in enumerate(names)}
    for place, name in zip(known, category, strict=False):
        found[place] = number.get(name, -1)
    return found


def _vectors(ids: Ids, known: Index, vectors: Scores | None) -> Scores | None:
    if vectors is None or not np.any(vectors):
        return None
    found = np.zeros((len(ids), vectors.shape[1]), dtype=np.float32)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    found[known] = vectors / np.where(length > 0, length, 1.0)
    return found
