"""What exchange rates say of the way they are quoted, in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cva_sql.cli.load import rows as rows
from cva_sql.cli.shop.expressions import shortened

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def said_of_rates(con: DuckDBPyConnection, relation: str) -> tuple[str, ...]:
    """A line with the newest rate of the currency that has most, which shows if it is upside down.

    A rate is what one unit is in the shop's currency; central banks quote the inverse as well, and
    no number tells which it is.
    """
    found = rows.first_row(
        con,
        "select currency, max_by(rate, date), max(date)::date, count(*) as n"
        f" from {relation} where rate > 0 and currency is not null and date is not null"
        " and abs(rate - 1) > 0.001 group by currency order by n desc, currency limit 1",
    )
    if not found:
        return ()
    currency, rate, day, _ = found
    return (
        f"rate: 1 {shortened(currency)} is {rate:.6g} of the shop's currency on {day};"
        " if it is the other way round: --column 'rate=1 / rate'",
    )
