"""What a shop as a whole sold, day by day, and which customers are too large to learn from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.data.calendar import Calendar, DayFactors, Event

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Times the spend of the shop's third-largest customer, or of the one at its largest 10,000th. The
# largest of CDNOW and Online Retail II have twice that, a mistyped order a thousand times.
OUTLIER_TIMES = 5.0
# Of a few customers one often has far more than all others and is no mistake: below so many the
# bound rises, by the root of how many fewer there are, up to so many times as high.
FEW_CUSTOMERS, HIGHEST_RISE = 2_000, 4.0
LEAST_PLACE, CUSTOMERS_A_PLACE = 3, 10_000
SHOWN_OUTLIERS = 20  # named in cva_training_runs; a shop with more has another problem
YEAR = 365
CALENDAR = "stg_cva__calendar"


@dataclass(frozen=True)
class ShopSales:
    """Sales and first orders of each day from the shop's first order on, without the outliers.

    Arrays of shape (days,): money, and customers who ordered for the first time.
    """

    first: date
    amount: Floats
    new_customers: NDArray[np.int64]

    def before(self, day: date) -> ShopSales:
        """The days before `day`."""
        days = max(0, (day - self.first).days)
        return ShopSales(self.first, self.amount[:days], self.new_customers[:days])

    def without(self, events: DayFactors) -> ShopSales:
        """As if there had been no events."""
        return replace(self, amount=events.taken_out(self.first, self.amount))

    def total(self, start: date, days: int) -> float:
        """Sales of the `days` from `start` on, as far as they are known."""
        first = (start - self.first).days
        return float(self.amount[max(0, first) : max(0, first + days)].sum())

    def late_share_of_new(self, day: date) -> float:
        """Of the customers won in the year before `day`, the share won in its last half.

        Where less is on record, all of it is halved: a cohort that closed in spring is not open.
        """
        end = max(0, (day - self.first).days)
        start = max(0, end - YEAR)
        year = int(self.new_customers[start:end].sum())
        late = int(self.new_customers[(start + end) // 2 : end].sum())
        return late / year if year else 0.0


@dataclass(frozen=True)
class Outlier:
    """A customer whose spend is far above all others': a typing error, or a whale."""

    customer_id: str
    spend: float


@dataclass(frozen=True)
class ShopPast:
    """A shop's sales before a date, and the customers left out of learning; the largest first.

    `calendar` has events before and after that date.
    """

    sales: ShopSales
    outliers: tuple[Outlier, ...] = ()
    calendar: Calendar = field(default_factory=Calendar)


def outlier_place(customers: int) -> int:
    """The place, by spend, of the customer by whom outliers are told."""
    return max(LEAST_PLACE, -(-customers // CUSTOMERS_A_PLACE))


def outlier_times(customers: int) -> float:
    """Times that customer's spend from which one is an outlier."""
    rise = math.sqrt(FEW_CUSTOMERS / max(1, customers))
    return OUTLIER_TIMES * min(max(rise, 1.0), HIGHEST_RISE)


def read_shop_past(
    con: DuckDBPyConnection, schema: str, before: date, opted_out: str | None = None
) -> ShopPast | None:
    """What the shop sold before a date; None where it sold nothing.

    `opted_out` is a query of customers who count for nothing, as they are not predicted either.
    """
    others = f"customer_id not in ({opted_out}) and " if opted_out else ""
    orders = (
        f'(select * from "{schema}_cva".int_cva__orders_valid where {others}order_date < $day '
        "and (cancelled_at is null or cancelled_at >= cast($day as timestamp)))"
    )
    spends = f"(select customer_id, sum(amount) as spend from {orders} group by customer_id)"
    largest = con.execute(
        "with ranked as (select *, row_number() over (order by spend desc, customer_id) as place, "
        f"count(*) over () as customers from {spends}) "
        "select customer_id, cast(spend as double) from ranked where spend > $times * ("
        "least($highest, greatest(1, sqrt($few / customers)))) * (select min(spend) from ranked "
        "where place <= greatest($least, ceil(customers / $a_place))) order by place",
        {
            "day": before,
            "times": OUTLIER_TIMES,
            "highest": HIGHEST_RISE,
            "few": float(FEW_CUSTOMERS),
            "least": LEAST_PLACE,
            "a_place": float(CUSTOMERS_A_PLACE),
        },
    ).fetchall()
    outliers = tuple(Outlier(str(customer), spend) for customer, spend in largest)
    days = con.execute(
        "with kept as (select *, min(order_date) over (partition by customer_id) as first_date "
        f"from {orders} where not list_contains($left_out, customer_id)) "
        "select order_date, cast(sum(amount) as double), "
        "count(distinct case when order_date = first_date then customer_id end) "
        "from kept group by order_date order by order_date",
        {"day": before, "left_out": [outlier.customer_id for outlier in outliers]},
    ).fetchall()
    if not days:
        return None
    first = days[0][0]
    length = (before - first).days
    amount, new = np.zeros(length), np.zeros(length, dtype=np.int64)
    for day, spend, customers in days:
        amount[(day - first).days], new[(day - first).days] = spend, customers
    return ShopPast(ShopSales(first, amount, new), outliers, _read_calendar(con, schema))


def _read_calendar(con: DuckDBPyConnection, schema: str) -> Calendar:
    """The usable rows of table `calendar`; none where the shop has no such table."""
    is_there = con.execute(
        "select count(*) from duckdb_views() where schema_name = ? and view_name = ?",
        [f"{schema}_cva", CALENDAR],
    ).fetchall()[0][0]
    if not is_there:
        return Calendar()
    rows = con.execute(
        f'select event_date, event, cast(factor as double) from "{schema}_cva".{CALENDAR} '
        "where reject_reason is null order by event_date, event"
    ).fetchall()
    return Calendar(tuple(Event(*row) for row in rows))


def steady_sales(first: date, before: date) -> ShopSales:
    """Equal sales every day and no new customers: what is taken where sales are not known."""
    days = max(1, (before - first).days)
    return ShopSales(first, np.ones(days), np.zeros(days, dtype=np.int64))
