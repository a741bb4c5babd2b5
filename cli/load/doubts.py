"""What the ids of a raw table's customers make doubtful, in a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cva_sql.cli.load import rows as rows
from cva_sql.cli.shop.expressions import shortened
from cva_sql.cli.shop.sql_text import column_names

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ABSURD_SHARE = 0.01  # of all orders,
ABSURD_TIMES = 100  # and so many times the mean: hardly one person
MOST_NAMED = 3
ENOUGH_ORDERS = 100  # below it, customers with one order each are no surprise


def doubts_about_customers(con: DuckDBPyConnection, relation: str, table: str) -> tuple[str, ...]:
    """Lines on the customer ids of `relation`, the rows of a raw table; none without such ids."""
    if "customer_id" not in column_names(con, f"from {relation}"):
        return ()
    said = list(_say_alike(con, relation))
    if table == "orders":
        said += _say_shares(con, relation)
    return tuple(said)


def _say_alike(con: DuckDBPyConnection, relation: str) -> list[str]:
    plain = r"lower(regexp_replace(trim(customer_id), '\s+', ' ', 'g'))"
    ids, alike, example = rows.first_row(
        con,
        f"select coalesce(sum(n), 0), count(*), min(ids) from (select count(*) as n,"
        f" string_agg(quoted, ' and ' order by quoted) as ids from (select distinct"
        f" {plain} as plain, concat('''', customer_id, '''') as quoted from {relation} where customer_id is not null)"
        " group by plain having count(*) > 1)",
    )
    if not alike:
        return []
    return [
        f"customer_id: {ids:,} ids differ in case or blanks alone from another, e.g."
        f" {shortened(example)}; one person each? set cva_customer_key: lower(trim(customer_id))"
    ]


def _say_shares(con: DuckDBPyConnection, relation: str) -> list[str]:
    """One id of very many orders, or as many ids as orders."""
    by_id = f"select customer_id, count(customer_id) as n from {relation} group by 1 having n > 0"
    customers, orders, most = rows.first_row(
        con, f"select count(*), coalesce(sum(n), 0), max(n) from ({by_id})"
    )
    if orders >= ENOUGH_ORDERS and most == 1:
        return [
            "customer_id: each has one order; is it an id of the order? Then no one is seen to come"
            " back: --column customer_id=… of the person"
        ]
    limit = max(ABSURD_SHARE * float(orders), ABSURD_TIMES * float(orders) / max(customers, 1))
    found = con.execute(
        f"from ({by_id}) where n > ? and n > 1 order by n desc, customer_id", [limit]
    ).fetchall()
    return [
        f"customer_id {shortened(name)}: {n:,} of {orders:,} orders ({n / float(orders):.1%});"
        " a reseller or a placeholder? --where leaves it out"
        for name, n in found[:MOST_NAMED]
    ]
