"""Orders whose amount or whose person is in another table: the load that joins them."""

from __future__ import annotations

from cva_sql.cli.init.scan.lines import command, load_schema, plain_name
from cva_sql.cli.init.scan.marks import kept_rows
from cva_sql.cli.init.scan.match import Proposal, TableMatch
from cva_sql.cli.init.scan.people import Person, person_sql
from cva_sql.cli.init.scan.tables import Table, as_id
from cva_sql.cli.shop.package import canonical_tables, raw_tables


def join_orders(
    proposal: Proposal, orders: TableMatch, person: Person | None, tables: list[Table]
) -> None:
    """Adds the load of orders with the amounts of their items, and with the person, if needed."""
    amounts = _amounts(proposal, orders)
    if orders.is_lines or (orders.missing and amounts is None) or not (person or amounts):
        return
    if orders.missing:
        proposal.questions += [f"orders: {text}" for text in orders.evidence]
    found, required = orders.columns, raw_tables()["orders"].required
    names = [n for n in canonical_tables()["orders"] if n in found]
    values = {n: found[n].expression for n in names if found[n].is_sure or n in required}
    values["order_id"] = _id_of(orders, "order_id")
    joins = []
    if person:
        key = as_id(person.table.sql(person.key), person.key.type)
        joins.append(
            f"left join (\n    select {key} as person_key, min({person_sql(person)}) as person_id\n"
            f"    from {plain_name(person.table)}\n    group by 1\n"
            f") as people on {_id_of(orders, 'customer_id')} = person_key"
        )
        values["customer_id"] = "person_id"
    if amounts:
        joins.append(f"left join (\n{amounts}\n) as items on {values['order_id']} = item_order_id")
        values["amount"] = "item_amount"
        proposal.questions.append("orders: an amount summed from order_items is without shipping")
    listed = ",\n    ".join(f"{value} as {name}" for name, value in values.items())
    where = f"\nwhere {kept_rows(orders)}" if orders.left_out else ""
    query = "\n".join([f"select\n    {listed}\nfrom {plain_name(orders.table)}", *joins]) + where
    schema = load_schema(proposal, "orders", tables)
    proposal.loads.append(command(proposal, "orders", query, schema))


def can_sum(proposal: Proposal, orders: TableMatch) -> bool:
    """Whether orders lack the amount alone, and their items in one table have a price."""
    items = proposal.tables.get("order_items")
    if orders.missing != ("amount",) or items is None or items.parts:
        return False
    return {"order_id", "unit_price"} <= items.columns.keys()


def _amounts(proposal: Proposal, orders: TableMatch) -> str | None:
    """SQL: the amounts of orders by their items; None where items do not tell."""
    if not can_sum(proposal, orders):
        return None
    items = proposal.tables["order_items"]
    quantity = f"{items.columns['quantity'].expression} * " if "quantity" in items.columns else ""
    price = items.columns["unit_price"].expression
    where = f"\n    where {kept_rows(items)}" if items.left_out else ""
    return (
        f"    select {_id_of(items, 'order_id')} as item_order_id, "
        f"sum(({quantity}{price})::decimal(18, 4)) as item_amount\n"
        f"    from {plain_name(items.table)}{where}\n    group by 1"
    )


def _id_of(match: TableMatch, name: str) -> str:
    column = match.source(name)
    return as_id(match.columns[name].expression, column.type if column else "VARCHAR")
