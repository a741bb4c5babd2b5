"""Orders on several rows: lines become one row per order, and no repeated total is summed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cva_sql.cli.load import rows as rows
from cva_sql.cli.load.report import Lines
from cva_sql.cli.shop.column_meanings import column_score
from cva_sql.cli.shop.package import NO_OWN_STATUSES, macro_value, raw_tables
from cva_sql.cli.shop.sql_text import column_names, has_name, quoted
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

REPEATED = 0.99  # share of orders whose lines have one value: from here on it is the order's
DIFFERING = 0.10  # below it, it is the line's; in between nobody can tell
NAMED = 0.85  # how well a column's name has to fit to be the quantity or the price
ORDER, LINE = "order", "line"


@dataclass(frozen=True)
class Grain:
    """What the rows of orders on several rows say of a column of money.

    `several` such orders, `repeated` of them with one value on all rows that have any, `blanks`
    of them with rows that have none. `per` is "order", "line" or None where it cannot be told.
    """

    several: int
    repeated: int
    blanks: int
    per: str | None


@dataclass(frozen=True)
class LoadedFrom:
    """Where READ came from: its columns' expressions over SOURCE, and the rows taken."""

    expressions: Mapping[str, str]
    where: str | None


def grain_of(con: DuckDBPyConnection, column: str) -> Grain:
    """Whether each line of an order repeats the order's value, or has one of its own."""
    several, repeated, blanks, differs = rows.first_row(
        con,
        f"select count(*) filter (n > 1 and filled > 0),"
        f" count(*) filter (n > 1 and low = high), count(*) filter (n > filled and filled > 0),"
        f" coalesce(min(low) <> max(high), false) from (select count(*) as n,"
        f" count({column}) as filled, min({column}) as low, max({column}) as high"
        f" from {rows.READ} where order_id is not null group by {_identity(con)})",
    )
    share = repeated / several if several else 0
    per = LINE if share < DIFFERING else ORDER if share >= REPEATED and differs else None
    return Grain(several, repeated, blanks, per)


def orders_from_rows(
    con: DuckDBPyConnection, source: LoadedFrom, *, lines: bool | None, amount_per: str | None
) -> Lines | None:
    """Makes SUMMED of READ where orders stand on several rows; None where READ is right as it is.

    `lines` says that the rows are order lines (None: they may be), `amount_per` whose the amount
    is. Raises UsageError where the data contradicts them, or where nothing says which it is.
    """
    _fill_from_other_lines(con)
    found = grain_of(con, "amount")
    per = amount_per or LINE
    if found.several and amount_per is None:
        per = _grain_told(con, found, source, lines)
    if lines is None and amount_per is None:
        lines = found.several > 0
    if not lines and amount_per is None and not found.blanks:
        return None
    return _sum_lines(con, per)


def _grain_told(
    con: DuckDBPyConnection, found: Grain, source: LoadedFrom, lines: bool | None
) -> str:
    """Whose the amount is by the rows; a UsageError where they do not tell or `lines` differs."""
    per = LINE if _is_line_total(con, source) else found.per
    if per == (LINE if lines else ORDER) or (lines is None and per is not None):
        return per
    once, summed = totals_of_both(con)
    options = f"--amount-per order ({once:,.2f} in all) or --amount-per line ({summed:,.2f})"
    orders = f"{found.several:,} orders are on several rows"
    if per == ORDER:
        raise UsageError(
            f"--lines: {orders}, and the amount repeats on the rows of {found.repeated:,} of them,"
            f" so it is the order's; add {options}"
        )
    if per == LINE:
        raise UsageError(
            f"{orders}, with an amount of its own on each; order lines? add --lines"
            f" ({summed:,.2f} in all); copies? add --amount-per order ({once:,.2f})"
        )
    raise UsageError(
        f"{orders}, and the amount repeats on the rows of {found.repeated:,} of them: is it the"
        f" order's or the line's? add {options}"
    )


def totals_of_both(con: DuckDBPyConnection) -> tuple[float, float]:
    """The amount in all, once per order and summed over all rows."""
    once, summed = rows.first_row(
        con,
        f"select sum(once), sum(summed) from (select max(amount) as once, sum(amount) as summed"
        f" from {rows.READ} where order_id is not null group by {_identity(con)})",
    )
    return float(once or 0), float(summed or 0)


def _is_line_total(con: DuckDBPyConnection, source: LoadedFrom) -> bool:
    """Whether the amount is quantity times price, by its expression or by its values."""
    names = column_names(con, f"from {rows.SOURCE}")
    quantity = _meaning(names, "quantity")
    amount = source.expressions["amount"]
    if quantity is None:
        return False
    if has_name(amount, quantity):
        return "*" in amount
    price = _meaning(names, "unit_price")
    if price is None or has_name(amount, price):
        return False
    total = f"try_cast({quoted(quantity)} as double) * try_cast({quoted(price)} as double)"
    where = f"where (\n{source.where}\n)" if source.where is not None else ""
    told = (
        f"select (\n{source.expressions['order_id']}\n) as id,"
        f" abs(try_cast((\n{amount}\n) as double) - {total})"
        f" <= 0.005 + 0.0005 * abs({total}) as is_total from {rows.SOURCE} {where}"
    )
    share = rows.first_row(
        con,
        "select avg(is_total::int) from"
        f" (select is_total, count(*) over (partition by id) as n from ({told})) where n > 1",
    )[0]
    return share is not None and share >= REPEATED


