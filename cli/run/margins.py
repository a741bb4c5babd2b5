"""What recommendations know of margins: the vars about them, and each product's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.connection import find_relation
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

    from cva_sql.cli.shop.shop import ResolvedShop

ORDER_VAR, LEAST_VAR = "cva_recommendation_order", "cva_recommendation_least_margin"
BY_MARGIN = "margin"
ORDERS = ("likely", BY_MARGIN)
TABLE = "int_cva__product_margins"


def list_order(shop: ResolvedShop) -> str:
    """The var `cva_recommendation_order`; raises UsageError for another than there are."""
    found = shop.var(ORDER_VAR)
    if found not in ORDERS:
        raise UsageError(f"{ORDER_VAR} is {found!r}; expected {' or '.join(ORDERS)}")
    return str(found)


def least_margin(shop: ResolvedShop) -> float | None:
    """The var `cva_recommendation_least_margin`; raises UsageError for what is no number."""
    found = shop.var(LEAST_VAR)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise UsageError(f"{LEAST_VAR} is {found!r}; expected a number, or null for none")
    return float(found)


def check_margins(shop: ResolvedShop) -> None:
    """Raises UsageError for a var about margins that no lists can be made with."""
    list_order(shop)
    least_margin(shop)


def read_margins(con: DuckDBPyConnection, schema: str, place: Mapping[str, int]) -> NDArray[Any]:
    """What a unit of each product leaves, NaN where price or cost is not known."""
    import numpy as np

    found = np.full(len(place), np.nan)
    if find_relation(con, schema.strip('"'), TABLE) is None:  # built by an earlier version
        return found
    for product, margin in con.execute(
        f"select product_id, unit_margin from {schema}.{TABLE} where unit_margin is not null"
    ).fetchall():
        if product in place:
            found[place[product]] = margin
    return found


def below_least(shop: ResolvedShop, margin: NDArray[Any]) -> NDArray[Any]:
    """The products whose margin is known and less than the var asks for."""
    import numpy as np

    least = least_margin(shop)
    with np.errstate(invalid="ignore"):
        return np.zeros(len(margin), dtype=np.bool_) if least is None else margin < least


def without_margin(shop: ResolvedShop, margin: NDArray[Any]) -> int | None:
    """How many margins are not known; None where no var asks for margins."""
    import numpy as np

    if list_order(shop) != BY_MARGIN and least_margin(shop) is None:
        return None
    return int(np.isnan(margin).sum())
