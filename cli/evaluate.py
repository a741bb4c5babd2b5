"""`cva evaluate`: what the model would have said on past dates, beside the simple rules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cva_sql.cli.options import (
    HorizonDays,
    Json,
    ModelsDir,
    ProjectDir,
    ShopDb,
    Vars,
    open_shop,
    parse_date,
    shop_database,
)
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from cva_sql.cli.dbt import Shop
    from cva_sql.models_onnx.value.backtest import Backtest
    from cva_sql.models_onnx.value.bootstrap import Metric

MAX_ROWS = 3_000_000  # every customer of a mid-sized shop at every date
DEFAULT_DATES = 3
METRIC_COLUMNS = {  # name -> (type, comment)
    "as_of_date": ("date", "the past date of the forecast; null for the mean over the dates"),
    "horizon_days": ("integer", "length of the forecast"),
    "model": ("varchar", "model, member, peer or rule, or a difference of two"),
    "metric": ("varchar", "name of the metric"),
    "value": ("double", "the metric"),
    "lower": ("double", "lower end of its 95 % bootstrap interval"),
    "upper": ("double", "upper end of its 95 % bootstrap interval"),
}
DECILE_COLUMNS = {
    "as_of_date": ("date", "the past date of the forecast; null for the mean over the dates"),
    "horizon_days": ("integer", "length of the forecast"),
    "model": ("varchar", "model or peer"),
    "decile": ("integer", "tenth of the customers by predicted value, 1 the best"),
    "customers": ("integer", "customers in it"),
    "predicted_value": ("double", "mean predicted spend"),
    "actual_value": ("double", "mean actual spend"),
    "lift": ("double", "mean actual spend over that of all customers"),
    "capture": ("double", "share of all spend made by this tenth and those above it, 0 to 1"),
    "purchase_probability": ("double", "mean predicted chance to buy; null without one"),
    "buyers_rate": ("double", "share who bought, 0 to 1"),
}


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

    Writes tables cva_model_metrics and cva_model_deciles. With --table, only measures a table that
    is already there.
    """
    from cva_sql.cli.dbt import exclusive
    from cva_sql.cli.evaluate_report import describe
    from cva_sql.udfs.manifest import plain

    if (table, predicted, actual) != (None, None, None):
        if table is None or predicted is None or actual is None:
            raise UsageError(
                "--table needs --predicted and --actual, e.g. --predicted p --actual y"
            )
        database = shop_database(db, project)
        measured = _evaluate_table(database, table, predicted, actual, replicates)
        _print_metrics(measured, as_json)
        return
    shop = open_shop(
        db,
        horizon_days=horizon_days,
        variables=variables,
        models_dir=models_dir,
        project=project,
    )
    dates = [parse_date(text, "--as-of") for text in as_of or []]
    with exclusive(shop):
        result = evaluate_shop(shop, dates, replicates, is_ablated=ablation)
        metrics, deciles = metric_rows(result), decile_rows(result)
        _write_table(shop, "cva_model_metrics", METRIC_COLUMNS, metrics)
        _write_table(shop, "cva_model_deciles", DECILE_COLUMNS, deciles)
    if as_json:
        found = {
            "metrics": metrics,
            "deciles": deciles,
            "verdicts": [*result.verdicts, *([result.gain.verdict] if result.gain else [])],
        }
        print(json.dumps(plain(found), indent=2))
        return
    print(describe(result))
    print(f"every metric with its interval: select * from {shop.schema}.cva_model_metrics")
    print(f"every model's deciles: select * from {shop.schema}.cva_model_deciles")


def evaluate_shop(
    shop: Shop, dates: list[date], replicates: int, *, is_ablated: bool = False
) -> Backtest:
    """Back-tests at these dates, or at the newest ones that leave a whole horizon to look at."""
    from cva_sql.cli.progress import say, step
    from cva_sql.cli.training_data import (
        EVALUATE_SCHEMA,
        build_examples,
        dropped_after,
        read_history,
        read_texts,
    )
    from cva_sql.models_onnx.value.backtest import backtest
    from cva_sql.models_onnx.value.origins import plan_origins

    horizon = int(shop.vars.get("cva_horizon_days", 90))
    with dropped_after(shop, EVALUATE_SCHEMA):
        with step("looking at the history"):
            history = read_history(shop, EVALUATE_SCHEMA)
        if history.first_order is None:
            raise CvaError("there is no valid order to evaluate on; see table cva_rejects")
        dates = dates or _default_dates(history.first_order, history.as_of, horizon)
        plans = []
        for day in sorted(set(dates)):
            if day + timedelta(days=horizon) > history.as_of:
                raise UsageError(
                    f"--as-of {day} and {horizon} days end after the newest fact "
                    f"({history.as_of - timedelta(days=1)}); take an earlier date"
                )
            plan = plan_origins(history.first_order, day, horizon)
            if plan is None:
                raise UsageError(
                    f"--as-of {day} has too little history since {history.first_order}; "
                    "take a later date"
                )
            plans.append(plan)
        wanted = [(o, plan.label_days) for plan in plans for o in plan.origins]
        wanted += [(plan.as_of, horizon) for plan in plans]
        # One projection for all dates, so it may know no more than the earliest of them.
        texts = read_texts(shop, before=min(day for day, _ in wanted))
        with step(f"building examples of {len(set(wanted))} dates"):
            data = build_examples(
                shop,
                wanted,
                EVALUATE_SCHEMA,
                scored_on=[plan.as_of for plan in plans],
                max_rows=MAX_ROWS,
                texts=texts,
            )
    with step("back-testing"):
        return backtest(
            data, plans, replicates, lambda text: say(f"  {text}"), is_ablated=is_ablated
        )


