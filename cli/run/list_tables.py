"""The tables of what to offer next: their columns, and rows for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cva_sql.cli.run.baskets import Sold

LISTS, SIMILAR, AFFINITY = "recommendations", "similar_products", "customer_category_affinity"
MADE_BY_US = "Made by cva: "  # the comment of a table of ours begins so; others are left alone
CATEGORIES = 5  # rows of a customer

TABLES: Mapping[str, tuple[str, Mapping[str, tuple[str, str]]]] = {
    LISTS: (
        "one row per customer and rank: what to offer next, and why.",
        {
            "customer_id": ("varchar", "Customer, as in customer_value."),
            "rank": ("integer", "Place in the customer's list, from 1."),
            "product_id": ("varchar", "Product to offer."),
            "as_of_date": ("date", "Date looked from; orders of this day and later are not used."),
            "score": ("double", "From 0 to 1, compares products of one customer and nothing else."),
            "probability": (
                "double",
                "Of a purchase within the days that the recommender was judged by; null where"
                " nothing scored the product, or too little was bought to say.",
            ),
            "expected_margin": (
                "double",
                "probability times what a unit leaves, in the shop's currency; null where either"
                " is not known.",
            ),
            "reason": ("varchar", "What speaks for it, for the customer, in `cva_language`."),
            "recommend_status": (
                "varchar",
                "personal: from own orders; browsed: no order whose products are known, from views"
                " of the last 28 days; similar: neither, from what customers of the same country"
                " and channel buy; popular: nothing of this is known.",
            ),
            "model_version": ("varchar", "The recommender that made the list."),
        },
    ),
    SIMILAR: (
        "one row per product and rank: the products that go with it.",
        {
            "product_id": ("varchar", "Product."),
            "rank": ("integer", "Place, from 1."),
            "similar_product_id": ("varchar", "Product that goes with it, and is offered."),
            "score": ("double", "From 0 to 1, how surely."),
            "similar_by": (
                "varchar",
                "bought_together in orders, same_customers, or content: text and picture.",
            ),
        },
    ),
    AFFINITY: (
        "one row per customer and category, the five most bought.",
        {
            "customer_id": ("varchar", "Customer, as in customer_value."),
            "rank": ("integer", "Place, from 1."),
            "category": ("varchar", "Category, as in products."),
            "affinity": ("double", "Share of the customer's lines, newer ones weigh more."),
            "orders_count": ("bigint", "Orders with a product of the category."),
            "last_bought_date": ("date", "Day of the newest of them."),
        },
    ),
}  # fmt: skip
# What each answers, as README and docs/reference say it.
QUESTIONS: Mapping[str, str] = {
    LISTS: "what to offer each customer next, and why",
    SIMILAR: "which products go with a product",
    AFFINITY: "which categories does each customer buy",
}


def lists_table(sold: Sold, parts: list[Any], version: str) -> Any:
    """The rows of lists as an Arrow table."""
    import numpy as np
    import pyarrow as pa

    names = (
        "customer", "rank", "product", "score", "reason", "status", "probability", "margin"
    )  # fmt: skip
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    kept = np.array([who not in sold.barred for who in columns["customer"]], dtype=np.bool_)
    columns = {name: values[kept] for name, values in columns.items()}
    rows = len(columns["rank"])
    product = sold.baskets.product_ids[columns["product"]]
    return pa.table(
        {
            "customer_id": pa.array(columns["customer"], pa.string()),
            "rank": columns["rank"],
            "product_id": pa.array(product, pa.string()),
            "as_of_date": pa.array(np.full(rows, sold.day, dtype=np.int32), pa.date32()),
            "score": np.round(columns["score"], 6),
            "probability": _nullable(columns["probability"]),
            "expected_margin": _nullable(columns["probability"] * columns["margin"]),
            "reason": pa.array(columns["reason"], pa.string()),
            "recommend_status": pa.array(columns["status"], pa.string()),
            "model_version": pa.array([version] * rows, pa.string()),
        }
    )


def similar_table(sold: Sold, similar: Any) -> Any:
    """The rows of similar products."""
    import pyarrow as pa

    ids = sold.baskets.product_ids
    return pa.table(
        {
            "product_id": pa.array(ids[similar.product], pa.string()),
            "rank": similar.rank,
            "similar_product_id": pa.array(ids[similar.similar], pa.string()),
            "score": similar.score,
            "similar_by": pa.array(similar.by, pa.string()),
        }
    )


def affinity_table(sold: Sold, affinity: Any) -> Any:
    """The rows of the categories that customers like."""
    import numpy as np
    import pyarrow as pa

    categories = np.array([*sold.baskets.categories, None], dtype=object)
    customers = sold.baskets.customer_ids[affinity.customer]
    shown = np.array([who not in sold.barred for who in customers], dtype=np.bool_)
    kept = (affinity.rank <= CATEGORIES) & shown
    return pa.table(
        {
            "customer_id": pa.array(customers[kept], pa.string()),
            "rank": affinity.rank[kept],
            "category": pa.array(categories[affinity.category[kept]], pa.string()),
            "affinity": affinity.share[kept],
            "orders_count": affinity.orders[kept],
            "last_bought_date": pa.array(affinity.last_day[kept].astype(np.int32), pa.date32()),
        }
    )


def _nullable(values: NDArray[Any]) -> Any:
    """Rounded, null for NaN."""
    import numpy as np
    import pyarrow as pa

    return pa.array(np.round(values, 6), mask=np.isnan(values))
