"""`cva train`: learn from the past, and let the model score only if it beats the rules."""

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

Deploy = Annotated[
    bool, typer.Option("--deploy/--no-deploy", help="Let a better model score from now on.")
]
Withdraw = Annotated[
    bool,
    typer.Option("--withdraw", help="Where a rule does as well, let no trained model score."),
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
    is_to_deploy: Deploy = True,
    is_to_withdraw: Withdraw = False,
    as_json: Json = False,
) -> None:
    """Train the value model on past dates and deploy it if it beats the rules.

    Nothing after --as-of is learned from. Where a rule does as well, the history is too short, or
    what is deployed was trained as of a later date, that goes on scoring, and this says so. Models
    of other kinds are trained after it.
    """
    from cva_sql.cli.shop.lock import exclusive

    wish = Wish(is_to_deploy, is_to_withdraw)
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
