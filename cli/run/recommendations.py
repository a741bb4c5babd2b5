"""Tables of what to offer next, made anew by each run once a recommender is deployed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cva_sql.cli.run.baskets import Sold, read_sold
from cva_sql.cli.shop.connection import connect, find_relation
from cva_sql.cli.shop.sql_text import literal, quoted
from cva_sql.cli.shop.tables import comment_on
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop

LISTS, SIMILAR, AFFINITY = "recommendations", "similar_products", "customer_category_affinity"
MACRO = "cva_recommend"
MADE_BY_US = "Made by cva: "  # the comment of a table of ours begins so; others are left alone
SIMILAR_COUNT, CATEGORIES = 10, 5  # rows of a product, of a customer
COUNT_VAR, DAYS_VAR = "cva_recommendations_per_customer", "cva_recommendation_days"

TABLES: Mapping[str, tuple[str, Mapping[str, tuple[str, str]]]] = {
    LISTS: (
        "one row per customer and rank: what to offer next, and why.",
        {
            "customer_id": ("varchar", "Customer, as in customer_value."),
            "rank": ("integer", "Place in the customer's list, from 1."),
            "product_id": ("varchar", "Product to offer."),
            "as_of_date": ("date", "Date looked from; orders of this day and later are not used."),
            "score": ("double", "From 0 to 1, compares products of one customer and nothing else."),
            "reason": ("varchar", "What speaks for it, in words for the customer."),
            "recommend_status": (
                "varchar",
                "personal: from own orders; browsed: no order whose products are known, from views"
                " of the last 28 days; popular: neither.",
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


def whole_number(shop: ResolvedShop, name: str, most: int) -> int:
    """A var that is a whole number from 1 on; raises UsageError for another."""
    found = shop.var(name)
    if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= most:
        raise UsageError(f"{name} is {found!r}; expected a whole number from 1 to {most:,}")
    return found


def is_ours(con: DuckDBPyConnection, schema: str, name: str) -> bool:
    """Whether a table was made here: its comment says so, or it has the very columns."""
    at = (
        " where database_name = current_database()"
        " and lower(schema_name) = lower(?) and lower(table_name) = lower(?)"
    )
    rows = con.execute(f"select comment from duckdb_tables(){at}", [schema, name]).fetchall()
    if not rows or str(rows[0][0] or "").startswith(MADE_BY_US):
        return bool(rows)
    columns = con.execute(
        "select lower(column_name), lower(data_type) from duckdb_columns()"
        f"{at} order by column_index",
        [schema, name],
    ).fetchall()
    return columns == [(column, kind) for column, (kind, _) in TABLES[name][1].items()]


def made_tables(con: DuckDBPyConnection, schema: str) -> list[str]:
    """The tables of ours that are there, by name."""
    return [name for name in TABLES if is_ours(con, schema, name)]


def check_names(con: DuckDBPyConnection, schema: str) -> None:
    """Raises CvaError where one of the user's own has the name of what is to be made."""
    for name in TABLES:
        if find_relation(con, schema, name) is not None and not is_ours(con, schema, name):
            raise CvaError(
                f"{schema}.{name} is not cva's, and recommendations would be written there; "
                "rename it, or make none with: cva recommend --withdraw"
            )
    if any(SIMILAR not in definition for definition in _macros(con, schema)):
        raise CvaError(
            f"{schema}.{MACRO} is a macro that is not cva's, and would be replaced; drop it, "
            "or make no recommendations with: cva recommend --withdraw"
        )


def fill_recommendations(shop: ResolvedShop) -> int | None:
    """Makes the tables by the deployed recommender; the rows of lists, None where none is deployed.

    All of them change together, or none does. The same orders and model give the same rows.
    """
    from cva_sql.cli.shop.model_store import deployed_version
    from cva_sql.models_onnx.recommend.export import KIND, read_ranker
    from cva_sql.udfs.sessions import deployed_folder

    if deployed_version(shop.models_dir, KIND) is None:
        return None
    count = whole_number(shop, COUNT_VAR, 1000)
    ranker, manifest = read_ranker(deployed_folder(shop.models_dir, KIND), count)
    with _connected(shop) as con:
        check_names(con, shop.schema)
        sold = read_sold(con, shop)
        horizon = int(manifest.horizon_days or shop.var(DAYS_VAR))
        tables = _tables(sold, ranker, manifest.version, count, horizon) if sold else _empty()
        con.begin()
        for name, table in tables.items():
            _write(con, shop.schema, name, table)
        _write_macro(con, shop.schema)
        con.commit()
    return len(tables[LISTS])


