"""What the ids of customers and the refunds of orders make doubtful, in a line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cva_sql.cli.load import rows as rows
from cva_sql.cli.load.currencies import RATES, said_of_rates
from cva_sql.cli.shop.expressions import shortened
from cva_sql.cli.shop.package import NO_OWN_STATUSES, macro_value
from cva_sql.cli.shop.progress import count_of
from cva_sql.cli.shop.sql_text import column_names

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ABSURD_SHARE = 0.01  # of all orders,
ABSURD_TIMES = 100  # and so many times the mean: hardly one person
MOST_NAMED = 3
ZERO_QUERY = "is_zero_nobody_query"
ALIKE, GUESTS, ONE_EACH, SHARE = "alike", "guests", "one each", "share"  # kinds of doubts
OPTIONS = {  # of `cva load`
    ALIKE: " cva run --vars '{cva_customer_key: lower(trim(customer_id))}'",
    ONE_EACH: ": --column customer_id=… of the person",
    SHARE: " --where leaves it out",
}
ENOUGH_ORDERS = 100  # below it, customers with one order each are no surprise


@dataclass(frozen=True)
class Doubt:
    """What is odd about customer ids, one of the kinds above; `ids` are those of SHARE."""

    kind: str
    text: str
    ids: tuple[str, ...] = ()


def doubts_about_customers(con: DuckDBPyConnection, relation: str, table: str) -> tuple[str, ...]:
    """Lines on the customer ids of `relation`, the rows of a raw table; none without such ids."""
    found = find_doubts(con, relation, table)
    return tuple(advised(doubt, OPTIONS) for doubt in found)


def doubts_about_rows(con: DuckDBPyConnection, relation: str, table: str) -> tuple[str, ...]:
    """Lines on the values of `relation`, the rows of a load before they are in the table."""
    of_tables = {"orders": said_of_refunds, RATES: said_of_rates, "events": said_of_types}
    said_of = of_tables.get(table)
    return said_of(con, relation) if said_of else ()


def find_doubts(con: DuckDBPyConnection, relation: str, table: str) -> tuple[Doubt, ...]:
    """What is odd about the customer ids of `relation`, which has an amount where it is orders."""
    if "customer_id" not in column_names(con, f"from {relation}"):
        return ()
    found = list(_find_alike(con, relation))
    if table == "orders":
        found += [*_find_guests(con, relation), *_find_shares(con, relation)]
    return tuple(found)


def advised(doubt: Doubt, advice: Mapping[str, str]) -> str:
    """The doubt in a line, with what the caller can do about its kind."""
    return f"customer_id{doubt.text}{advice.get(doubt.kind, '')}"


def said_of_types(con: DuckDBPyConnection, relation: str) -> tuple[str, ...]:
    """A line on the types of events that nobody knows, where there are any."""
    if "event_type" not in column_names(con, f"from {relation}"):
        return ()
    kind = macro_value("events.sql", "event_kind", "event_type")
    found = unknown_types(con, relation, f"{kind} is null")
    return (f"types not known, whose visits count all the same: {types_named(found)}",) * bool(
        found
    )


def unknown_types(
    con: DuckDBPyConnection, relation: str, condition: str
) -> tuple[tuple[str, int], ...]:
    """Types of events with how many there are, the most first, of those that meet a condition."""
    return tuple(
        con.execute(
            f"select event_type, count(*) from {relation} where event_type is not null"
            f" and {condition} group by 1 order by 2 desc, 1"
        ).fetchall()
    )


def types_named(found: Sequence[tuple[str, int]]) -> str:
    """Types with their counts, the first few by name."""
    named = [f"{shortened(name)!r} ({count:,})" for name, count in found[:MOST_NAMED]]
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return f"{', '.join(named)}{more}"


def said_of_refunds(con: DuckDBPyConnection, relation: str) -> tuple[str, ...]:
    """Lines on what of `relation`, the orders of a load, staging counts as returns or cannot."""
    names = column_names(con, f"from {relation}")
    negative, back = rows.first_row(
        con, f"select count(*), -sum(amount) from {relation} where amount < 0"
    )
    said = []
    if negative:
        said.append(
            f"below 0, and counted as returns: {count_of(negative, 'order')} of {back:,.2f}"
        )
    if "status" not in names:
        return tuple(said)
    amount = "refunded_amount" if "refunded_amount" in names else "null"
    refunded, partly = (
        macro_value("order_statuses.sql", "is_status", meaning, settings=NO_OWN_STATUSES)
        for meaning in ("refunded", "partly refunded")
    )
    whole, partial = rows.first_row(
        con,
        f"select count(*) filter ({refunded}), count(*) filter ({partly})"
        f" from {relation} where {amount} is null",
    )
    if whole:
        dated = "updated_at" if "updated_at" in names else "the order's own date"
        said.append(
            f"refunded by their status, and counted as returns on {dated}:"
            f" {count_of(whole, 'order')}"
        )
    if partial:
        said.append(
            f"refunded in part, of which nothing is known: {count_of(partial, 'order')};"
            " load what went back: --column refunded_amount=…, or a table returns"
        )
    return tuple(said)


def one_person(customer_id: str) -> str:
    """SQL: the id without what is no difference between people: case, and blanks but one."""
    return rf"lower(regexp_replace(trim({customer_id}), '\s+', ' ', 'g'))"


def _find_alike(con: DuckDBPyConnection, relation: str) -> list[Doubt]:
    ids, alike, example = rows.first_row(
        con,
        f"select coalesce(sum(n), 0), count(*), min(ids) from (select count(*) as n,"
        f" string_agg(quoted, ' and ' order by quoted) as ids from (select distinct"
        f" {one_person('customer_id')} as plain, concat('''', customer_id, '''') as quoted"
        f" from {relation} where customer_id is not null)"
        " group by plain having count(*) > 1)",
    )
    if not alike:
        return []
    return [
        Doubt(
            ALIKE,
            f": {ids:,} ids differ in case or blanks alone from another, e.g. {shortened(example)};"
            " one person each?",
        )
    ]


def _find_guests(con: DuckDBPyConnection, relation: str) -> list[Doubt]:
    """The customer 0, where staging takes it for nobody."""
    orders, spend = rows.first_row(
        con, f"select count(*), coalesce(sum(amount), 0) from {relation} where customer_id = '0'"
    )
    ids = f"(select customer_id as id from {relation})"
    if orders < 2 or not rows.first_row(con, macro_value("casts.sql", ZERO_QUERY, ids))[0]:
        return []
    return [Doubt(GUESTS, f" 0: {count_of(orders, 'order')} of {spend:,.2f}, of nobody")]


def _find_shares(con: DuckDBPyConnection, relation: str) -> list[Doubt]:
    """Ids of very many orders or very much money, or as many ids as orders."""
    by_id = (
        "select customer_id, count(customer_id) as n, coalesce(sum(amount), 0) as spend"
        f" from {relation} where customer_id <> '0' group by 1 having n > 0"
    )
    orders, most = rows.first_row(con, f"select coalesce(sum(n), 0), max(n) from ({by_id})")
    if orders >= ENOUGH_ORDERS and most == 1:
        text = ": each has one order; is it an id of the order? Then no one is seen to come back"
        return [Doubt(ONE_EACH, text)]
    return [
        *_find_largest(con, by_id, "n", "orders"),
        *_find_largest(con, by_id, "spend", "spend"),
    ]


def _find_largest(con: DuckDBPyConnection, by_id: str, value: str, noun: str) -> list[Doubt]:
    """The ids that have so much of all orders, or of all spend, that they are hardly one person."""
    found = con.execute(
        f"select customer_id, {value}::double / total from (select *, sum({value}) over ()"
        f" as total,"
        f" count(*) over () as ids from ({by_id})) where {value} > {ABSURD_SHARE} * total"
        f" and {value} > {ABSURD_TIMES} * total / ids order by {value} desc, customer_id"
    ).fetchall()
    if not found:
        return []
    named = ", ".join(f"{shortened(name)} {share:.1%}" for name, share in found[:MOST_NAMED])
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    text = f": so much of all {noun} has {named}{more}; a reseller, a placeholder?"
    return [Doubt(SHARE, text, tuple(name for name, _ in found[:MOST_NAMED]))]