def _default_dates(first_order: date, as_of: date, horizon: int) -> list[date]:
    from cva_sql.models_onnx.value.origins import plan_origins

    dates = [as_of - timedelta(days=horizon * n) for n in range(1, DEFAULT_DATES + 1)]
    dates = [day for day in dates if plan_origins(first_order, day, horizon) is not None]
    if not dates:
        raise CvaError(
            f"the history ({first_order} .. {as_of}) is too short to evaluate a horizon of "
            f"{horizon} days; try a shorter one with: --horizon-days {max(7, horizon // 3)}"
        )
    return dates


def metric_rows(result: Backtest) -> list[dict[str, Any]]:
    """One row per date (None for the mean over dates), model and metric.

    Paired differences have rows of their own, of a model named as a difference: what reviews add,
    `cva` less the best rule and less its peer, the ensemble without an ingredient less the whole.
    """
    from cva_sql.models_onnx.value.backtest import MODEL, WITH, WITHOUT
    from cva_sql.models_onnx.value.model import ENSEMBLE

    found = [
        (day, model, metric)
        for model, (by_date, means) in result.metrics.items()
        for day, metrics in [*zip(result.dates, by_date, strict=True), (None, means)]
        for metric in metrics.values()
    ]
    differences = {f"{WITH} less {WITHOUT}": result.gain.differences} if result.gain else {}
    differences |= {f"{MODEL} less {name}": d for name, d in result.comparisons.items()}
    differences |= {f"{ENSEMBLE} without {name}": d for name, d in result.ablation.items()}
    found += [(None, name, metric) for name, d in differences.items() for metric in d.values()]
    return [
        {
            "as_of_date": day.isoformat() if day else None,
            "horizon_days": result.horizon_days,
            "model": model,
            "metric": metric.name,
            "value": metric.value,
            "lower": metric.lower,
            "upper": metric.upper,
        }
        for day, model, metric in found
    ]


def decile_rows(result: Backtest) -> list[dict[str, Any]]:
    """One row per date (None for the mean over dates), model and decile."""
    return [
        {
            **decile.__dict__,
            "as_of_date": decile.as_of_date.isoformat() if decile.as_of_date else None,
            "horizon_days": result.horizon_days,
        }
        for decile in result.deciles
    ]


def _write_table(
    shop: Shop, name: str, columns: Mapping[str, tuple[str, str]], rows: list[dict[str, Any]]
) -> None:
    """Replaces a table of the target schema; `columns` are name -> (type, comment)."""
    import pyarrow as pa

    from cva_sql.cli.options import connect
    from cva_sql.udfs.manifest import plain

    arrow = {"double": pa.float64(), "integer": pa.int32()}  # dates are cast from text
    added = pa.table(  # noqa: F841 - the query below reads it by name
        {
            column: pa.array([plain(row[column]) for row in rows], arrow.get(kind, pa.string()))
            for column, (kind, _) in columns.items()
        }
    )
    schema = '"{}"'.format(shop.schema.replace('"', '""'))
    table = f'{schema}."{name}"'
    casts = [f'cast("{column}" as {kind}) as "{column}"' for column, (kind, _) in columns.items()]
    query = f"create or replace table {table} as select {', '.join(casts)} from added"
    con = connect(shop.db)
    try:
        con.execute(f"create schema if not exists {schema}").fetchall()
        con.execute(query).fetchall()
        for column, (_, comment) in columns.items():
            con.execute(f"comment on column {table}.\"{column}\" is '{comment}'").fetchall()
    finally:
        con.close()


def _evaluate_table(
    db: Path, table: str, predicted: str, actual: str, replicates: int
) -> dict[str, Metric]:
    import duckdb
    import numpy as np

    from cva_sql.cli.options import connect
    from cva_sql.models_onnx.value.bootstrap import Sample
    from cva_sql.models_onnx.value.bootstrap import evaluate as measure

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