def _meaning(names: list[str], column: str) -> str | None:
    """The one name that says it is this column of order_items; None where none or several do."""
    fitting = [name for name in names if column_score("order_items", column, name) >= NAMED]
    return fitting[0] if len(fitting) == 1 else None


def _identity(con: DuckDBPyConnection) -> str:
    return ", ".join(_identity_names(column_names(con, f"from {rows.READ}")))


def _identity_names(names: list[str]) -> list[str]:
    """The columns by which a row is of one order or of another."""
    return [name for name in raw_tables()["orders"].key if name in names]


def _fill_from_other_lines(con: DuckDBPyConnection) -> None:
    """What a line leaves blank of customer, store, currency and status, where its order has one.

    Exports often write what is the order's on its first line only.
    """
    names = column_names(con, f"from {rows.READ}")
    blank = [n for n in ("store", "customer_id", "currency", "status") if n in names]
    counted = ", ".join(f"count(*) - count({name})" for name in blank)
    found = rows.first_row(con, f"select {counted} from {rows.READ} where order_id is not null")
    for name, missing in zip(blank, found, strict=True):
        if missing:
            con.execute(
                f"update {rows.READ} set {name} = one.value from (select order_id,"
                f" min({name}) as value from {rows.READ} group by order_id"
                f" having min({name}) = max({name}) and count(*) > count({name})) as one"
                f" where cva_read.order_id = one.order_id and cva_read.{name} is null"
            )


def _sum_lines(con: DuckDBPyConnection, per: str) -> Lines:
    """What became of the order lines of READ; makes SUMMED, one row per order."""
    names = column_names(con, f"from {rows.READ}")
    by = [*_identity_names(names), *(name for name in names if name == "currency")]
    live, cancelled = _live_lines(con, names, ", ".join(by))
    values = {name: _value_of_lines(con, name, per) for name in names if name not in by}
    listed = ", ".join(values.get(name, name) for name in names)
    con.execute(
        f"create temp table cva_summed as select {listed} from {live}"
        f" where order_id is not null group by {', '.join(by)} order by {', '.join(by)}"
    )
    taken, without_id, without_amount = rows.first_row(
        con,
        "select count(order_id), count(*) filter (order_id is null),"
        f" count(*) filter (order_id is not null and amount is null) from {rows.READ}",
    )
    return Lines(taken, without_id, 0 if per == ORDER else without_amount, cancelled, per)


def _value_of_lines(con: DuckDBPyConnection, name: str, per: str) -> str:
    """SQL: what an order has of a column whose lines are grouped."""
    if raw_tables()["orders"].columns[name][0] == "money":
        own = per if name == "amount" else grain_of(con, name).per or per
        total = f"sum({name}) filter (counts)" if own == LINE else f"max({name})"
        return f"try_cast({total} as {rows.sql_type('money')}) as {name}"
    if name in ("status_changed_at", "updated_at"):
        return f"max({name}) filter (counts) as {name}"
    if name == "status":
        return f"min(status) filter (is_usual) as {name}"
    return f"min({name}) as {name}"


def _live_lines(con: DuckDBPyConnection, names: list[str], by: str) -> tuple[str, int]:
    """READ with `counts`, and how many lines are cancelled while their order is not.

    A cancelled line takes off itself; where all are cancelled, so is the order. `is_usual` marks
    the status that most of the lines that count have.
    """
    if "status" not in names:
        return f"(select *, true as counts, true as is_usual from {rows.READ})", 0
    is_cancelled = macro_value(
        "order_statuses.sql", "is_status", "cancelled", settings=NO_OWN_STATUSES
    )
    con.execute(
        f"create temp table cva_lines as with judged as (select *, {is_cancelled} as is_off"
        f" from {rows.READ}), counted as (select *, not is_off or bool_and(is_off) over"
        f" (partition by {by}) as counts from judged), told as (select *,"
        f" count(status) filter (counts) over (partition by {by}, status) as lines_alike"
        f" from counted)"
        f" select *, lines_alike = max(lines_alike) over (partition by {by}) as is_usual from told"
    )
    off = rows.count_rows(con, "(from temp.cva_lines where not counts)")
    return "temp.cva_lines", off


def refuse_amount_per(table: str, amount_per: str | None) -> None:
    """A UsageError where --amount-per is not one of its values, or the table has no amount."""
    if amount_per is None:
        return
    if table != "orders":
        raise UsageError(f"--amount-per is for orders, not {table}; leave it out")
    if amount_per not in (ORDER, LINE):
        raise UsageError(f"--amount-per {amount_per}: expected order or line")
