"""Reads customer_value, as it was built or as it was published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop

TABLE = "customer_value"


def published_file(shop: ResolvedShop) -> Path:
    """The file that readers open; raises CvaError where it is another shop's, or not there yet."""
    from cva_sql.cli.shop.owner import Owned, check_owner
    from cva_sql.cli.shop.shop import CURRENT, PUBLISHED_FILE

    check_owner(shop, Owned.PUBLISHED)
    db = shop.published / CURRENT / PUBLISHED_FILE
    if not db.is_file():
        raise CvaError(f"{db} does not exist; publish it with: {shop.command('run')}")
    return db


def read_scores(shop: ResolvedShop, columns: Sequence[str] | None, is_published: bool) -> Any:
    """The rows of customer_value as a pyarrow Table, in order of customer_id.

    Raises CvaError where there are none yet, UsageError for a column that is not there.
    """
    import duckdb

    from cva_sql.cli.shop.connection import connect, reason_of
    from cva_sql.cli.shop.history import say_unpublished
    from cva_sql.cli.shop.own_project import DEFAULT_SCHEMA
    from cva_sql.cli.shop.sql_text import column_names, listed, quoted

    db = published_file(shop) if is_published else shop.db
    schema = DEFAULT_SCHEMA if is_published else shop.schema
    table = f"{quoted(schema)}.{quoted(TABLE)}"
    con = connect(db, read_only=True)
    try:
        if not is_published:
            say_unpublished(con)
        known = column_names(con, f"from {table}")
        for name in columns or []:
            if name not in known:
                raise UsageError(f"{TABLE} has no column {name!r}; it has: {listed(known)}")
        chosen = ", ".join(quoted(name) for name in columns or known)
        return con.sql(f"select {chosen} from {table} order by customer_id").to_arrow_table()
    except duckdb.CatalogException:
        raise CvaError(
            f"{db} has no table {schema}.{TABLE}; make it with: {shop.command('run')}"
        ) from None
    except duckdb.Error as error:
        raise CvaError(reason_of(error)) from None
    finally:
        con.close()
