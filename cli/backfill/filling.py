"""Trains and scores as of past dates on a copy of a shop, and keeps what the models said."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.history import RUN_VARIABLE, Entry, recording, run_id_of
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from cva_sql.cli.shop.shop import ResolvedShop

TABLE = "int_cva__value_history"
ENDING = "-backfill"  # of the run_id: counts at once, and gives way to what a run says
MONTHS = {"month": 1, "quarter": 3}


class Step(StrEnum):
    """How far apart two dates are."""

    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"


@dataclass(frozen=True)
class Filled:
    """A date that was filled."""

    as_of: str
    customers: int
    model_version: str


@dataclass(frozen=True)
class Backfilled:
    """The dates that were filled, the first first, and those that were there."""

    dates: tuple[Filled, ...]
    kept: tuple[str, ...]


def _entry(found: Backfilled) -> Entry:
    newest = found.dates[-1] if found.dates else None
    return Entry(newest.as_of if newest else None, sum(day.customers for day in found.dates))


@recording("backfill", _entry)
def backfill_shop(
    shop: ResolvedShop, first: date, step: str, *, is_to_replace: bool = False
) -> Backfilled:
    """Fills the dates from `first` on, a step apart, before the one that a run looks from.

    The newest first, since each takes more away from the copy. A date is there wholly or not at
    all, so that after a kill the same command goes on. Raises UsageError for a wrong date or step.
    """
    from cva_sql.cli.check_features.check import copied
    from cva_sql.cli.shop.progress import step as said_step

    if step not in tuple(Step):
        raise UsageError(f"--step is {step!r}; expected {' or '.join(Step)}")
    with copied(shop) as copy:
        days = _dates(copy, first, step)
        there = _days_there(shop, is_backfill_kept=not is_to_replace)
        wanted = [day for day in days if day not in there]
        found = []
        for day in reversed(wanted):
            with said_step(f"as of {day}"):
                found.append(_fill(shop, copy, day))
    kept = tuple(day.isoformat() for day in days if day in there)
    return Backfilled(tuple(reversed(found)), kept)


def _dates(shop: ResolvedShop, first: date, step: str) -> list[date]:
    """The dates to fill; raises UsageError where `first` is none of them, or kept too short."""
    from cva_sql.cli.train.examples import read_history

    newest = replace(shop, vars={**shop.vars, "cva_as_of": None})
    history = read_history(newest, shop.schema)
    start, end = history.first_order, history.as_of
    if start is None or not start < first < end:
        raise UsageError(
            f"--from is {first}; expected a date after the first order ({start}) and before {end},"
            " the date that a run looks from"
        )
    kept = int(shop.var("cva_history_days"))
    if first < end - timedelta(days=kept):
        raise UsageError(
            f"--from is {first}, and the history keeps {kept} days; take a later date, or keep more"
            f" with: --vars '{{cva_history_days: {(end - first).days}}}', also in each cva run"
        )
    days, n = [first], 1
    while (day := _later(first, step, n)) < end:
        days.append(day)
        n += 1
    return days


def _later(first: date, step: str, n: int) -> date:
    """The date n steps later; the last of a month that is shorter than `first` asks for."""
    from calendar import monthrange

    if step == "week":
        return first + timedelta(weeks=n)
    month = first.month - 1 + n * MONTHS[step]
    year, month = first.year + month // 12, month % 12 + 1
    return date(year, month, min(first.day, monthrange(year, month)[1]))


def _days_there(shop: ResolvedShop, *, is_backfill_kept: bool) -> set[date]:
    """The dates that the history has: of runs, and of an earlier backfill unless it is redone."""
    from cva_sql.cli.shop.connection import connect, find_relation

    con = connect(shop.db, read_only=True)
    try:
        if find_relation(con, f"{shop.schema}_cva", TABLE) is None:
            return set()
        rows = con.execute(
            f"select distinct as_of_date from {shop.schema}_cva.{TABLE} "
            "where ? or not ends_with(run_id, ?)",
            [is_backfill_kept, ENDING],
        ).fetchall()
    finally:
        con.close()
    return {row[0] for row in rows}


def _fill(shop: ResolvedShop, copy: ResolvedShop, day: date) -> Filled:
    """Takes away what came later, trains, scores, and takes the rows over."""
    from cva_sql.cli.check_features.cut import cut_tables
    from cva_sql.cli.shop.dbt_runner import run_dbt
    from cva_sql.cli.train.training import train_shop

    # Of a past date nobody waits for service any more, so no sentence of theirs is read.
    then_vars = {**copy.vars, "cva_as_of": day.isoformat(), "cva_reads_service": False}
    variables: dict[str, Any] = {"cva_spine": "scoring", **then_vars}
    cut_tables(copy, day, variables)
    models = copy.db.parent / "models" / day.isoformat()
    then = replace(copy, models_dir=models, vars=then_vars)
    train_shop(then)
    run_id = run_id_of(datetime.now(UTC)) + ENDING
    run_dbt(
        then,
        "run",
        select=[f"+{TABLE}"],
        variables={"cva_udfs": True},
        environment={RUN_VARIABLE: run_id},
    )
    return _take_over(shop, copy.db, run_id, day)


def _take_over(shop: ResolvedShop, copy: Path, run_id: str, day: date) -> Filled:
    """Copies the rows of a run into the shop's history, in one transaction."""
    import duckdb

    from cva_sql.cli.shop.connection import connect, reason_of
    from cva_sql.cli.shop.sql_text import literal

    table = f"{shop.schema}_cva.{TABLE}"
    con = connect(shop.db)
    try:
        con.execute(f"attach {literal(str(copy))} as filled (read_only)").fetchall()
        con.execute("begin").fetchall()
        con.execute(f"create schema if not exists {shop.schema}_cva").fetchall()
        con.execute(f"create table if not exists {table} as from filled.{table} limit 0").fetchall()
        for name, kind in con.execute(  # of a history that an older version made
            f"select column_name, column_type from (describe filled.{table}) where column_name "
            f"not in (select column_name from (describe {table}))"
        ).fetchall():
            con.execute(f'alter table {table} add column "{name}" {kind}').fetchall()
        con.execute(
            f"delete from {table} where as_of_date = ? and ends_with(run_id, ?)", [day, ENDING]
        ).fetchall()
        con.execute(
            f"insert into {table} by name from filled.{table} where run_id = ?", [run_id]
        ).fetchall()
        con.execute("commit").fetchall()
        rows = con.execute(
            f"select count(*), max(model_version) from {table} where run_id = ?", [run_id]
        ).fetchall()
    except duckdb.Error as error:
        raise CvaError(f"{shop.db}: {table} cannot be written: {reason_of(error)}") from None
    finally:
        con.close()
    return Filled(day.isoformat(), *rows[0])
