"""What `cva load` says it took, what it could not use and why."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from cva_sql.cli.shop.package import raw_tables


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


@dataclass(frozen=True)
class Lines:
    """Order lines that were summed into orders, and those that were not (no order_id)."""

    taken: int
    without_order_id: int
    without_amount: int
    orders_with_several_customers: int


@dataclass(frozen=True)
class LoadReport:
    """One load; `loaded` is what it brought, `table_now` the whole table after it.

    rows_read = rows_left_out_by_where + loaded.rows, or with --lines + lines taken + lines without
    order_id. `missing` counts loaded rows with a NULL, by required column; `repeated_keys` the
    values of `key` that the table now holds more than once.
    """

    table: str
    schema: str
    columns: tuple[str, ...]
    appended: bool
    rows_read: int
    rows_left_out_by_where: int
    lines: Lines | None
    unreadable: tuple[Unreadable, ...]
    missing: dict[str, int]
    key: str | None
    repeated_keys: int
    loaded: Totals
    table_now: Totals
    read_as: tuple[str, ...] = ()  # what was decided from the files, e.g. their encoding

    def as_json(self) -> str:
        """The report as one JSON object; money as text, so that no cent is rounded."""
        return json.dumps(dataclasses.asdict(self), default=str, ensure_ascii=False)

    def as_text(self) -> str:
        """The report for the terminal; only what is worth a line."""
        name, noun = f"{self.schema}.{self.table}", self._noun
        took = f"{name}: {_count(self.loaded.rows, noun)}"
        took += f" from {_count(self.lines.taken, 'lines')}" if self.lines else ""
        said = [took + self._details(self.loaded)]
        said += [f"read from {line}" for line in self.read_as]
        if self.rows_left_out_by_where:
            said.append(f"left out: {_count(self.rows_left_out_by_where, 'rows')} by --where")
        if self.lines and self.lines.without_order_id:
            said.append(
                f"left out: {_count(self.lines.without_order_id, 'lines')} without order_id"
            )
        for column in self.unreadable:
            values = _count(column.values, "values")
            advice = self._time_advice(column)
            said.append(
                f"could not be read: {column.column} {values}, e.g. {column.example!r}{advice}"
            )
        for missing, rows in self.missing.items():
            said.append(f"without {missing}: {_count(rows, noun)}")
        said += self._doubts()
        if self.appended:
            now = _count(self.table_now.rows, noun) + self._details(self.table_now)
            said.append(f"{name} now: {now}")
        return "\n".join(said)

    @property
    def _noun(self) -> str:
        return self.table.replace("_", " ")

    def _time_advice(self, column: Unreadable) -> str:
        if not column.column.endswith("_at") or 2 * column.values <= self.loaded.rows:
            return ""  # a few wrong values, not a format of its own
        return f"; give its format: --column {column.column}=\"strptime(…, '%d/%m/%Y %H:%M')\""

    def _doubts(self) -> list[str]:
        said = []
        if self.lines and self.lines.without_amount:
            said.append(
                f"summed as nothing: {_count(self.lines.without_amount, 'lines')} without amount"
            )
        if self.lines and self.lines.orders_with_several_customers:
            orders = _count(self.lines.orders_with_several_customers, "orders")
            said.append(
                f"several customers: {orders}; the customer_id first in sort order was taken"
            )
        if self.repeated_keys:
            values = _count(self.repeated_keys, "values")
            advice = "; one row per line? then add --lines" if self._may_be_lines else ""
            said.append(f"{self.key} on more than one row: {values}{advice}")
        return said

    @property
    def _may_be_lines(self) -> bool:
        return self.table == "orders" and not self.lines and not self.appended

    def _details(self, totals: Totals) -> str:
        said = []
        is_of_people = raw_tables()[self.table].role == "people"
        if totals.customers is not None and not is_of_people:
            said.append(_count(totals.customers, "customers"))
        if totals.first and totals.last:
            said.append(f"{totals.first.date()} .. {totals.last.date()}")
        if totals.amount is not None:
            said.append(f"amount {totals.amount:,.2f}")
        return f" ({', '.join(said)})" if said else ""


def _count(number: int, plural: str) -> str:
    return f"{number:,} {plural[:-1] if number == 1 else plural}"
