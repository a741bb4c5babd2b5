"""Fills a table with what a SQL function says of each row of customer_features."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cva_sql.cli.embed.texts import COMPONENTS, VECTORS
from cva_sql.cli.shop.connection import reason_of
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop


TABLE = "int_cva__customer_scores"
GROWTH = "int_cva__value_growth"
DISTRIBUTIONS = "int_cva__distributions"


def fill_table(
    shop: ResolvedShop,
    table: str,
    function: str,
    chosen: str = "true",
    before: Callable[[DuckDBPyConnection, ResolvedShop], None] | None = None,
) -> tuple[str, int]:
    """Writes what a SQL function says of each row of customer_features; the table's name, and of
    how many rows it said something.

    `chosen` is an expression over a row, that has been checked; `before` may refuse. Raises
    CvaError where there are no features.
    """
    import duckdb

    from cva_sql.cli.shop.connection import connect
    from cva_sql.cli.shop.history import recorded
    from cva_sql.cli.shop.lock import exclusive
    from cva_sql.udfs.register import register, unregister

    target = f"{shop.schema}_cva.{table}"
    command = "score" if table == TABLE else "explain"
    with exclusive(shop), recorded(shop.db, command) as entry:
        con = connect(shop.db)
        try:
            register(
                con,
                models_dir=shop.models_dir,
                work_dir=shop.work_dir,
                encoder_tier=shop.encoder_tier,
            )
            if before is not None:
                before(con, shop)
            rows = _fill(con, shop, target, function, chosen)
            if table == TABLE:
                _fill_growth(con, shop)
                con.execute(
                    f"create or replace table {shop.schema}_cva.{DISTRIBUTIONS} as "
                    "select unnest(cva_distributions(), recursive := true)"
                ).fetchall()
            entry.rows = rows
            return target, rows
        except duckdb.CatalogException:
            raise CvaError(
                f"{shop.db} has no {shop.schema}.customer_features; build it with: "
                "dbt run --select +customer_features"
            ) from None
        except duckdb.Error as error:
            raise CvaError(reason_of(error)) from None
        finally:
            unregister(con)
            con.close()


def _fill(
    con: DuckDBPyConnection, shop: ResolvedShop, target: str, function: str, chosen: str
) -> int:
    """Writes what the function says, and of how many rows it said something."""
    con.execute(
        f"create or replace table {target} as "
        "select customer_id, as_of_date, unnest(said) from "
        f"(select customer_id, as_of_date, {function}(cva_row) as said "
        f"from {shop.schema}.customer_features as cva_row "
        f"where coalesce((\n{chosen}\n), false))"
    ).fetchall()
    # A filter on what was said would call the function a second time.
    return int(con.execute(f"select count(model_version) from {target}").fetchall()[0][0])


def _fill_growth(con: DuckDBPyConnection, shop: ResolvedShop) -> None:
    """Writes what a value within the horizon becomes over other days."""
    from cva_sql.cli.shop.package import macro_value

    clv_days = int(shop.var("cva_clv_days"))
    months = macro_value("value_path.sql", "month_days")
    days = [*shop.var("cva_path_days"), *months, shop.horizon_days, clv_days]
    con.execute(
        f"create or replace table {shop.schema}_cva.{GROWTH} as "
        "select unnest(cva_value_growth(?, ?, ?), recursive := true)",
        [days, clv_days, float(shop.var("cva_discount_rate"))],
    ).fetchall()


def check_projection(con: DuckDBPyConnection, shop: ResolvedShop) -> None:
    """Raises CvaError where the texts were projected for another model than the deployed one."""
    import duckdb

    schema = f"{shop.schema}_cva"
    try:
        rows = con.execute(
            "select count(*) from "
            f"(from {schema}.{COMPONENTS} order by text_hash limit 100) as old "
            f"inner join {schema}.{VECTORS} as texts on old.text_hash = texts.text_hash "
            "where old.text_1 is distinct from cast(cva_project(texts.embedding)[1] as double) or "
            "old.word_1 is distinct from cast(cva_project_words(texts.embedding)[1] as double)"
        ).fetchall()
        is_other = bool(rows[0][0])
    except duckdb.CatalogException:
        return  # a shop without texts
    except duckdb.BinderException:
        is_other = True  # projected before there were words
    if is_other:
        raise CvaError(
            "the texts were projected for another model than the deployed one; run: "
            "cva embed, then dbt run --vars '{cva_udfs: false}', then cva score"
        )
