"""Orders whose columns have names that say nothing: what their values alone speak for."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cva_sql.cli.init.scan.match import POSSIBLE, Match, TableMatch, match_columns, read_as
from cva_sql.cli.init.scan.tables import Column, Table
from cva_sql.cli.shop.package import raw_tables

ENOUGH_ROWS = 20  # below it, values repeat or do not by chance
REPEATED = 0.9  # ids per row of customers: some have come back
MOST_FILLED = 0.05  # share of NULLs that an order's own columns may have


def guess_orders(tables: Iterable[Table], named: TableMatch | None) -> TableMatch | None:
    """The table that may be orders by its values, none of them sure; None without one.

    `named` is the one that is called so and lacks columns.
    """
    found = [named] if named else [TableMatch("orders", t, POSSIBLE, {}) for t in tables]
    guessed = [one for one in found if _guess(one)]
    return max(guessed, key=lambda one: (one.table.rows, one.table.name), default=None)


def _guess(match: TableMatch) -> bool:
    """Fills the required columns of orders that no name gave; whether all are there then."""
    table = match.table
    if table.rows < ENOUGH_ROWS:
        return False
    if not match.columns:
        match.columns.update(match_columns("orders", table))
    kinds = raw_tables()["orders"].columns
    # A time may be a whole number as well, so it is looked for before amounts and ids.
    for name in sorted(raw_tables()["orders"].required, key=list(LIKE).index):
        if name in match.columns:
            continue
        used = {one.source for one in match.columns.values()}
        free = [c for c in table.columns.values() if c.name not in used]
        fitting = [(c, read) for c in free if (read := read_as(table, c, kinds[name][0]))]
        fitting = [pair for pair in fitting if LIKE[name](table, pair[0])]
        if name in RANKED:
            fitting.sort(key=lambda pair: RANKED[name](pair[0]))
        if not fitting and name == "order_id":
            _number_rows(match)
            continue
        if not fitting:
            return False
        column, (expression, _, doubt) = fitting[0]
        others = " or ".join(c.name for c, _ in fitting[1:4])
        why = f"by its values alone; or is it {others}?" if others else "by its values alone"
        match.columns[name] = Match(expression, POSSIBLE, column.name, doubt or why)
        match.evidence.append(f"{name}: {column.name} {SAID[name]}")
    match.missing = ()
    return True


def _number_rows(match: TableMatch) -> None:
    """An id for rows that have none, as logs of sales do not."""
    columns = ", ".join(match.table.sql(column) for column in match.table.columns.values())
    why = "no column has each value once: is each row an order?"
    expression = f"row_number() over (order by {columns})"
    match.columns["order_id"] = Match(expression, POSSIBLE, "", why)


def _is_filled(column: Column) -> bool:
    return column.null_share <= MOST_FILLED


def _is_time(table: Table, column: Column) -> bool:
    return _is_filled(column) and column.distinct > 1


def _is_key(table: Table, column: Column) -> bool:
    return _is_filled(column) and table.distinct(column.name) == table.filled(column.name)


def _is_amount(table: Table, column: Column) -> bool:
    """Numbers above 0 that are not counted up one by one, as ids are."""
    is_positive = column.is_text or (column.last is not None and column.last > 0)
    is_sold = is_positive and column.shares.get("negative", 0) < 0.5  # returns are fewer
    return _is_filled(column) and is_sold and (_is_broken(column) or not _is_key(table, column))


def _is_broken(column: Column) -> bool:
    """Whether there are parts of whole numbers, as money has."""
    return column.shares.get("whole", 1) < 1


def _is_repeated_id(table: Table, column: Column) -> bool:
    return 1 < table.distinct(column.name) < REPEATED * table.filled(column.name)


LIKE: dict[str, Callable[[Table, Column], bool]] = {
    "ordered_at": _is_time,
    "order_id": _is_key,
    "amount": _is_amount,
    "customer_id": _is_repeated_id,
}
RANKED: dict[str, Callable[[Column], tuple[bool, int]]] = {  # the likeliest first
    "amount": lambda column: (not _is_broken(column), -column.distinct),
    "customer_id": lambda column: (False, -column.distinct),
}
SAID = {
    "ordered_at": "is a time",
    "order_id": "has each value once",
    "amount": "has numbers above 0",
    "customer_id": "has values that repeat",
}
