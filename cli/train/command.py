"""`cva train`: learn from the past, and let the model score only if it beats the rules."""

from __future__ import annotations

import json

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
)
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.cli.train.report import describe
from cva_sql.cli.train.training import train_shop


def train(
    db: ShopDb = None,
    project: ProjectDir = None,
    as_of: AsOf = None,
    horizon_days: HorizonDays = None,
    status_counts: StatusCounts = None,
    status_cancelled: StatusCancelled = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    as_json: Json = False,
) -> None:
    """Train the value model on past dates and deploy it if it beats the rules.

    Nothing after --as-of is learned from. Where a rule does as well, or the history is too short,
    the rule goes on scoring, and this says so. Models of other kinds are trained after it.
    """
    from cva_sql.cli.shop.lock import exclusive

    shop = open_shop(
        db,
        as_of=as_of,
        horizon_days=horizon_days,
        status_counts=status_counts,
        status_cancelled=status_cancelled,
        variables=variables,
        models_dir=models_dir,
        project=project,
    )
    with exclusive(shop):
        trained = train_shop(shop)
    if as_json:
        from cva_sql.udfs.manifest import plain

        print(json.dumps(plain(trained.to_dict()), indent=2))
        return
    print(describe(trained, shop))
