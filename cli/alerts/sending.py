"""Hands alerts on, each once: to a URL with a signed body, to a file, or to stdout."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from cva_sql.cli.alerts.api import (
    Event,
    State,
    add_notes,
    noted_before,
    opened,
    read_alerts,
)
from cva_sql.cli.shop.history import Entry, recording

if TYPE_CHECKING:
    from cva_sql.cli.alerts.destinations import Destination
    from cva_sql.cli.shop.shop import ResolvedShop

# What an alert said when it was raised: the same in each try, as its key is.
SENT = (
    "alert_id", "customer_id", "last_order_date", "raised_on", "horizon_days", "usual_value",
    "predicted_value", "churn_probability", "money_at_stake", "days_since_last_order",
    "gap_mean_days", "reason", "action", "is_marketing", "owner",
)  # fmt: skip


@dataclass(frozen=True)
class Handed:
    """How many alerts went where; `withheld` are marketing without consent, `before` went then."""

    destination: str
    sent: int
    withheld: int
    before: int


@recording("alerts send", lambda handed: Entry(rows=handed.sent))
def send_alerts(
    shop: ResolvedShop, destination: Destination, report: Callable[[str], None]
) -> Handed:
    """Hands on the new and open alerts that this destination has not had.

    One whose action is marketing goes with the customer's consent alone. Each is noted as soon as
    it was taken: after a failure or a kill the next call goes on there, and the one in between
    comes once more with the same key and body. Raises CvaError where the destination fails.
    """
    with opened(shop) as con:
        alerts = read_alerts(shop, con, (State.NEW, State.OPEN))
        had = noted_before(shop, con, Event.SENT, destination.name)
    left = [alert for alert in alerts if alert["alert_id"] not in had]
    allowed = [alert for alert in left if is_allowed(alert)]
    for place, alert in enumerate(allowed):
        key = idempotency_key(alert["alert_id"])
        destination.deliver(key, body_of(alert, key))
        with opened(shop) as con:
            add_notes(shop, con, Event.SENT, [alert["alert_id"]], destination=destination.name)
        if (place + 1) % 100 == 0:
            report(f"  {place + 1:,} of {len(allowed):,}")
    return Handed(destination.name, len(allowed), len(left) - len(allowed), len(alerts) - len(left))


def is_allowed(alert: Mapping[str, Any]) -> bool:
    """Whether the alert may be handed on: unknown is no consent, and no word on it is marketing."""
    return alert["is_marketing"] is False or alert["has_marketing_consent"] is True


def idempotency_key(alert_id: str) -> str:
    """What a receiver knows an alert by, however often it comes."""
    return sha256(alert_id.encode()).hexdigest()[:32]


def body_of(alert: Mapping[str, Any], key: str) -> bytes:
    """An alert as one line of JSON, without its end."""
    said = {"idempotency_key": key, **{name: alert[name] for name in SENT}}
    return json.dumps(said, default=str, ensure_ascii=False).encode()
