"""Tables of what to offer next, made anew by each run once a recommender is deployed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cva_sql.cli.run.baskets import Sold, read_sold
from cva_sql.cli.run.list_tables import (
    AFFINITY,
    LISTS,
    MADE_BY_US,
    SIMILAR,
    TABLES,
    affinity_table,
    lists_table,
    similar_table,
)
from cva_sql.cli.run.margins import BY_MARGIN, ORDER_VAR, list_order
from cva_sql.cli.shop.connection import connect, find_relation, reason_of
from cva_sql.cli.shop.sql_text import literal, quoted
from cva_sql.cli.shop.tables import comment_on
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.models_onnx.recommend.worth import Worth
    from cva_sql.udfs.manifest import Manifest

MACRO = "cva_recommend"
SIMILAR_COUNT = 10  # rows of a product
COUNT_VAR, DAYS_VAR = "cva_recommendations_per_customer", "cva_recommendation_days"


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

    All of them change together, or none does: raises CvaError with all as they were. The same
    orders and model give the same rows.
    """
    import duckdb

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
        tables = _tables(shop, sold, ranker, manifest, count) if sold else _empty()
        try:
            con.begin()
            for name, table in tables.items():
                _write(con, shop.schema, name, table)
            _write_macro(con, shop.schema)
            con.commit()
        except duckdb.Error as error:  # closing the connection takes back what was written
            raise CvaError(f"{LISTS} could not be written: {reason_of(error)}") from None
    return len(tables[LISTS])


def prune_recommendations(shop: ResolvedShop) -> None:
    """Takes out who may have no list any more: gone, not to be scored, or against a profile."""
    import duckdb

    with _connected(shop) as con:
        try:
            con.begin()
            for name in {LISTS, AFFINITY} & set(made_tables(con, shop.schema)):
                con.execute(
                    f"delete from {quoted(shop.schema)}.{quoted(name)} where customer_id not in"
                    f" (select customer_id from {quoted(shop.schema)}.customer_value"
                    " where score_status <> 'not_eligible')"
                ).fetchall()
            con.commit()
        except duckdb.Error as error:
            raise CvaError(f"{LISTS} could not be written: {reason_of(error)}") from None


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


def _tables(
    shop: ResolvedShop, sold: Sold, ranker: Any, manifest: Manifest, count: int
) -> dict[str, Any]:
    """Name -> an Arrow table."""
    from cva_sql.models_onnx.recommend.cold import Cold, cold
    from cva_sql.models_onnx.recommend.export import offers_what_similar_buy
    from cva_sql.models_onnx.recommend.offers import neighbours, personal
    from cva_sql.models_onnx.recommend.ranker import known
    from cva_sql.models_onnx.recommend.reasons import words_of
    from cva_sql.models_onnx.recommend.registry import all_candidates
    from cva_sql.models_onnx.recommend.similar import category_affinity, similar_products

    horizon = int(manifest.horizon_days or shop.var(DAYS_VAR))
    worth, words = _worth(shop, sold, manifest), words_of(str(shop.var("cva_language")))
    wanted = [one for one in all_candidates() if one.name in ranker.candidates]
    state = known(sold.baskets, sold.day, horizon, wanted, sold.excluded | sold.sold_out)
    near = neighbours(state.baskets)
    groups = sold.groups if offers_what_similar_buy(manifest) else {}
    people = Cold(sold.cold, sold.viewed, groups)
    parts = [
        *personal(state, ranker, near, count, sold.names, worth, words),
        cold(state, near, people, count, sold.names, sold.margin, words),
    ]
    similar = similar_products(near, state.rules.offered, SIMILAR_COUNT)
    affinity = category_affinity(state.baskets, sold.day)
    return {
        LISTS: lists_table(sold, parts, manifest.version),
        SIMILAR: similar_table(sold, similar),
        AFFINITY: affinity_table(sold, affinity),
    }


def _worth(shop: ResolvedShop, sold: Sold, manifest: Manifest) -> Worth:
    """What lists are ordered by; raises CvaError for margins of which nothing is known."""
    import numpy as np

    from cva_sql.models_onnx.recommend.export import read_calibration
    from cva_sql.models_onnx.recommend.worth import Worth

    found = Worth(read_calibration(manifest), sold.margin, list_order(shop) == BY_MARGIN)
    if found.by_margin and found.calibration is None:
        raise CvaError(
            f"{ORDER_VAR} is {BY_MARGIN}, and {manifest.version} knows no probabilities: too little"
            " was bought to learn them, or an earlier version of cva learned it; set it to likely,"
            f" or learn anew with: {shop.command('recommend')}"
        )
    if found.by_margin and not np.isfinite(sold.margin).any():
        raise CvaError(
            f"{ORDER_VAR} is {BY_MARGIN}, and of no product both price and cost are known; load "
            f"unit_cost with: {shop.command('load products FILE')}"
        )
    return found


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
