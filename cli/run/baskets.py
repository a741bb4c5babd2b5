"""What a shop's customers bought and looked at, as recommendations are made from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from cva_sql.cli.run.margins import below_least, read_margins
from cva_sql.cli.run.people import read_groups, read_people, read_views
from cva_sql.cli.shop.connection import find_relation, reason_of
from cva_sql.cli.shop.expressions import check_expression
from cva_sql.cli.shop.package import macro_value, opted_out
from cva_sql.cli.shop.sql_text import quoted
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.models_onnx.recommend.baskets import Baskets, Ids

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
    `margin` is what a unit of each product leaves, NaN where unknown; `groups` the country of each
    customer, and the channel in it.
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
    margin: NDArray[Any]
    groups: Mapping[str, tuple[str, ...]]


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
        objecting = opted_out(f"{schema}.stg_cva__customers")
        is_of_order = macro_value("staged.sql", "is_of_order", "items")
        query = LINES.format(schema=schema, opted_out=objecting, is_of_order=is_of_order)
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
        cold, barred = read_people(con, shop, objecting, set(map(str, baskets.customer_ids)))
        margin = read_margins(con, schema, place)
        return Sold(
            baskets,
            day.toordinal() - EPOCH,
            int(baskets.day.min()),
            _names(baskets.product_ids, products),
            _excluded(con, shop, schema, place) | below_least(shop, margin),
            _sold_out(con, schema, place),
            cold,
            read_views(con, schema, day, place),
            barred,
            margin,
            read_groups(con, shop.schema),
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
