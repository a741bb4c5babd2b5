"""`shop.alerts`: who is leaving, what was done about it, and handing it on."""

from __future__ import annotations

from collections.abc import Iterable
from os import fspath
from typing import TYPE_CHECKING, Any

from cva_sql.access import AnyPath, reading, texts_of, writing

if TYPE_CHECKING:
    from cva_sql.cli.alerts.api import Noted
    from cva_sql.cli.alerts.sending import Handed
    from cva_sql.cli.shop.shop import ResolvedShop

Rows = list[dict[str, Any]]  # in the class `list` is a call of ours


class Alerts:
    """The alerts of a shop, as the last `run` and the notes since have them.

    Each call raises CvaError where no run has made the table `churn_alerts`.
    """

    def __init__(self, shop: ResolvedShop) -> None:
        self._shop = shop

    def list(self, states: str | Iterable[str] | None = None) -> Rows:
        """The alerts, those with most money at stake first: a dict of each row of churn_alerts.

        `states`: new, open, acted, resolved, expired; by default new, open and acted. Money is in
        the shop's currency, `churn_probability` from 0 to 1, dates are datetime.date. None: `owner`
        of an action that nobody has, `has_marketing_consent` where it is not known. Raises
        UsageError for another state.
        """
        from cva_sql.cli.alerts.api import LIVE, list_alerts

        return list_alerts(reading(self._shop), LIVE if states is None else texts_of(states))

    def ack(
        self, alerts: str | Iterable[str], *, by: str | None = None, note: str | None = None
    ) -> Noted:
        """Notes that somebody acts on these alerts, all or none; the next run has them as acted.

        `alerts` are values of `alert_id`, or of `customer_id` for their latest alert. In `already`
        are those with such a note before, which get no second one. Raises UsageError for one that
        is not there, or is over.
        """
        from cva_sql.cli.alerts.api import ack_alerts

        named = texts_of(alerts)
        return writing(
            self._shop, lambda shop: ack_alerts(shop, named, by=by, note=note), needs_orders=False
        )

    def resolve(
        self, alerts: str | Iterable[str], *, by: str | None = None, note: str | None = None
    ) -> Noted:
        """Notes that these alerts are settled, else as `ack`; the next run has them as resolved."""
        from cva_sql.cli.alerts.api import resolve_alerts

        named = texts_of(alerts)
        return writing(
            self._shop,
            lambda shop: resolve_alerts(shop, named, by=by, note=note),
            needs_orders=False,
        )

    def send(self, to: AnyPath) -> Handed:
        """Hands on the new and open alerts, each once, and counts them.

        `to` is an https URL, a file to add lines of JSON to, or "stdout". The one call that reaches
        a network, and only for a URL; the body is signed with the environment's CVA_WEBHOOK_SECRET.
        `withheld` are marketing without consent, `before` went there in an earlier call. Raises
        CvaError where the receiver fails: what it took is noted, and the next call goes on there.
        """
        from cva_sql.cli.alerts.destinations import parse_destination
        from cva_sql.cli.alerts.sending import send_alerts
        from cva_sql.cli.shop.progress import say

        destination = parse_destination(fspath(to))
        return writing(
            self._shop, lambda shop: send_alerts(shop, destination, say), needs_orders=False
        )
