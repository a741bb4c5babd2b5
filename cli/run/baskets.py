"""What a shop's customers bought and looked at, as recommendations are made from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.connection import find_relation, reason_of
from cva_sql.cli.shop.expressions import check_expression
from cva_sql.cli.shop.package import macro_value
from cva_sql.cli.shop.sql_text import quoted
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.models_onnx.recommend.baskets import Baskets, Ids

VIEWED_DAYS = 28  # how long a look at a product says what somebody without an order wants
VIEWED_PRODUCTS = 20  # of a customer, the newest
EPOCH = date(1970, 1, 1).toordinal()
PRODUCTS_VAR = "cva_recommended_products"

LINES = """
    select orders.customer_id, items.product_id,
        concat(orders.order_id, '#', coalesce(orders.store, '')) as order_id,
        date_diff('day', date '1970-01-01', orders.order_date) as day,
        cast(items.unit_price as double) as price
    from {schema}.int_cva__orders_valid as orders
    join {schema}.stg_cva__order_items as items on {is_of_order}
    where items.reject_reason is null and items.product_id is not null
        and orders.order_date < $1
        and (orders.cancelled_at is null or orders.cancelled_at >= cast($1 as timestamp))
        and orders.customer_id not in ({opted_out})
    order by all
"""
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
SOLD_OUT = """
    select product_id
    from (
        select product_id, as_of, sum(on_hand) as on_hand
        from {schema}.stg_cva__stock
        where reject_reason is null
        group by all
    )
    group by product_id
    having arg_max(on_hand, as_of) <= 0
"""


# Of a product that is sold and has no usable row of its own all columns but its id are null.
PRODUCTS = """
    select *
    from (select unnest($1::varchar[]) as product_id) as sold
    left join (select * from {schema}.stg_cva__products where reject_reason is null) as known
        using (product_id)
"""
SOLD_ALONE = "select unnest($1::varchar[]) as product_id"


@dataclass(frozen=True)
class Sold:
    """A shop's baskets before `day`, which counts from 1970-01-01.

    Customers who object to being profiled are in none: nothing is learned from them.

    `names` are the products' for people, `excluded` those that the shop recommends to nobody,
    `sold_out` those that nothing is on hand of: of lists to come, not of those that are judged.
    `cold` are customers of whom no order says its products, and `viewed` what they looked at, the
    newest first; `barred` are customers who get no list: they opted out, or are none to be scored.
    """

    baskets: Baskets
    day: int
    first_day: int
    names: Ids
    excluded: NDArray[Any]
    sold_out: NDArray[Any]
    cold: Ids
    viewed: Mapping[str, Sequence[int]]
    barred: frozenset[str]


def read_sold(con: DuckDBPyConnection, shop: ResolvedShop) -> Sold | None:
    """What the last build made of orders and their items; None without a line.

    Raises CvaError where nothing was built yet, UsageError for a wrong `cva_recommended_products`.
    """
    import duckdb
    import numpy as np

    from cva_sql.models_onnx.recommend.baskets import make_baskets

    schema = quoted(f"{shop.schema}_cva")
    if find_relation(con, shop.schema, "customer_value") is None:
        raise CvaError(
            f"{shop.db} has no {shop.schema}.customer_value; build it with: {shop.command('run')}"
        )
    try:
        day = _as_of(con, schema)
        opted_out = macro_value("opt_out.sql", "opted_out_of", f"{schema}.stg_cva__customers")
        is_of_order = macro_value("staged.sql", "is_of_order", "items")
        query = LINES.format(schema=schema, opted_out=opted_out, is_of_order=is_of_order)
        lines = con.execute(query, [day]).fetchnumpy()
        if not len(lines["day"]):
            return None
        products = con.execute(
            "select product_id, name, category, text_vector, image_vector"
            f" from {schema}.stg_cva__products where reject_reason is null order by product_id"
        ).fetchall()
        baskets = make_baskets(
            lines["customer_id"],
            lines["order_id"],
            lines["product_id"],
            lines["day"].astype(np.int64),
            np.ma.filled(lines["price"].astype(np.float64), np.nan),
            products=[row[0] for row in products],
            category=[row[2] for row in products],
            vectors=_vectors([row[3:] for row in products]),
        )
        place = {str(product): at for at, product in enumerate(baskets.product_ids)}
        cold, barred = _people(con, shop, opted_out, set(map(str, baskets.customer_ids)))
        return Sold(
            baskets,
            day.toordinal() - EPOCH,
            int(baskets.day.min()),
            _names(baskets.product_ids, products),
            _excluded(con, shop, schema, place),
            _sold_out(con, schema, place),
            cold,
            _viewed(con, schema, day, place),
            barred,
        )
    except duckdb.Error as error:
        raise CvaError(reason_of(error)) from None


def _as_of(con: DuckDBPyConnection, schema: str) -> date:
    ((found,),) = con.execute(
        f"select max(as_of_date) from {schema}.int_cva__as_of_dates"
    ).fetchall()
    assert isinstance(found, date)  # the build makes one row
    return found


def _vectors(rows: Sequence[Sequence[Any]]) -> Any:
    """Text and picture side by side, each of length 1; None where no product has either."""
    import numpy as np

    parts = []
    for column in zip(*rows, strict=True):
        width = max((len(vector) for vector in column if vector), default=0)
        if not width:
            continue
        found = np.zeros((len(column), width), dtype=np.float32)
        for place, vector in enumerate(column):
            if vector and len(vector) == width:
                found[place] = vector
        length = np.linalg.norm(found, axis=1, keepdims=True)
        parts.append(found / np.where(length > 0, length, 1.0))
    return np.concatenate(parts, axis=1) if parts else None


def _names(ids: Ids, products: Sequence[Sequence[Any]]) -> Ids:
    """Each product's name, its id where it has none."""
    import numpy as np

    told = {row[0]: row[1] for row in products if row[1]}
    return np.array([told.get(product, product) for product in ids], dtype=object)