def drop_recommendations(shop: ResolvedShop) -> list[str]:
    """Drops the tables of ours, and says which there were."""
    with _connected(shop) as con:
        con.begin()
        names = made_tables(con, shop.schema)
        for name in names:
            con.execute(f"drop table {quoted(shop.schema)}.{quoted(name)}").fetchall()
        if names:
            _drop_macro(con, shop.schema)
        con.commit()
    return names


@contextmanager
def _connected(shop: ResolvedShop) -> Iterator[DuckDBPyConnection]:
    con = connect(shop.db)
    try:
        yield con
    finally:
        con.close()


def _empty() -> dict[str, Any]:
    import pyarrow as pa

    return {name: pa.table({c: pa.nulls(0) for c in told}) for name, (_, told) in TABLES.items()}


def _tables(sold: Sold, ranker: Any, version: str, count: int, horizon: int) -> dict[str, Any]:
    """Name -> an Arrow table."""
    from cva_sql.models_onnx.recommend.offers import cold, neighbours, personal
    from cva_sql.models_onnx.recommend.ranker import known
    from cva_sql.models_onnx.recommend.registry import all_candidates
    from cva_sql.models_onnx.recommend.similar import category_affinity, similar_products

    wanted = [one for one in all_candidates() if one.name in ranker.candidates]
    state = known(sold.baskets, sold.day, horizon, wanted, sold.excluded | sold.sold_out)
    near = neighbours(state.baskets)
    parts = [
        *personal(state, ranker, near, count, sold.names),
        cold(state, near, sold.cold, sold.viewed, count, sold.names),
    ]
    similar = similar_products(near, state.rules.offered, SIMILAR_COUNT)
    affinity = category_affinity(state.baskets, sold.day)
    return {
        LISTS: _lists(sold, parts, version),
        SIMILAR: _similar(sold, similar),
        AFFINITY: _affinity(sold, affinity),
    }


def _lists(sold: Sold, parts: list[Any], version: str) -> Any:
    import numpy as np
    import pyarrow as pa

    names = ("customer", "rank", "product", "score", "reason", "status")
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
            "reason": pa.array(columns["reason"], pa.string()),
            "recommend_status": pa.array(columns["status"], pa.string()),
            "model_version": pa.array([version] * rows, pa.string()),
        }
    )


def _similar(sold: Sold, similar: Any) -> Any:
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


def _affinity(sold: Sold, affinity: Any) -> Any:
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


def _write(con: DuckDBPyConnection, schema: str, name: str, rows: Any) -> None:
    """Replaces a table of ours, its rows by their keys."""
    said, columns = TABLES[name]
    table = f"{quoted(schema)}.{quoted(name)}"
    casts = ", ".join(f"cast({c} as {kind}) as {c}" for c, (kind, _) in columns.items())
    con.register("cva_made", rows)
    con.execute(
        f"create or replace table {table} as select {casts} from cva_made order by 1, 2"
    ).fetchall()
    con.unregister("cva_made")
    con.execute(f"comment on table {table} is {literal(MADE_BY_US + said)}").fetchall()
    comment_on(con, table, columns)


def _macros(con: DuckDBPyConnection, schema: str) -> list[str]:
    """What each form of the table macro is made of; empty where there is none."""
    rows = con.execute(
        "select macro_definition from duckdb_functions()"
        " where database_name = current_database() and lower(schema_name) = lower(?)"
        " and lower(function_name) = ? and function_type = 'table_macro'",
        [schema, MACRO],
    ).fetchall()
    return [str(definition) for (definition,) in rows]


def _drop_macro(con: DuckDBPyConnection, schema: str) -> None:
    """Drops ours; one of the user's own, which reads no similar products, stays."""
    if all(SIMILAR in definition for definition in _macros(con, schema)):
        con.execute(f"drop macro table if exists {quoted(schema)}.{MACRO}").fetchall()


def _write_macro(con: DuckDBPyConnection, schema: str) -> None:
    """cva_recommend(list of product ids): what goes with a basket, the surest first."""
    _drop_macro(con, schema)
    con.execute(
        f"create macro {quoted(schema)}.{MACRO}(products) as table "
        "select similar_product_id as product_id, round(sum(score), 6) as score "
        f"from {quoted(schema)}.{SIMILAR} "
        "where list_contains(products, product_id) "
        "and not list_contains(products, similar_product_id) "
        "group by similar_product_id order by score desc, similar_product_id"
    ).fetchall()
