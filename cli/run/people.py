"""Who gets a recommendation: customers without an order, what they looked at, who is like them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from cva_sql.cli.shop.connection import find_relation
from cva_sql.cli.shop.sql_text import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.models_onnx.recommend.baskets import Ids

VIEWED_DAYS = 28  # how long a look at a product says what somebody without an order wants
VIEWED_PRODUCTS = 20  # of a customer, the newest
FEATURES = "customer_features"
GROUPED_BY = (
    "country",
    "acquisition_channel",
)  # neither age nor gender: an offer is none of theirs

VIEWS = """
    select customer_id, list(product_id order by seen desc, product_id)[:{most}]
    from (
        select coalesce(persons.customer_id, events.customer_id) as customer_id,
            events.product_id, max(events.occurred_at) as seen
        from {schema}.stg_cva__events as events
        left join {schema}.int_cva__customer_ids as persons
            on persons.raw_id = events.customer_id
        where events.reject_reason is null and events.customer_id is not null
            and events.event_kind = 'view' and events.product_id is not null
            and events.occurred_date < $1 and events.occurred_date >= $1 - {days}
        group by all
    )
    group by customer_id
"""


def read_people(
    con: DuckDBPyConnection, shop: ResolvedShop, objecting: str, buyers: set[str]
) -> tuple[Ids, frozenset[str]]:
    """Customers without a line, and those who get no list."""
    import numpy as np

    rows = con.execute(
        f"select customer_id, score_status = 'not_eligible' or customer_id in ({objecting})"
        f" from {quoted(shop.schema)}.customer_value order by customer_id"
    ).fetchall()
    barred = frozenset(customer for customer, is_barred in rows if is_barred)
    cold = [customer for customer, _ in rows if customer not in buyers and customer not in barred]
    return np.array(cold, dtype=object), barred


def read_views(
    con: DuckDBPyConnection, schema: str, day: date, place: Mapping[str, int]
) -> dict[str, list[int]]:
    """Products that each customer looked at lately, the newest first."""
    if find_relation(con, schema.strip('"'), "stg_cva__events") is None:
        return {}
    query = VIEWS.format(schema=schema, most=VIEWED_PRODUCTS, days=VIEWED_DAYS)
    rows = con.execute(query, [day]).fetchall()
    return {
        customer: [place[product] for product in products if product in place]
        for customer, products in rows
    }


def read_groups(con: DuckDBPyConnection, schema: str) -> dict[str, tuple[str, ...]]:
    """Each customer's country and the channel in it, as far as known; who has neither is left out.

    As customer_features has them, so as they were on the day that is looked from.
    """
    there = {
        str(name)
        for (name,) in con.execute(
            "select lower(column_name) from duckdb_columns() where database_name = "
            "current_database() and lower(schema_name) = lower(?) and lower(table_name) = ?",
            [schema, FEATURES],
        ).fetchall()
    }
    columns = ", ".join(name if name in there else f"null as {name}" for name in GROUPED_BY)
    if not there & set(GROUPED_BY):
        return {}
    rows = con.execute(
        f"select customer_id, {columns} from {quoted(schema)}.{FEATURES} order by customer_id"
    ).fetchall()
    return {str(who): found for who, *told in rows if (found := _nested(told))}


def _nested(told: list[str | None]) -> tuple[str, ...]:
    """Each group within the one before."""
    known = [f"{name}={value}" for name, value in zip(GROUPED_BY, told, strict=True) if value]
    return tuple(", ".join(known[: place + 1]) for place in range(len(known)))
