"""What `cva load` says it took, what it could not use and why."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from cva_sql.cli.shop.package import raw_tables
from cva_sql.cli.shop.progress import count_of
from cva_sql.cli.shop.terminal import json_text


@dataclass(frozen=True)
class Totals:
    """Rows of a table; the other fields are None where the table has no such column."""

    rows: int
    customers: int | None
    first: datetime | None
    last: datetime | None
    amount: Decimal | None


@dataclass(frozen=True)
class Unreadable:
    """Values of a column that were there but could not be read, and became NULL."""

    column: str
    values: int
    example: str
    advice: str = ""


@dataclass(frozen=True)
class Lines:
    """Order lines that became orders, and those that did not (no order_id).

    `cancelled` lines took off themselves. `amount_per` is "line" where the orders' amounts are the
    sums of theirs, "order" where each line repeats its order's or leaves it blank.
    """

    taken: int
    without_order_id: int
    without_amount: int
    cancelled: int
    amount_per: str


@dataclass(frozen=True)
class Changes:
    """What a load did to the table, in rows of the load.

    `older` rows have an updated_at before that of the row that is there, which stays.
    `moved` counts the orders that belong to another customer now.
    """

    inserted: int
    updated: int
    unchanged: int
    older: int
    moved: int


@dataclass(frozen=True)
class LoadReport:
    """One load; `loaded` is what it brought, `table_now` the whole table after it.

    rows_read = rows_left_out_by_where + loaded.rows, or with --lines + lines taken + lines without
    order_id, plus `superseded`, the rows of which another has a later updated_at, and `forgotten`,
    those of people whom `cva forget` erased. `changes` are
    those of an --append. `missing` counts loaded rows with a NULL, by required column,
    `several_customers` the ids of orders that more than one customer has, `repeated_keys` the
    values of `key` that the table now holds more than once. `said` is what was decided from the
    data, `statuses` says which of them no list knows and which an option settled, `doubts` are
    lines on refunds and on the ids of the table's customers.
    """

    table: str
    schema: str
    columns: tuple[str, ...]
    appended: bool
    rows_read: int
    rows_left_out_by_where: int
    forgotten: int
    lines: Lines | None
    superseded: int
    changes: Changes | None
    unreadable: tuple[Unreadable, ...]
    missing: dict[str, int]
    several_customers: int
    key: tuple[str, ...]
    repeated_keys: int
    statuses: tuple[str, ...]
    loaded: Totals
    table_now: Totals
    said: tuple[str, ...]
    doubts: tuple[str, ...]

    def as_json(self) -> str:
        """The report as one JSON object; money as text, so that no cent is rounded."""
        return json_text(dataclasses.asdict(self), default=str)

    def as_text(self) -> str:
        """The report for the terminal; only what is worth a line."""
        name = f"{self.schema}.{self.table}"
        took = f"{name}: {self._counted(self.loaded)}"
        took += f" from {count_of(self.lines.taken, 'line')}" if self.lines else ""
        said = [took + self._details(self.loaded), *self.said]
        if self.rows_left_out_by_where:
            said.append(f"left out: {count_of(self.rows_left_out_by_where, 'row')} by --where")
        if self.forgotten:
            theirs = count_of(self.forgotten, "row")
            said.append(f"left out: {theirs} of people who were forgotten")
        if self.superseded:
            older = count_of(self.superseded, "row")
            said.append(f"left out: {older} with an updated_at before that of another row")
        if self.lines and self.lines.without_order_id:
            said.append(
                f"left out: {count_of(self.lines.without_order_id, 'line')} without order_id"
            )
        for column in self.unreadable:
            values = count_of(column.values, "value")
            advice = f"; {column.advice}" if column.advice else ""
            said.append(
                f"could not be read: {column.column} {values}, e.g. {column.example!r}{advice}"
            )
        for missing, rows in self.missing.items():
            said.append(f"without {missing}: {count_of(rows, self._noun)}")
        said += [*self.statuses, *self._doubts()]
        if self.changes:
            said.append(self._changes(self.changes))
        if self.appended:
            now = self._counted(self.table_now) + self._details(self.table_now)
            said.append(f"{name} now: {now}")
        return "\n".join(said)

    def _counted(self, totals: Totals) -> str:
        """The rows; of people that stand on several, as they changed, the people as well."""
        is_of_people = raw_tables()[self.table].role == "people"
        if is_of_people and totals.customers not in (None, totals.rows):
            return f"{totals.customers:,} {self._noun}s in {totals.rows:,} rows"
        return count_of(totals.rows, self._noun)

    @property
    def _noun(self) -> str:
        """What one row of the table is."""
        one = self.table.replace("_", " ").removesuffix("s")
        return one if one != self.table else f"{one} day"  # a table is many things, or of many days

    def _doubts(self) -> list[str]:
        said = []
        if self.lines and self.lines.without_amount:
            said.append(
                f"summed as nothing: {count_of(self.lines.without_amount, 'line')} without amount"
            )
        if self.lines and self.lines.cancelled:
            lines = count_of(self.lines.cancelled, "line")
            said.append(f"cancelled, and taken off their orders: {lines}")
        if self.lines and self.lines.amount_per == "order":
            said.append("amount: the order's, so it was not summed over its lines")
        if self.several_customers:
            ids = count_of(self.several_customers, "order_id")
            store = "" if "store" in self.columns else "; two stores? name them: --column store=…"
            said.append(f"of several customers, and an order for each: {ids}{store}")
        if self.repeated_keys:
            values = count_of(self.repeated_keys, "value")
            said.append(f"{self.key[0]} on more than one row: {values}; one of each is used")
        return [*said, *self.doubts]

    def _changes(self, changes: Changes) -> str:
        """What became of the table's rows; older and moved ones only where there are any."""
        said = f"{changes.inserted:,} inserted, {changes.updated:,} updated"
        said += f", {changes.unchanged:,} unchanged"
        if changes.older:
            said += f", {changes.older:,} older than what is there"
        if changes.moved:
            said += f"; {count_of(changes.moved, 'order')} now of another customer"
        return said

    def _details(self, totals: Totals) -> str:
        said = []
        is_of_people = raw_tables()[self.table].role == "people"
        if totals.customers is not None and not is_of_people:
            said.append(count_of(totals.customers, "customer"))
        if totals.first and totals.last:
            said.append(f"{totals.first.date()} .. {totals.last.date()}")
        if totals.amount is not None:
            said.append(f"amount {totals.amount:,.2f}")
        return f" ({', '.join(said)})" if said else ""
