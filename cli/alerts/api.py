"""Reads the alerts of a shop, and notes what people did about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.connection import connect, find_relation, reason_of
from cva_sql.cli.shop.expressions import shortened
from cva_sql.cli.shop.history import Entry, recording
from cva_sql.cli.shop.sql_text import quoted
from cva_sql.cli.shop.tables import make_table
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.shop.shop import ResolvedShop

ALERTS = "churn_alerts"
NOTES = "cva_alert_acks"  # append-only; dbt's model of the alerts reads it
NOTE_COLUMNS = {  # name -> (type, comment)
    "noted_at": ("timestamp", "when it was noted, UTC"),
    "alert_id": ("varchar", "the alert"),
    "event": ("varchar", "acted, resolved or sent"),
    "noted_by": ("varchar", "who said so"),
    "note": ("varchar", "what they said"),
    "destination": ("varchar", "where it was sent to; of a URL the host and a hash"),
}


class State(StrEnum):
    """Where an alert stands."""

    NEW = "new"
    OPEN = "open"
    ACTED = "acted"
    RESOLVED = "resolved"
    EXPIRED = "expired"


class Event(StrEnum):
    """What is noted of an alert."""

    ACTED = "acted"
    RESOLVED = "resolved"
    SENT = "sent"


LIVE = (State.NEW, State.OPEN, State.ACTED)


@dataclass(frozen=True)
class Noted:
    """What was noted of which alerts; `already` had the same note before."""

    event: str
    alert_ids: tuple[str, ...]
    already: tuple[str, ...]


def list_alerts(shop: ResolvedShop, states: Sequence[str] = LIVE) -> list[dict[str, Any]]:
    """The alerts in these states, those with most at stake first; notes since the last run count.

    Raises UsageError for another state, and CvaError where no run has made the table yet.
    """
    for state in states:
        if state not in tuple(State):
            raise UsageError(f"--state is {state!r}; expected {' or '.join(State)}")
    with opened(shop, read_only=True) as con:
        return read_alerts(shop, con, states)


def read_alerts(
    shop: ResolvedShop, con: DuckDBPyConnection, states: Sequence[str]
) -> list[dict[str, Any]]:
    """The same from an open connection."""
    notes = _relation(shop, NOTES)
    if find_relation(con, shop.schema, NOTES) is None:
        notes = "(select null::varchar as alert_id, null::varchar as event where false)"
    found = con.execute(
        f"""
        with noted as (
            select alert_id, bool_or(event = 'acted') as is_acted,
                bool_or(event = 'resolved') as is_resolved
            from {notes} group by alert_id
        )
        select * from (
            select alerts.* replace (
                case when alerts.state in ('resolved', 'expired') then alerts.state
                    when noted.is_resolved then 'resolved'
                    when noted.is_acted then 'acted'
                    else alerts.state end as state
            )
            from {_relation(shop, ALERTS)} as alerts left join noted using (alert_id)
        )
        where list_contains(?, state) order by money_at_stake desc, alert_id
        """,
        [[str(state) for state in states]],
    )
    names = [column[0] for column in found.description or []]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


@recording("alerts ack", lambda noted: Entry(rows=len(noted.alert_ids)))
def ack_alerts(
    shop: ResolvedShop, named: Sequence[str], *, by: str | None = None, note: str | None = None
) -> Noted:
    """Notes that somebody acts on these alerts."""
    return _note(shop, Event.ACTED, named, by, note)


@recording("alerts resolve", lambda noted: Entry(rows=len(noted.alert_ids)))
def resolve_alerts(
    shop: ResolvedShop, named: Sequence[str], *, by: str | None = None, note: str | None = None
) -> Noted:
    """Notes that these alerts are settled."""
    return _note(shop, Event.RESOLVED, named, by, note)


def _note(
    shop: ResolvedShop, event: Event, named: Sequence[str], by: str | None, note: str | None
) -> Noted:
    """All of them or none; `named` are alert ids, or customers who have one that is not over."""
    with opened(shop) as con:
        alerts = read_alerts(shop, con, tuple(State))
        found = dict.fromkeys(_find(shop, alerts, name) for name in named)
        had = noted_before(shop, con, event)
        new = [alert_id for alert_id in found if alert_id not in had]
        add_notes(shop, con, event, new, by=by, note=note)
    return Noted(str(event), tuple(new), tuple(one for one in found if one in had))


def _find(shop: ResolvedShop, alerts: Sequence[dict[str, Any]], name: str) -> str:
    """The id of the alert that a person means; one may be noted again that is noted already."""
    own = [alert for alert in alerts if name in (alert["alert_id"], alert["customer_id"])]
    own.sort(key=lambda alert: (alert["alert_id"] == name, alert["last_order_date"]))
    if not own:
        raise UsageError(
            f"there is no alert {shortened(name)!r}; expected an alert_id or a customer_id of:"
            f" {shop.command('alerts list')}"
        )
    alert = own[-1]
    if alert["state"] == State.EXPIRED or alert["has_bought"]:
        raise UsageError(
            f"{alert['alert_id']} is {alert['state']}; expected one that is not over, of:"
            f" {shop.command('alerts list')}"
        )
    return str(alert["alert_id"])


def noted_before(
    shop: ResolvedShop, con: DuckDBPyConnection, event: Event, destination: str | None = None
) -> set[str]:
    """The alerts that have such a note, of what was sent for one destination."""
    if find_relation(con, shop.schema, NOTES) is None:
        return set()
    rows = con.execute(
        f"select distinct alert_id from {_relation(shop, NOTES)}"
        " where event = ? and destination is not distinct from ?",
        [str(event), destination],
    ).fetchall()
    return {alert_id for (alert_id,) in rows}


def add_notes(
    shop: ResolvedShop,
    con: DuckDBPyConnection,
    event: Event,
    alert_ids: Sequence[str],
    *,
    by: str | None = None,
    note: str | None = None,
    destination: str | None = None,
) -> None:
    """Appends a row for each alert, all of them or none; makes the table where there is none."""
    if not alert_ids:
        return
    table, now = _relation(shop, NOTES), datetime.now(UTC).replace(tzinfo=None)
    con.begin()
    if find_relation(con, shop.schema, NOTES) is None:
        make_table(con, table, NOTE_COLUMNS)
    for alert_id in alert_ids:
        con.execute(
            f"insert into {table} (noted_at, alert_id, event, noted_by, note, destination)"
            " values (?, ?, ?, ?, ?, ?)",
            [now, alert_id, str(event), by, note, destination],
        ).fetchall()
    con.commit()


@contextmanager
def opened(shop: ResolvedShop, *, read_only: bool = False) -> Iterator[DuckDBPyConnection]:
    """A connection to a shop that has alerts; raises CvaError, in one line, where it has none."""
    import duckdb

    con = connect(shop.db, read_only=read_only)
    try:
        if find_relation(con, shop.schema, ALERTS) is None:
            raise CvaError(
                f"{shop.db} has no {shop.schema}.{ALERTS}; build it with: {shop.command('run')}"
            )
        yield con
    except duckdb.Error as error:
        raise CvaError(f"{shop.db}: {reason_of(error)}") from None
    finally:
        con.close()


def _relation(shop: ResolvedShop, name: str) -> str:
    return f"{quoted(shop.schema)}.{quoted(name)}"
