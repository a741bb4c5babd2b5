"""`cva finetune`: teach the text encoder on the shop's own texts."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cva_sql.cli.finetune.deploying import deploy_encoder
from cva_sql.cli.finetune.report import describe, describe_deployed
from cva_sql.cli.finetune.settings import SHOW, Request, quiet_libraries
from cva_sql.cli.finetune.tuning import finetune_shop
from cva_sql.cli.shop.options import (
    AsOf,
    HorizonDays,
    Json,
    ModelsDir,
    ProjectDir,
    ShopDb,
    Vars,
    WorkDir,
)
from cva_sql.cli.shop.resolver import Need, open_shop

Method = Annotated[
    str | None,
    typer.Option("--method", help="lora, adalora, adapter or full. Default: lora."),
]
Objective = Annotated[
    str | None,
    typer.Option(
        "--objective",
        help="contrastive, mlm, rating, value, or several with weights: contrastive=1,rating=0.5. "
        "Default: contrastive.",
    ),
]
Steps = Annotated[int | None, typer.Option("--steps", help="Steps of a batch. Default: 600.")]
Minutes = Annotated[
    float | None, typer.Option("--minutes", help="The longest to learn for. Default: 30.")
]
Params = Annotated[
    str | None,
    typer.Option(
        "--params",
        metavar="FILE|K=V",
        help="Settings, as rank=16,seed=3 or a YAML file; show prints all with their defaults.",
    ),
]
Board = Annotated[
    Path | None, typer.Option("--tensorboard", help="Add the loss curves to this folder.")
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the one that was killed or out of minutes.")
]
Key = Annotated[
    str | None,
    typer.Option(
        "--deploy",
        metavar="KEY",
        help="Teach nothing: let this encoder read, one that is kept, or packaged.",
    ),
]
NoDeploy = Annotated[bool, typer.Option("--no-deploy", help="Leave the encoder that reads.")]


def finetune(
    db: ShopDb = None,
    project: ProjectDir = None,
    as_of: AsOf = None,
    horizon_days: HorizonDays = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    work_dir: WorkDir = None,
    method: Method = None,
    objective: Objective = None,
    steps: Steps = None,
    minutes: Minutes = None,
    params: Params = None,
    tensorboard: Board = None,
    resume: Resume = False,
    deploy: Key = None,
    is_to_keep: NoDeploy = False,
    as_json: Json = False,
) -> None:
    """Teach the text encoder on the shop's own texts, and let it read if it won on later ones.

    Learned from are texts of before the first date that `cva train` learns from. Another encoder
    reads all texts anew, once, and the value model has to be trained again. Needs the extra
    `encoder`, which brings torch.
    """
    from cva_sql.cli.shop.lock import exclusive

    if params == SHOW:
        from cva_sql.models_onnx.encoder.finetune.recipe import show_settings

        print(show_settings())
        return
    request = Request(
        method, objective, steps, minutes, params, tensorboard, resume, not is_to_keep
    )
    if deploy is not None:
        request.refuse_beside_deploy(as_of=as_of, horizon_days=horizon_days)
    shop = open_shop(
        db,
        as_of=as_of,
        horizon_days=horizon_days,
        variables=variables,
        models_dir=models_dir,
        work_dir=work_dir,
        project=project,
        need=Need.ORDERS,
    )
    quiet_libraries()
    with exclusive(shop):
        if deploy is not None:
            put = deploy_encoder(shop, deploy)
            print(json.dumps(asdict(put), indent=2) if as_json else describe_deployed(put, shop))
            return
        found = finetune_shop(shop, request)
    print(json.dumps(found.to_dict(), indent=2) if as_json else describe(found, shop))
