"""What is odd in a shop's orders: amounts far above the others, statuses that no list settles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cva_sql.cli.doctor.staging import Staging
from cva_sql.cli.load.doubts import Doubt, find_doubts
from cva_sql.cli.shop.package import status_meaning
from cva_sql.cli.shop.shop import ResolvedShop

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ORDERS = "stg_cva__orders"
DEVIATIONS = 8  # an amount this many robust deviations up in the logarithm is worth a look
FACTOR = 10  # times the median, at the least: where prices hardly differ, deviations are tiny
NAMED = 10  # outliers that are named


@dataclass(frozen=True)
class Outlier:
    """An order whose amount is beyond the limit."""

    order_id: str
    customer_id: str
    amount: float


@dataclass(frozen=True)
class Outliers:
    """Orders with log(amount) more than DEVIATIONS robust deviations above the median.

    The deviation is 1.4826 × the median absolute deviation, where that is 0 (most amounts are the
    same) 1.2533 × the mean one; the limit is at least FACTOR × the median. `named` are the largest.
    """

    count: int
    limit: float
    median: float
    named: tuple[Outlier, ...]


def find_outliers(con: DuckDBPyConnection, staging: Staging) -> Outliers | None:
    """The amounts beyond the limit; None where no order can be used."""
    if not staging.columns(con, ORDERS):
        return None
    rows = con.execute(
        # Filters may run after a logarithm, which has none of 0.
        "with orders as (select distinct order_id, customer_id, amount, "
        "ln(greatest(cast(amount as double), 1e-4)) as size "
        f"from {staging.model(ORDERS)} where reject_reason is null), "
        "middle as (select median(size) as median from orders), "
        "deviations as (select median, 1.4826 * median(abs(size - median)) as robust, "
        "1.2533 * avg(abs(size - median)) as mean from orders, middle group by median), "
        f"limits as (select median, median + greatest({DEVIATIONS} * if(robust > 0, robust, mean), "
        f"ln({FACTOR})) as edge "
        "from deviations) "
        "select exp(median), exp(edge), order_id, customer_id, cast(amount as double) "
        "from limits left join orders on size > edge + 1e-9 order by amount desc, order_id"
    ).fetchall()
    if not rows or rows[0][0] is None:
        return None
    named = [Outlier(*row[2:]) for row in rows if row[2] is not None]
    return Outliers(len(named), rows[0][1], rows[0][0], tuple(named[:NAMED]))


def find_doubtful_statuses(
    con: DuckDBPyConnection, shop: ResolvedShop, staging: Staging
) -> tuple[dict[str, int], dict[str, int]]:
    """Statuses that may be no sale, and those that no list knows, with the orders that count."""
    doubtful, unknown = dict[str, int](), dict[str, int]()
    if not staging.columns(con, ORDERS):
        return doubtful, unknown
    counts, cancelled = shop.var("cva_status_counts"), shop.var("cva_status_cancelled")
    rows = con.execute(
        f"select status, count(*), {status_meaning('status', counts, cancelled)} "
        f"from {staging.model(ORDERS)} where reject_reason is null and cancelled_at is null "
        "group by status order by count(*) desc, status"
    ).fetchall()
    for status, count, meaning in rows:
        if meaning != "counts":
            (unknown if meaning == "unknown" else doubtful)[status] = count
    return doubtful, unknown


def find_doubtful_customers(con: DuckDBPyConnection, staging: Staging) -> tuple[Doubt, ...]:
    """What is odd about the ids of customers with orders that can be used."""
    if not staging.columns(con, ORDERS):
        return ()
    relation = f"(from {staging.model(ORDERS)} where reject_reason is null)"
    return find_doubts(con, relation, "orders")
