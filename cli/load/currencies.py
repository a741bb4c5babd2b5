"""What a load says of orders in several currencies, and of rates for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cva_sql.cli.load import rows as rows
from cva_sql.cli.shop.connection import find_relation
from cva_sql.cli.shop.expressions import shortened
from cva_sql.cli.shop.progress import count_of
from cva_sql.cli.shop.sql_text import column_names

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


MOST_NAMED = 4
RATES = "exchange_rates"


def said_of_currencies(con: DuckDBPyConnection, relation: str, schema: str) -> tuple[str, ...]:
    """A line on the currencies of `relation`, the raw orders; none where rates are there."""
    if "currency" not in column_names(con, f"from {relation}"):
        return ()
    found = con.execute(
        f"select upper(currency) as name, count(*) as n from {relation} where name is not null"
        " group by name order by n desc, name"
    ).fetchall()
    if len(found) < 2 or find_relation(con, schema, RATES):
        return ()
    named = ", ".join(f"{count:,} in {shortened(name)}" for name, count in found[:MOST_NAMED])
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    others = sum(count for _, count in found[1:])
    return (
        f"currency: {named}{more}; the shop's is the first unless cva_currency says other, and"
        f" {count_of(others, 'order')} will not count without rates: cva load {RATES} FILE",
    )


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
