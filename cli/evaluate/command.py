"""`cva evaluate`: what the model would have said on past dates, beside the simple rules."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cva_sql.cli.evaluate.evaluation import (
    evaluate_shop,
    write_evaluation,
)
from cva_sql.cli.shop.options import HorizonDays, Json, ModelsDir, ProjectDir, ShopDb, Vars, WorkDir
from cva_sql.cli.shop.resolver import Need, open_shop, parse_date
from cva_sql.cli.train.command import Params
from cva_sql.cli.train.settings import with_params
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from cva_sql.models_onnx.value.judging.bootstrap import Metric


def evaluate(
    db: ShopDb = None,
    project: ProjectDir = None,
    as_of: Annotated[
        list[str] | None,
        typer.Option("--as-of", help="A past date to evaluate on; repeat it. Default: three."),
    ] = None,
    horizon_days: HorizonDays = None,
    replicates: Annotated[
        int, typer.Option("--replicates", min=0, help="Bootstrap resamples for the intervals.")
    ] = 200,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    work_dir: WorkDir = None,
    params: Params = None,
    as_json: Json = False,
    ablation: Annotated[
        bool,
        typer.Option("--ablation", help="Also the ensemble without each of its ingredients."),
    ] = False,
    table: Annotated[
        str | None, typer.Option("--table", help="Evaluate this table's predictions instead.")
    ] = None,
    predicted: Annotated[
        str | None, typer.Option("--predicted", help="With --table: the predicted column.")
    ] = None,
    actual: Annotated[
        str | None, typer.Option("--actual", help="With --table: the actual column.")
    ] = None,
) -> None:
    """Back-test on past dates: retrain as of each, compare with what came, beside simple rules.

    Writes tables cva_model_metrics, cva_model_deciles and cva_model_groups. With --table, only
    measures a table that is already there.
    """
    from cva_sql.cli.evaluate.report import describe
    from cva_sql.cli.shop.lock import exclusive
    from cva_sql.cli.train.settings import SHOW, show_params
    from cva_sql.udfs.manifest import plain

    if params == SHOW:
        print(show_params())
        return
    if (table, predicted, actual) != (None, None, None):
        if table is None or predicted is None or actual is None:
            raise UsageError(
                "--table needs --predicted and --actual, e.g. --predicted p --actual y"
            )
        if params is not None:
            raise UsageError("--table fits nothing, so there is no use for --params; leave it out")
        database = open_shop(db, project=project, need=Need.NOTHING).db
        measured = _evaluate_table(database, table, predicted, actual, replicates)
        _print_metrics(measured, as_json)
        return
    shop = open_shop(
        db,
        horizon_days=horizon_days,
        variables=variables,
        models_dir=models_dir,
        work_dir=work_dir,
        project=project,
    )
    shop = with_params(shop, params)
    dates = [parse_date(text, "--as-of") for text in as_of or []]
    with exclusive(shop):
        evaluated = evaluate_shop(shop, dates, replicates, is_ablated=ablation)
        found = write_evaluation(shop, evaluated)
    if as_json:
        print(json.dumps(plain(asdict(found)), indent=2))
        return
    print(describe(evaluated.result, evaluated.groups))
    print(f"every metric with its interval: select * from {shop.schema}.cva_model_metrics")
    print(f"every model's deciles: select * from {shop.schema}.cva_model_deciles")
    if evaluated.groups:
        print(f"every group's metrics: select * from {shop.schema}.cva_model_groups")


def _evaluate_table(
    db: Path, table: str, predicted: str, actual: str, replicates: int
) -> dict[str, Metric]:
    import duckdb
    import numpy as np

    from cva_sql.cli.shop.connection import connect
    from cva_sql.models_onnx.value.judging.bootstrap import Sample
    from cva_sql.models_onnx.value.judging.bootstrap import evaluate as measure

    if not db.is_file():
        raise UsageError(f"{db} does not exist; name the database with --db")
    con = connect(db, read_only=True)
    try:
        relation = ".".join('"' + part.replace('"', '""') + '"' for part in table.split("."))
        names = [name.replace('"', '""') for name in (actual, predicted)]
        rows = con.execute(
            f'select cast("{names[0]}" as double) as y, cast("{names[1]}" as double) as p '
            f"from {relation}"
        ).fetchnumpy()
    except duckdb.Error as error:
        raise UsageError(f"{table} cannot be evaluated: {str(error).splitlines()[0]}") from None
    finally:
        con.close()
    y, p = (np.ma.filled(np.ma.asarray(rows[n], dtype=np.float64), np.nan) for n in ("y", "p"))
    unusable = int((~(np.isfinite(y) & np.isfinite(p))).sum())
    if unusable:
        raise CvaError(
            f"{table} has {unusable:,} of {len(y):,} rows in which {actual} or {predicted} is "
            "null or not finite; leave them out or fill them in a view"
        )
    return measure(Sample(y, p), replicates=replicates)


def _print_metrics(metrics: dict[str, Metric], as_json: bool) -> None:
    if as_json:
        from cva_sql.udfs.manifest import plain

        print(json.dumps(plain([m.__dict__ for m in metrics.values()]), indent=2))
        return
    for metric in metrics.values():
        print(f"{metric.name:<20} {metric.value:>12.4f}   {metric.lower:.4f} .. {metric.upper:.4f}")
