"""`cva score`: fills the table of scores without dbt calling Python."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from cva_sql.cli.score.filling import TABLE, check_projection, fill_table
from cva_sql.cli.shop.options import Json, ModelsDir, ProjectDir, ShopDb, Vars, WorkDir
from cva_sql.cli.shop.resolver import Need, open_shop
from cva_sql.udfs.errors import UsageError


def score(
    db: ShopDb = None,
    project: ProjectDir = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    work_dir: WorkDir = None,
    table: Annotated[
        str | None,
        typer.Option("--table", help="Print this table or file with its scores instead."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="With --table: the model's name. Default: the table's."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Score customer_features with the deployed model, for dbt without Python.

    Writes the same table as the dbt model that calls cva_predict; build the rest with
    `dbt run --vars '{cva_udfs: false}'`. With --table, prints a table or file as CSV, with the
    predictions of a model that cva train --table made.
    """
    if table is not None:
        from cva_sql.cli.score.own_table import print_scores

        shop = open_shop(
            db, project=project, models_dir=models_dir, work_dir=work_dir, need=Need.NOTHING
        )
        print_scores(shop, table, name, as_json=as_json)
        return
    if name is not None:
        raise UsageError("--name needs --table")
    from cva_sql.cli.shop.model_store import note_deployed, require_target
    from cva_sql.udfs.sessions import deployed_folder, load_model

    shop = open_shop(
        db, variables=variables, models_dir=models_dir, work_dir=work_dir, project=project
    )
    require_target(shop)
    model = load_model(deployed_folder(shop.models_dir))
    target, rows = fill_table(shop, TABLE, "cva_predict", before=check_projection)
    note_deployed(shop, "score")
    result = {"rows": rows, "model_version": model.manifest.version, "table": target}
    print(
        json.dumps(result, indent=2)
        if as_json
        else f"{target}: {rows:,} rows, {model.manifest.version}"
    )
