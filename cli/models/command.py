"""`cva models`: what is there to score and to read with, and what is known of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cva_sql.cli.models.choosing import Strategy, choose_version
from cva_sql.cli.models.deploying import deploy_version, sound_model
from cva_sql.cli.models.inventory import (
    ENCODER,
    RULE,
    chosen_model,
    encoder_details,
    encoder_summary,
    model_details,
    other_models,
    value_models,
)
from cva_sql.cli.models.report import describe_details, models_table, size_text
from cva_sql.cli.shop.options import (
    HorizonDays,
    Json,
    ModelsDir,
    ProjectDir,
    ShopDb,
    Vars,
    WorkDir,
)
from cva_sql.cli.shop.resolver import Need, open_shop, parse_date
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.errors import UsageError

models = typer.Typer(
    name="models",
    help="The trained models, the packaged rule and the text encoder.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@models.command("list")
def list_models(
    db: ShopDb = None,
    project: ProjectDir = None,
    models_dir: ModelsDir = None,
    as_json: Json = False,
) -> None:
    """List the trained models, the packaged rule and the encoder; * marks what scores."""
    shop = open_shop(db, project=project, models_dir=models_dir, need=Need.NOTHING)
    folder = shop.models_dir
    found = value_models(folder)
    encoder = encoder_summary(folder, shop.encoder_tier)
    others = other_models(folder)
    if as_json:
        listed = {"value": found, **others}
        models = {kind: [asdict(model) for model in of_kind] for kind, of_kind in listed.items()}
        print(json.dumps({**models, "encoder": encoder}))
        return
    print("\n".join(models_table([*found, *(m for models in others.values() for m in models)])))
    print(
        f"* {'encoder ' + encoder['key']:<30}{encoder['name']}, {encoder['dimension']} numbers a "
        f"text, {size_text(encoder['bytes'])}, {'own' if encoder['is_own'] else 'packaged'}"
    )


@models.command("info")
def info(
    version: Annotated[
        str | None,
        typer.Argument(
            help="A version that `cva models list` shows, or encoder. Default: what scores.",
            show_default=False,
        ),
    ] = None,
    db: ShopDb = None,
    project: ProjectDir = None,
    models_dir: ModelsDir = None,
    as_json: Json = False,
) -> None:
    """Show what is known of a model, and check that its file is the one that was evaluated."""
    shop = open_shop(db, project=project, models_dir=models_dir, need=Need.NOTHING)
    if version == ENCODER:
        details, problem = encoder_details(shop.models_dir, shop.encoder_tier)
    else:
        details, problem = model_details(chosen_model(shop.models_dir, version))
    if as_json:
        print(json.dumps(details))
    else:
        print("\n".join(describe_details(details)))
    if problem is not None:
        raise problem


@models.command("add")
def add(
    file: Annotated[Path, typer.Argument(help="An ONNX file: skl2onnx, onnxmltools and the like.")],
    name: Annotated[str, typer.Option("--name", help="What to call it.")],
    trained_until: Annotated[
        str, typer.Option("--trained-until", help="What it learned from ends before this date.")
    ],
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--inputs",
            help="A yml file: features in the order of the one matrix, or input: feature.",
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", help="Which output is the value, of several.")
    ] = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="In the place of the model of that name, which is kept."),
    ] = False,
    deploy: Annotated[
        bool, typer.Option("--deploy", help="Let it score from the next run on.")
    ] = False,
    db: ShopDb = None,
    project: ProjectDir = None,
    horizon_days: HorizonDays = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    work_dir: WorkDir = None,
    as_json: Json = False,
) -> None:
    """Add a value model made elsewhere: judged on dates it has not seen, explained like ours.

    It predicts what a customer spends in the horizon. What it does not say (probability, orders,
    interval, score) is made from this shop's data; the manifest says what comes from where.
    """
    from cva_sql.cli.models.report import describe_added
    from cva_sql.cli.shop.lock import exclusive
    from cva_sql.cli.train.adding import Request, add_model

    until = parse_date(trained_until, "--trained-until")
    request = Request(file, name, until, inputs, output, replace, deploy)
    shop = open_shop(
        db,
        horizon_days=horizon_days,
        variables=variables,
        models_dir=models_dir,
        work_dir=work_dir,
        project=project,
    )
    with exclusive(shop):
        found = add_model(shop, request)
    if as_json:
        from cva_sql.udfs.manifest import plain

        print(json.dumps(plain(asdict(found)), indent=2))
        return
    print(describe_added(found, name, shop))


@models.command("compare")
def compare(
    version: Annotated[
        str, typer.Argument(help="A version that `cva models list` shows, or rule.")
    ],
    other: Annotated[
        str | None,
        typer.Argument(help="What to hold it against. Default: what scores.", show_default=False),
    ] = None,
    db: ShopDb = None,
    project: ProjectDir = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    as_json: Json = False,
) -> None:
    """Show two models side by side, and what changes for today's customers if the first scores.

    Today's customers are those of customer_features, as the last run built it.
    """
    shop = open_shop(
        db, project=project, variables=variables, models_dir=models_dir, need=Need.NOTHING
    )
    print(_compared(shop, version, other, as_json=as_json))


def _compared(
    shop: ResolvedShop, version: str, other: str | None = None, *, as_json: bool = False
) -> str:
    from cva_sql.cli.models.comparison import compare_models
    from cva_sql.cli.models.report import describe_comparison

    found = compare_models(shop, version, other)
    return json.dumps(asdict(found), indent=2) if as_json else describe_comparison(found)


@models.command("deploy")
def deploy_model(
    version: Annotated[
        str | None,
        typer.Argument(
            help="A version that `cva models list` shows, the name of an added one, or rule.",
            show_default=False,
        ),
    ] = None,
    strategy: Annotated[
        Strategy | None,
        typer.Option(
            "--strategy",
            help="In place of VERSION: the one that was judged best, on the same dates as the "
            "newest, or the newest.",
            show_default=False,
        ),
    ] = None,
    is_dry: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and deploy nothing.")
    ] = False,
    db: ShopDb = None,
    project: ProjectDir = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    work_dir: WorkDir = None,
) -> None:
    """Let this model score from the next run on."""
    shop = open_shop(
        db,
        project=project,
        variables=variables,
        models_dir=models_dir,
        work_dir=work_dir,
        need=Need.NOTHING,
    )
    if (version is None) == (strategy is None):
        raise UsageError(
            f"VERSION is {version} and --strategy {strategy}; give one of them, e.g. "
            f"{shop.command('models deploy --strategy most_recent')}"
        )
    if version is None:
        assert strategy is not None
        version, why = choose_version(shop.models_dir, strategy)
        print(f"{version}: {why}")
    if is_dry:
        sound_model(shop, version)
        print(_compared(shop, version))
        print("nothing was deployed")
        return
    deploy_version(shop, version, strategy=strategy)


@models.command("rollback")
def rollback(
    kind: Annotated[str, typer.Argument(help="The kind of model.")] = "value",
    db: ShopDb = None,
    project: ProjectDir = None,
    models_dir: ModelsDir = None,
    work_dir: WorkDir = None,
) -> None:
    """Let the model score again that did before the deployed one."""
    from cva_sql.cli.shop.model_store import version_before

    shop = open_shop(
        db, project=project, models_dir=models_dir, work_dir=work_dir, need=Need.NOTHING
    )
    version = version_before(shop.models_dir, kind) or RULE
    deploy_version(shop, version, kind, command="models rollback")
