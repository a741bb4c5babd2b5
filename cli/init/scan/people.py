"""Who bought, where the customer's id in orders is another one for each order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cva_sql.cli.init.scan.match import SURE, Match, Proposal, TableMatch, read_as
from cva_sql.cli.init.scan.tables import READABLE, Column, Table, overlap
from cva_sql.cli.load.doubts import ENOUGH_ORDERS
from cva_sql.cli.shop.column_meanings import column_score

PERSON = 0.8  # how well a name has to fit: an id of the customer, with one word more
REPEATING = 0.998  # ids per row; above it, hardly anybody came back
ADDRESS = re.compile(r"(?i)e?.?mail|.*[ _.-]e?-?mail|.*Email")


@dataclass(frozen=True)
class Person:
    """The column of another table that is the person, and the id by which orders find its row."""

    table: Table
    key: Column
    column: Column


def find_person(
    orders: TableMatch, proposal: Proposal, tables: Sequence[Table]
) -> tuple[Person, ...]:
    """Takes the column of orders that is the person; those of another table, to be joined.

    Several are a doubt, and none is taken. Nothing happens where customers have several orders.
    """
    own = orders.source("customer_id")
    if own is None or not _is_one_per_order(orders, own):
        return ()
    of_orders = _people(orders.table, own)
    joined = () if of_orders else tuple(_joined(orders, own, proposal, tables))
    names = [c.name for c in of_orders] or [f"{one.table.name}.{one.column.name}" for one in joined]
    if len(names) > 1:
        why = f"it is another one for each order; is the person {' or '.join(names)}?"
        orders.columns["customer_id"].doubt = why
        return ()
    if names:
        orders.evidence.append(
            f"customer_id: {names[0]}, as {own.name} is another one for each order"
        )
    if of_orders:
        column = of_orders[0]
        orders.columns["customer_id"] = Match(_as_person(orders.table, column), 1, column.name)
    return joined


def join_person(orders: TableMatch, person: Person, proposal: Proposal) -> None:
    """Notes that orders have to be loaded with it, and that customers go by it as well."""
    where = f"the person is {person.table.shown}.{person.column.name}"
    if orders.is_lines:  # which are summed by a load of their own
        orders.columns["customer_id"].doubt = where
    else:
        orders.doubts.append(f"{where}; join it with cva load")
        orders.parts = (orders.table, person.table)
    customers = proposal.tables.get("customers")
    if customers is not None and customers.table is person.table:
        expression = _as_person(person.table, person.column)
        customers.columns["customer_id"] = Match(expression, 1, person.column.name)


def person_sql(person: Person) -> str:
    """The person as SQL over its table."""
    return _as_person(person.table, person.column)


def _as_person(table: Table, column: Column) -> str:
    """An address is the same person in any spelling."""
    sql = table.sql(column)
    return f"lower(trim({sql}))" if ADDRESS.fullmatch(column.name) and column.is_text else sql


def _is_one_per_order(orders: TableMatch, own: Column) -> bool:
    order = orders.source("order_id")
    if order is None or orders.table.rows < ENOUGH_ORDERS:
        return False
    ids, people = (f"count(distinct {orders.table.sql(column)})" for column in (order, own))
    return bool(orders.table.value(f"select {ids} = {people} from {orders.table.relation}"))


def _joined(
    orders: TableMatch, own: Column, proposal: Proposal, tables: Sequence[Table]
) -> list[Person]:
    """The people in tables that have a row for each customer's id of orders."""
    found = []
    for table in tables:
        if table is orders.table or table.rows < ENOUGH_ORDERS:
            continue
        for key in table.columns.values():
            is_called_so = column_score("customers", "customer_id", key.name) >= SURE
            if not is_called_so or table.distinct(key.name) < READABLE * table.rows:
                continue
            if read_as(table, key, "id") and overlap(orders.table, own, table, key) >= READABLE:
                found += [Person(table, key, column) for column in _people(table, key)]
    return found


def _people(table: Table, own: Column) -> list[Column]:
    """The columns that are called like an id or an address of the customer and repeat."""
    named = [
        column
        for column in table.columns.values()
        if column.name != own.name
        and read_as(table, column, "id")
        and (
            column_score("orders", "customer_id", column.name) >= PERSON
            or ADDRESS.fullmatch(column.name)
        )
        and table.distinct(column.name) < REPEATING * table.filled(column.name)
    ]
    ids = [column for column in named if not ADDRESS.fullmatch(column.name)]
    return ids or named
