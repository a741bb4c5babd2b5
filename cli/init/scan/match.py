"""How well a table fits a canonical one, by its names, types and keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.init.scan.tables import READABLE, Column, Table
from cva_sql.cli.init.scan.texts import read_number, read_time
from cva_sql.cli.readings.counted import counted_sql
from cva_sql.cli.shop import column_meanings as names
from cva_sql.cli.shop.package import canonical_tables, raw_tables

if TYPE_CHECKING:
    from cva_sql.cli.init.scan.vendors import Vendor

SURE = 0.7  # below it a table or column is left to the user, as a comment
POSSIBLE = 0.5  # below it it is not worth a line
NEAR = 0.1  # two columns or tables this close are one question
WORDED = ("name", "body", "occupation", "currency")  # texts that are never numbers throughout
UNIQUE = 0.93  # distinct ids per row of a key; estimates are off by a few per cent


def key_of(role: str) -> str | None:
    """The id that a row of the table goes by, None where it has none of its own."""
    line = raw_tables()[role]
    return None if line.role == "outcomes" else next(iter(line.key), None)


@cache
def parents() -> dict[str, str]:
    """Id column -> the table whose rows go by it."""
    return {key: role for role in raw_tables() if (key := key_of(role))}


@dataclass
class Match:
    """A canonical column: the SQL that gives it, how sure (0-1), and what speaks against it."""

    expression: str
    score: float
    source: str
    doubt: str = ""
    is_product: bool = False  # of quantity and price, where no column is the amount

    @property
    def is_sure(self) -> bool:
        return self.score >= SURE and not self.doubt


@dataclass
class TableMatch:
    """A table of the database as a canonical one. `doubts` say why it is not to be taken as such.

    `is_lines` is true where it would be `orders` but has one row per order line. `parts` are the
    tables that `cva load` has to make one of, empty where the table can be read as it is. Rows for
    which one of the conditions `left_out` holds are not taken. `asked` is open, and it can be
    taken all the same.
    """

    role: str
    table: Table
    score: float
    columns: dict[str, Match]
    missing: tuple[str, ...] = ()
    is_lines: bool = False
    evidence: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    parts: tuple[Table, ...] = ()
    left_out: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def is_sure(self) -> bool:
        return not self.doubts

    def source(self, column: str) -> Column | None:
        match = self.columns.get(column)
        return self.table.columns.get(match.source) if match else None


@dataclass
class Proposal:
    """What was found: one schema, a table per role, what is open, what to load before a run.

    `hidden` are canonical tables that are none, though a table of that name is there. With a
    `vendor` its preset fills them, and `schema` is where it puts them.
    `to_settle` are the vars, or the parts of a load, without which orders cannot be read.
    """

    db: Path
    schema: str
    table_count: int
    tables: dict[str, TableMatch]
    questions: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    hidden: dict[str, str] = field(default_factory=dict)
    vendor: Vendor | None = None
    to_settle: list[str] = field(default_factory=list)


def match_table(role: str, table: Table) -> TableMatch | None:
    """The table as this canonical one; None where hardly a column fits."""
    line = raw_tables()[role]
    columns = match_columns(role, table)
    order = columns.get("order_id")
    repeats = order is not None and _repeats(table, order.source)
    is_lines = role == "orders" and repeats and _has_lines(table)
    if role == "orders":
        _derive_amount(columns, table, is_lines)
    required = line.required
    missing = tuple(name for name in required if name not in columns)
    if len(missing) > 1 or len(missing) == len(required):
        return None
    named = names.table_score(role, table.name)
    if role in ("orders", "order_items") and repeats and named < 0.5:
        order_named = names.table_score("orders", table.name)
        named = max(named, 0.5) if order_named > 0.5 or is_lines else named
    optional = [name for name in columns if name not in required]
    if not _tells(role, columns, named):
        return None
    shape = _shape(role, table, columns, repeats)
    mean = sum(columns[name].score for name in required if name in columns) / len(required)
    score = 0.25 * named + 0.55 * mean + 0.1 * min(1, len(optional) / 2) + shape
    return TableMatch(role, table, round(max(score, 0), 2), columns, missing, is_lines)


def _tells(role: str, columns: dict[str, Match], named: float) -> bool:
    """Whether there is more than ids and a time, which many a table has."""
    line = raw_tables()[role]
    if line.tells:
        return bool(line.tells & columns.keys())
    if line.role != "facts":
        return named == 1 or any(not line.columns[name][1] for name in columns)
    said = [names.parse(match.source) for match in columns.values()]
    # A time and an amount are a payment's as well, so the name or a column has to say what it is.
    is_said = named == 1 or any(name.means(word) for name in said for word in line.name)
    return is_said or role in ("orders", "order_items")


def _shape(role: str, table: Table, columns: dict[str, Match], repeats: bool) -> float:
    """What the keys say: a table of things has each once, lines repeat their order."""
    if role == "order_items":
        return 0.1 if repeats else -0.2
    line = raw_tables()[role]
    key = columns.get(key_of(role) or "")
    if line.role == "facts" or key is None or not table.rows:
        return 0.1
    if not _repeats(table, key.source) or set(line.key[1:]) & columns.keys():
        return 0.1
    return -0.4


def match_columns(role: str, table: Table) -> dict[str, Match]:
    """Each column at most once, the best pairs first."""
    pairs: list[tuple[float, bool, str, Column, str, str]] = []
    for name, (kind, is_required) in canonical_tables()[role].items():
        for column in table.columns.values():
            if name in WORDED and column.is_of_numbers:
                continue
            named = names.column_score(role, name, column.name)
            read = read_as(table, column, kind) if named >= POSSIBLE else None
            if read is None:
                continue
            expression, factor, doubt = read
            score = named * factor
            if column.name.strip().lower() == name:
                score += NEAR  # cva's own name: no other is as near
            if key_of(role) == name and column.distinct < UNIQUE * min(table.rows, 1000):
                score -= NEAR  # of two names for a key the one with unique values
            pairs.append((round(score, 2), is_required, name, column, expression, doubt))
    pairs.sort(key=lambda pair: (-pair[0], not pair[1]))
    found: dict[str, Match] = {}
    used: set[str] = set()
    for score, _, name, column, expression, doubt in pairs:
        if score >= POSSIBLE and name not in found and column.name not in used:
            found[name] = Match(expression, min(score, 1), column.name, doubt)
            used.add(column.name)
    for score, _, name, column, _, _ in pairs:
        match = found.get(name)
        if not match or match.doubt or match.source.lower() == name or column.name in used:
            continue
        if score > match.score - NEAR:
            match.doubt = f"or is it {column.name}?"
    return found


def read_as(table: Table, column: Column, kind: str) -> tuple[str, float, str] | None:
    """The SQL that reads the column as a kind, how well, and a doubt; None where it is another."""
    sql, shares = table.sql(column), column.shares
    is_empty = column.null_share == 1
    if kind in ("id", "person"):
        is_whole = shares.get("whole", 1) >= READABLE
        fits = column.is_text or column.type == "UUID" or (column.is_number and is_whole)
        return (sql, 1, "") if fits else None
    if kind == "time":
        return _read_time(table, column, sql, is_empty)
    if kind == "flag":
        is_flag = column.type == "BOOLEAN" or shares.get("as flag", 0) >= READABLE
        is_flag = is_flag or (column.is_number and column.first in (0, 1) and column.last in (0, 1))
        return (sql, 1, "") if is_flag or (is_empty and column.is_text) else None
    if kind == "vector":
        return (sql, 1, "") if column.is_vector or (is_empty and column.is_text) else None
    if kind == "text":
        if column.is_vector or column.is_time or column.type == "BOOLEAN":
            return None
        return sql, 0.9 if column.is_number else 1, ""
    if column.is_number or (is_empty and column.is_text):
        return sql, 1, ""
    return read_number(table, column, sql) if column.is_text else None


def _read_time(
    table: Table, column: Column, sql: str, is_empty: bool
) -> tuple[str, float, str] | None:
    shares = column.shares
    if column.is_time or (is_empty and column.is_text):
        return sql, 1, ""
    if column.is_text:
        return read_time(table, column, sql)
    if shares.get("seconds", 0) >= READABLE:
        return f"to_timestamp({sql})", 0.95, ""
    if shares.get("milliseconds", 0) >= READABLE:
        return f"to_timestamp({sql} / 1000)", 0.95, ""
    if shares.get("yyyymmdd", 0) >= READABLE:
        return f"try_strptime({sql}::bigint::varchar, '%Y%m%d')", 0.95, ""
    for way in ("microseconds", "days"):
        if shares.get(way, 0) >= READABLE:
            return counted_sql(way, sql, "UTC"), 0.95, ""
    return None


def _repeats(table: Table, column: str) -> bool:
    filled = table.filled(column)
    return filled > 0 and table.distinct(column) < UNIQUE * filled


def _has_lines(table: Table) -> bool:
    """Whether there is a product or a quantity, as order lines have."""
    found = match_columns("order_items", table)
    return bool({"product_id", "quantity"} & found.keys())


def _derive_amount(columns: dict[str, Match], table: Table, is_lines: bool) -> None:
    """Quantity times price where no column is the amount."""
    amount = columns.get("amount")
    # A column that is called price alone is that of a piece where there is a quantity.
    if amount is not None and amount.is_sure:
        return
    lines = match_columns("order_items", table)
    quantity, price = lines.get("quantity"), lines.get("unit_price")
    if quantity is None or price is None:
        return
    score = min(quantity.score, price.score)
    expression = f"{quantity.expression} * {price.expression}"
    doubt = quantity.doubt or price.doubt
    columns["amount"] = Match(expression, score, price.source, doubt, is_product=True)
