"""`cva alerts`: who is leaving, what was done about it, and handing it on."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from cva_sql.cli.alerts.api import LIVE, Noted, State
from cva_sql.cli.shop.options import Json, ModelsDir, ProjectDir, ShopDb, WorkDir
from cva_sql.cli.shop.progress import count_of, say
from cva_sql.cli.shop.resolver import Need, open_shop
from cva_sql.cli.shop.shop import ResolvedShop

alerts = typer.Typer(
    name="alerts",
    help="Customers who are leaving: list them, say what was done, hand them on.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Named = Annotated[
    list[str],
    typer.Argument(help="As `cva alerts list` shows them, or their customers.", metavar="ALERT…"),
]
By = Annotated[str | None, typer.Option("--by", help="Who says so.")]
Note = Annotated[str | None, typer.Option("--note", help="What there is to say about it.")]


@alerts.command("list")
def list_command(
    states: Annotated[
        list[State] | None,
        typer.Option(
            "--state", help="Those in this state. Default: new, open and acted. Can be repeated."
        ),
    ] = None,
    db: ShopDb = None,
    project: ProjectDir = None,
    as_json: Json = False,
) -> None:
    """List the alerts, those with most money at stake first."""
    from cva_sql.cli.alerts.api import list_alerts

    shop = open_shop(db, project=project, need=Need.DATABASE)
    found = list_alerts(shop, tuple(states or LIVE))
    if as_json:
        print(json.dumps(found, default=str, indent=2))
        return
    for alert in found:
        owner = f"  {alert['owner']}" if alert["owner"] else ""
        print(
            f"{alert['state']:<9}{alert['money_at_stake']:>12,.2f}  {alert['alert_id']}"
            f"  {alert['action']}{owner}\n{'':23}{alert['reason']}"
        )
    say(count_of(len(found), "alert"))


@alerts.command("ack")
def ack(
    named: Named,
    by: By = None,
    note: Note = None,
    db: ShopDb = None,
    project: ProjectDir = None,
    models_dir: ModelsDir = None,
    work_dir: WorkDir = None,
) -> None:
    """Say that somebody acts on these alerts; the next run has them as acted."""
    from cva_sql.cli.alerts.api import ack_alerts
    from cva_sql.cli.shop.lock import exclusive

    shop = _opened(db, project, models_dir, work_dir)
    with exclusive(shop):
        _say_noted(ack_alerts(shop, named, by=by, note=note))


@alerts.command("resolve")
def resolve(
    named: Named,
    by: By = None,
    note: Note = None,
    db: ShopDb = None,
    project: ProjectDir = None,
    models_dir: ModelsDir = None,
    work_dir: WorkDir = None,
) -> None:
    """Say that these alerts are settled; the next run has them as resolved."""
    from cva_sql.cli.alerts.api import resolve_alerts
    from cva_sql.cli.shop.lock import exclusive

    shop = _opened(db, project, models_dir, work_dir)
    with exclusive(shop):
        _say_noted(resolve_alerts(shop, named, by=by, note=note))


@alerts.command("send")
def send(
    to: Annotated[
        str, typer.Option("--to", help="An https URL, a file to add lines of JSON to, or stdout.")
    ],
    db: ShopDb = None,
    project: ProjectDir = None,
    models_dir: ModelsDir = None,
    work_dir: WorkDir = None,
) -> None:
    """Hand on the new and open alerts, each once; marketing with the customer's consent alone.

    The one command that reaches a network, and only where --to is a URL. A body is signed with the
    secret in CVA_WEBHOOK_SECRET.
    """
    from cva_sql.cli.alerts.destinations import STDOUT, parse_destination
    from cva_sql.cli.alerts.sending import send_alerts
    from cva_sql.cli.shop.lock import exclusive

    destination = parse_destination(to)
    shop = _opened(db, project, models_dir, work_dir)
    with exclusive(shop):
        handed = send_alerts(shop, destination, say)
    tell = say if to == STDOUT else print
    tell(f"sent {count_of(handed.sent, 'alert')} to {handed.destination}")
    if handed.withheld:
        tell(f"withheld: {handed.withheld:,}, whose action is marketing without consent to it")
    if handed.before:
        tell(f"not again: {handed.before:,} that went there before")


def _opened(db: ShopDb, project: ProjectDir, models_dir: ModelsDir, work: WorkDir) -> ResolvedShop:
    return open_shop(db, project=project, models_dir=models_dir, work_dir=work, need=Need.DATABASE)


def _say_noted(noted: Noted) -> None:
    for alert_id in noted.alert_ids:
        print(f"{noted.event}: {alert_id}")
    for alert_id in noted.already:
        print(f"{noted.event} already: {alert_id}")
