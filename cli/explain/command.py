"""`cva explain`: why a customer's score is what it is, and what a changed feature makes of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from cva_sql.cli.explain.explanation import explain_customer, fill_explanations, parse_changes
from cva_sql.cli.shop.options import Json, ModelsDir, ProjectDir, ShopDb, Vars, WorkDir
from cva_sql.cli.shop.resolver import Need, open_shop
from cva_sql.udfs.errors import UsageError


def explain(
    customer: Annotated[
        str | None,
        typer.Argument(
            help="A customer_id. Without it: fills the table of explanations for all of them.",
            show_default=False,
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Also predict with a feature changed: NAME=+1, NAME=-1, NAME=*1.5, NAME=3, "
            "NAME=null. Can be given several times.",
        ),
    ] = None,
    members: Annotated[
        bool,
        typer.Option(
            "--members",
            help="Also show what each member of the ensemble predicts, its weight and its pull.",
        ),
    ] = False,
    db: ShopDb = None,
    project: ProjectDir = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    work_dir: WorkDir = None,
    as_json: Json = False,
) -> None:
    """Show a customer's score, its interval and its reasons in money, and what a change would do.

    Attributions say what the model looked at; they are not causes. Without a customer it writes the
    same table as the dbt model that calls cva_explain; build the rest with
    `dbt run --vars '{cva_udfs: false}'`.
    """
    shop = open_shop(
        db,
        variables=variables,
        models_dir=models_dir,
        work_dir=work_dir,
        project=project,
        need=Need.ORDERS if customer is None else Need.DATABASE,
    )
    if customer is None:
        if changes:
            raise UsageError("--set needs a customer; for many see cva_scenario in docs/explain.md")
        if members:
            raise UsageError("--members needs a customer: cva explain CUSTOMER --members")
        fill_explanations(shop, as_json=as_json)
        return
    from cva_sql.cli.explain.report import describe

    explained = explain_customer(shop, customer, parse_changes(changes or []), members=members)
    print(json.dumps(asdict(explained), indent=2) if as_json else describe(explained))
