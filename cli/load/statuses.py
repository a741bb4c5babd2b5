"""What the statuses of loaded orders mean: said, asked, or settled by the options."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cva_sql.cli.load.rows import READ
from cva_sql.cli.shop.package import macro_value, status_meaning, statuses_line
from cva_sql.cli.shop.sql_text import column_names
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

COUNTS, CANCELLED = "--status-counts", "--status-cancelled"
# What is stored instead of a word that an option settles, so that no later command has to ask.
STORED = {COUNTS: "paid", CANCELLED: "cancelled"}


def settle_statuses(
    con: DuckDBPyConnection,
    table: str,
    noun: str,
    counts: Sequence[str] = (),
    cancelled: Sequence[str] = (),
) -> tuple[str, ...]:
    """What is to be said of the statuses of READ; those that the options name are replaced there.

    `noun` is what the rows are. Raises UsageError where some may not be paid and no option says
    whether they count.
    """
    check_options(counts, cancelled)
    is_there = table == "orders" and "status" in column_names(con, f"from {READ}")
    if not is_there:
        if counts or cancelled:
            option = COUNTS if counts else CANCELLED
            raise UsageError(f"{option} needs orders with a status; map it: --column status=…")
        return ()
    meaning = status_meaning("status", counts, cancelled)
    rows = con.execute(
        f"select status, count(*), sum(amount), {meaning} as meaning from {READ} "
        "group by status order by count(*) desc, status"
    ).fetchall()
    asked, unknown = ([row[:3] for row in rows if row[3] == kind] for kind in ("asked", "unknown"))
    if asked:
        words = " ".join(f"{CANCELLED} {shlex.quote(row[0])}" for row in asked)
        raise UsageError(statuses_line("asked", asked, f"{words}, or {COUNTS} for each", noun))
    said = _store(con, rows, COUNTS, counts, noun) + _store(con, rows, CANCELLED, cancelled, noun)
    if unknown:
        advice = f"{CANCELLED} {shlex.quote(unknown[0][0])}"
        said.append(statuses_line("unknown", unknown, advice, noun))
    return tuple(said)


def check_options(counts: Sequence[str], cancelled: Sequence[str]) -> None:
    """Raises UsageError where a status is said to count and not to."""
    for word in {as_word(one) for one in counts} & {as_word(one) for one in cancelled}:
        raise UsageError(f"status {word!r} is in {COUNTS} and in {CANCELLED}; give it once")


def as_word(status: str) -> str:
    """A status as the lists of words have it."""
    return status.strip().lower().replace("_", " ").replace("-", " ")


def _store(
    con: DuckDBPyConnection,
    rows: Sequence[tuple[Any, ...]],
    option: str,
    given: Sequence[str],
    noun: str,
) -> list[str]:
    """Replaces the words that the option names in READ; what is to be said of it."""
    wanted = {as_word(word) for word in given}
    chosen = [row[:3] for row in rows if row[0] is not None and as_word(row[0]) in wanted]
    if not chosen:
        return []
    statuses = [row[0] for row in chosen]
    con.execute(
        f"update {READ} set status = ? where status in (select unnest(?::varchar[]))",
        [STORED[option], statuses],
    )
    named = macro_value("order_statuses.sql", "statuses_named", chosen, noun)
    return [f"stored as {STORED[option]}, by {option}: {named}"]
