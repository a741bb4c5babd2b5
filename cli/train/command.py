"""`cva train`: learn from the past, and let score what won forward in time."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
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
from cva_sql.cli.shop.resolver import Need, open_shop
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train.deployment import Wish
from cva_sql.cli.train.own_table import Wanted, train_table
from cva_sql.cli.train.own_table import describe as describe_table
from cva_sql.cli.train.report import describe
from cva_sql.cli.train.training import train_shop
from cva_sql.udfs.errors import UsageError

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
IfNeeded = Annotated[
    bool,
    typer.Option(
        "--if-needed",
        help="Only where drift or what came says so, or the model is older than cva_retrain_days.",
    ),
]

Params = Annotated[
    str | None,
    typer.Option(
        "--params",
        metavar="FILE",
        help="Settings of members from a YAML file; show prints all with their defaults.",
    ),
]
Tune = Annotated[
    float | None,
    typer.Option(
        "--tune",
        metavar="MINUTES",
        min=0.01,
        help="Look so long for better settings, on dates before those that decide.",
    ),
]
Board = Annotated[
    Path | None,
    typer.Option("--tensorboard", help="Add the curves of the training to this folder."),
]

TableOf = Annotated[
    str | None,
    typer.Option("--table", help="Learn from this table or CSV or Parquet file, without orders."),
]
KeyOf = Annotated[str | None, typer.Option("--key", help="With --table: the column of the id.")]
TargetOf = Annotated[
    str | None, typer.Option("--target", help="With --table: the column to predict.")
]
TimeOf = Annotated[
    str | None, typer.Option("--time", help="With --table: test on the later rows by this column.")
]
NameOf = Annotated[
    str | None,
    typer.Option("--name", help="With --table: the model is cva_predict_<name>."),
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
    is_if_needed: IfNeeded = False,
    params: Params = None,
    tune: Tune = None,
    tensorboard: Board = None,
    table: TableOf = None,
    key: KeyOf = None,
    target: TargetOf = None,
    time: TimeOf = None,
    name: NameOf = None,
    as_json: Json = False,
) -> None:
    """Train the value model on past dates and deploy what won forward in time, be it a rule.

    Nothing after --as-of is learned from. Where the history is too short, or what is deployed was
    trained as of a later date, that goes on scoring, and this says so. Models of other kinds are
    trained after it. With --table, --key and --target any column of a table of customers is
    learned instead, and scored in SQL by cva_predict_<name>.
    """
    from cva_sql.cli.shop.lock import exclusive, locked
    from cva_sql.cli.train.settings import SHOW, show_params, with_params

    if params == SHOW:
        print(show_params())
        return
    if (table, key, target, time, name) != (None,) * 5:
        if table is None or key is None or target is None:
            raise UsageError(
                "--table needs --key and --target, e.g. --table f.csv --key user_id --target value"
            )
        if (params, tune, tensorboard) != (None,) * 3:
            raise UsageError("--table takes no --params, --tune or --tensorboard; leave them out")
        shop = open_shop(
            db, project=project, models_dir=models_dir, work_dir=work_dir, need=Need.NOTHING
        )
        with locked(shop.db):  # without a mark: a file of customers is no shop
            learned = train_table(shop, Wanted(table, key, target, time, name))
        if as_json:
            from cva_sql.udfs.manifest import plain

            print(json.dumps(plain(learned.to_dict()), indent=2))
            return
        print(describe_table(learned))
        return
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
    shop = with_params(shop, params)
    if is_if_needed and not _is_needed(shop, as_json=as_json):
        return
    with exclusive(shop):
        trained = train_shop(shop, wish, tune_minutes=tune, tensorboard=tensorboard)
    if as_json:
        from cva_sql.udfs.manifest import plain

        print(json.dumps(plain(trained.to_dict()), indent=2))
        return
    print(describe(trained, shop))


def _is_needed(shop: ResolvedShop, *, as_json: bool) -> bool:
    """Whether to train, which is said: to stdout where that is the result."""
    from cva_sql.cli.shop.progress import say
    from cva_sql.cli.train.needed import needs_training

    need = needs_training(shop)
    if need.is_needed:
        say(f"training is needed: {need.reason}")
    else:
        print(json.dumps(asdict(need)) if as_json else f"training is not needed: {need.reason}")
    return need.is_needed