def _excluded(
    con: DuckDBPyConnection, shop: ResolvedShop, schema: str, place: Mapping[str, int]
) -> NDArray[Any]:
    """The products that `cva_recommended_products` does not hold for."""
    import duckdb

    chosen = checked_products(shop)
    known = f"from {schema}.stg_cva__products where reject_reason is null limit 1"
    has_products = bool(con.execute(known).fetchall())
    products = PRODUCTS.format(schema=schema) if has_products else SOLD_ALONE
    try:
        rows = con.execute(
            f"select product_id from ({products}) as products"
            f" where not coalesce((\n{chosen}\n), false)",
            [list(place)],
        ).fetchall()
    except duckdb.Error as error:
        without = (
            ""
            if has_products
            else (
                f"; the shop has no products, load them with: {shop.command('load products FILE')}"
            )
        )
        raise UsageError(f"{PRODUCTS_VAR}: {reason_of(error)}{without}") from None
    return _marked(rows, place)


def checked_products(shop: ResolvedShop) -> str:
    """The var `cva_recommended_products`; raises UsageError where it is not one expression."""
    chosen = str(shop.var(PRODUCTS_VAR))
    check_expression(chosen, PRODUCTS_VAR)
    return chosen


def _sold_out(con: DuckDBPyConnection, schema: str, place: Mapping[str, int]) -> NDArray[Any]:
    """The products of which the newest stock has nothing on hand; none of a shop without stock."""
    is_there = find_relation(con, schema.strip('"'), "stg_cva__stock") is not None
    return _marked(
        con.execute(SOLD_OUT.format(schema=schema)).fetchall() if is_there else [], place
    )


def _marked(rows: Sequence[Sequence[Any]], place: Mapping[str, int]) -> NDArray[Any]:
    import numpy as np

    found = np.zeros(len(place), dtype=np.bool_)
    found[[place[product] for (product,) in rows if product in place]] = True
    return found


def _people(
    con: DuckDBPyConnection, shop: ResolvedShop, opted_out: str, buyers: set[str]
) -> tuple[Ids, frozenset[str]]:
    """Customers without a line, and those who get no list."""
    import numpy as np

    rows = con.execute(
        f"select customer_id, score_status = 'not_eligible' or customer_id in ({opted_out})"
        f" from {quoted(shop.schema)}.customer_value order by customer_id"
    ).fetchall()
    barred = frozenset(customer for customer, is_barred in rows if is_barred)
    cold = [customer for customer, _ in rows if customer not in buyers and customer not in barred]
    return np.array(cold, dtype=object), barred


def _viewed(
    con: DuckDBPyConnection, schema: str, day: date, place: Mapping[str, int]
) -> dict[str, list[int]]:
    if find_relation(con, schema.strip('"'), "stg_cva__events") is None:
        return {}
    query = VIEWS.format(schema=schema, most=VIEWED_PRODUCTS, days=VIEWED_DAYS)
    rows = con.execute(query, [day]).fetchall()
    return {
        customer: [place[product] for product in products if product in place]
        for customer, products in rows
    }
