"""`cva train`: learn from the past, and let score what won forward in time."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from cva_sql.cli.shop.options import (
    AsOf,
    HorizonDays,
    Json,
    ModelsDir,
    ProjectDir,
    ShopDb,
    StatusCancelled,
    StatusCounts,
    Vars,
    WorkDir,
)
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.cli.train.deployment import Wish
from cva_sql.cli.train.report import describe
from cva_sql.cli.train.training import train_shop

Candidate = Annotated[
    str | None,
    typer.Option(
        "--deploy",
        metavar="NAME",
        help="Let this score, whatever won: ensemble, a member, a rule or an added model.",
    ),
]
NoDeploy = Annotated[bool, typer.Option("--no-deploy", help="Leave what is deployed.")]
Withdraw = Annotated[
    bool,
    typer.Option("--withdraw", help="Where nothing could be judged, let no trained model score."),
]


def train(
    db: ShopDb = None,
    project: ProjectDir = None,
    as_of: AsOf = None,
    horizon_days: HorizonDays = None,
    status_counts: StatusCounts = None,
    status_cancelled: StatusCancelled = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    work_dir: WorkDir = None,
    candidate: Candidate = None,
    is_to_keep: NoDeploy = False,
    is_to_withdraw: Withdraw = False,
    as_json: Json = False,
) -> None:
    """Train the value model on past dates and deploy what won forward in time, be it a rule.

    Nothing after --as-of is learned from. Where the history is too short, or what is deployed was
    trained as of a later date, that goes on scoring, and this says so. Models of other kinds are
    trained after it.
    """
    from cva_sql.cli.shop.lock import exclusive

    wish = Wish(not is_to_keep, is_to_withdraw, candidate)
    shop = open_shop(
        db,
        as_of=as_of,
        horizon_days=horizon_days,
        status_counts=status_counts,
        status_cancelled=status_cancelled,
        variables=variables,
        models_dir=models_dir,
        work_dir=work_dir,
        project=project,
    )
    with exclusive(shop):
        trained = train_shop(shop, wish)
    if as_json:
        from cva_sql.udfs.manifest import plain

        print(json.dumps(plain(trained.to_dict()), indent=2))
        return
    print(describe(trained, shop))
