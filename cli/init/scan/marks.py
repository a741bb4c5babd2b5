"""Columns that mark rows: deleted at the source, a trial, an order that was cancelled."""

from __future__ import annotations

import re

from cva_sql.cli.init.scan.match import Match, TableMatch, read_as
from cva_sql.cli.init.scan.tables import READABLE, Column
from cva_sql.cli.shop.column_meanings import plain
from cva_sql.cli.shop.package import raw_tables
from cva_sql.cli.shop.progress import count_of

DELETED = "deleted removed tombstone geloscht supprime eliminado borrado yishanchu 已删除 删除"
TRIAL = "test"
CANCELLED = (
    "cancelled canceled cancel cancellation void voided storno storniert annule annulee annulation "
    "annulliert cancelado cancelada anulado anulada annullato geannuleerd quxiao 已取消 取消"
)
# What such a name may have besides: a flag's or a time's words, and who copied the table.
BESIDE = (
    "is was at on am le date datetime time timestamp ts datum fecha flag mark marked mode soft row "
    "record fivetran sdc ab cdc airbyte hevo stitch etl meta shi 时间 日期 是否"
)
WHY = "reason grund motif motivo code note comment by yuanyin 原因"  # of a cancellation
TRUE = "('true', 't', 'yes', 'y', '1')"
MOST = 0.5  # of the rows: so many are not the exception that the name says


def add_marks(match: TableMatch) -> None:
    """Leaves out what is deleted or a trial, and makes cancelled orders cancelled; each is said.

    What is marked on most rows is a doubt instead.
    """
    _leave_out(match, DELETED, "deleted at the source")
    if match.role == "orders":
        _leave_out(match, TRIAL, "trials")
        _cancel(match)


def _leave_out(match: TableMatch, words: str, what: str) -> None:
    for column in _named(match, words):
        condition = _condition(match, column)
        if condition is None or column.name in {one.source for one in match.columns.values()}:
            continue
        count, share = _marked(match, condition)
        if share > MOST:
            match.doubts.append(f"{column.name} marks {share:.1%} of the rows as {what}: is it so?")
            continue
        match.left_out.append(condition)
        match.evidence.append(f"left out, {what} by {column.name}: {count_of(count, 'row')}")


def _cancel(match: TableMatch) -> None:
    """Orders that a time or a flag says are cancelled get the status."""
    marks = [
        (c, condition) for c in _named(match, CANCELLED) if (condition := _condition(match, c))
    ]
    if not marks:
        _ask_reasons(match)
        return
    marks.sort(key=lambda mark: read_as(match.table, mark[0], "time") is None)  # times first
    column = marks[0][0]
    condition = " or ".join(condition for _, condition in marks)
    count, share = _marked(match, condition)
    names = " or ".join(c.name for c, _ in marks)
    if share > MOST:
        match.doubts.append(f"{names} says that {share:.1%} of the orders are cancelled: is it so?")
    status = match.columns.get("status")
    other = f" else {status.expression}" if status and status.is_sure else ""
    if status and not status.is_sure:
        why = status.doubt or f"score {status.score:.2f}"
        match.asked.append(f"status is {status.expression} where it is not cancelled? {why}")
    source = status.source if other and status else column.name
    match.columns["status"] = Match(f"case when {condition} then 'cancelled'{other} end", 1, source)
    match.evidence.append(
        f"cancelled by {names}, so no sales: {count_of(count, 'order')} ({share:.1%})"
    )
    _date_changes(match, column)


def _date_changes(match: TableMatch, column: Column) -> None:
    """When the status changed: at the cancellation; what else was found counts where it is none."""
    changed = match.columns.get("status_changed_at")
    read = read_as(match.table, column, "time")
    if read is None:
        # A time of cancellations that marks none cannot be; what else was found is of the status.
        return
    expression, score, doubt = read
    if changed is not None and changed.source != column.name and changed.is_sure:
        other = match.source("status_changed_at")
        if other is not None and other.type == column.type:
            expression = f"coalesce({expression}, {changed.expression})"
    match.columns["status_changed_at"] = Match(expression, score, column.name, doubt)


def _ask_reasons(match: TableMatch) -> None:
    """A reason of the cancellation, where nothing else says that an order is cancelled."""
    for column in _named(match, CANCELLED, WHY):
        if not column.is_text or column.null_share == 1 or "status" in match.columns:
            continue
        condition = f"trim({match.table.sql(column)}) <> ''"
        count, share = _marked(match, condition)
        expression = f"case when {condition} then 'cancelled' end"
        why = (
            f"{column.name} is filled in {count_of(count, 'row')} ({share:.1%}): cancelled orders?"
        )
        match.columns["status"] = Match(expression, 0.6, column.name, why)
        return


def _named(match: TableMatch, words: str, needed: str = "") -> list[Column]:
    """The columns whose name is one of the words, and nothing that says otherwise."""
    own = " ".join(raw_tables()[match.role].words.values())
    beside = _one_of(f"{BESIDE} {own}")
    after = f"{_one_of(needed)}{beside}*" if needed else ""
    pattern = re.compile(f"{beside}*{_one_of(words)}{beside}*{after}")
    named = {
        column.name: "".join(re.findall(r"[^\W\d_]+", plain(column.name)))
        for column in match.table.columns.values()
    }
    return [c for c in match.table.columns.values() if pattern.fullmatch(named[c.name])]


def _one_of(words: str) -> str:
    return f"(?:{'|'.join(re.escape(plain(word)) for word in words.split())})"


def _condition(match: TableMatch, column: Column) -> str | None:
    """SQL: whether the column marks the row; None where its values are no flag and no time."""
    sql, table = match.table.sql(column), match.table
    if column.type == "BOOLEAN":
        return sql
    if column.is_time:
        return f"{sql} is not null"
    if column.is_number:
        if column.first in (0, 1) and column.last in (0, 1):
            return f"{sql} = 1"
        return f"{sql} > 0" if read_as(table, column, "time") else None
    if not column.is_text:
        return None
    if column.null_share < 1 and column.shares.get("as flag", 0) >= READABLE:
        return f"lower(trim({sql})) in {TRUE}"
    return f"trim({sql}) <> ''" if read_as(table, column, "time") else None


def _marked(match: TableMatch, condition: str) -> tuple[int, float]:
    """How many rows it holds for, and their share."""
    rows = match.table.rows
    count = match.table.value(
        f"select count(*) from {match.table.relation} where {condition}" if rows else "select 0"
    )
    return int(count), int(count) / max(rows, 1)


def kept_key(match: TableMatch) -> tuple[str, str] | None:
    """The required column that is NULL for rows that are left out, with its SQL; None without any.

    Vars have no condition for rows: one without what it needs is not used, and counted.
    """
    needed = raw_tables()[match.role].required[0]
    if not match.left_out or needed not in match.columns:
        return None
    marked = " or ".join(f"coalesce({condition}, false)" for condition in match.left_out)
    return needed, f"case when not ({marked}) then {match.columns[needed].expression} end"


def kept_rows(match: TableMatch) -> str:
    """SQL: a condition for the rows that are not left out; empty where all are taken."""
    return " and ".join(f"not coalesce({condition}, false)" for condition in match.left_out)
