"""What a build without a given date to look from did not believe of the newest orders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cva_sql.cli.shop.connection import connect

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop

NEWEST = "int_cva__newest_order_day"  # says it in one line, with the option that settles it


def read_doubt(shop: ResolvedShop, schema: str) -> str | None:
    """Which newest orders the build in `schema` did not believe; None where it believed all."""
    if shop.var("cva_as_of"):
        return None
    con = connect(shop.db)
    try:
        row = con.execute(f"select doubt from {schema}_cva.{NEWEST}").fetchone()
    finally:
        con.close()
    return row[0] if row else None
