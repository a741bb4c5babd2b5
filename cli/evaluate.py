"""`cva evaluate`: what the model would have said on past dates, beside the simple rules."""

from __future__ import annotations

import json
import math
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
SHOWN = {  # metric -> (title, digits)
    "spearman": ("Spearman", 3),
    "ngini": ("nGini", 3),
    "mae": ("MAE", 2),
    "r2": ("R²", 3),
    "decile_mape": ("dMAPE", 3),
    "bias": ("bias", 3),
    "abs_bias": ("|bias|", 3),
    "auc": ("AUC", 3),
}
SHOWN_BELOW = {  # what only a model with probabilities and quantiles has
    "brier": ("Brier", 4),
    "calibration_slope": ("calibration slope", 2),
    "coverage_p10": ("y≤p10", 3),
    "coverage_p50": ("y≤p50", 3),
    "coverage_p90": ("y≤p90", 3),
}
COMPARED = {  # what the model is compared on with and without reviews
    "spearman": ("Spearman", 4),
    "ngini": ("nGini", 4),
    "mae": ("MAE", 3),
    "d2_tweedie": ("D²", 4),
}
WIDTH = 14


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

    Writes table cva_model_metrics. With --table, only measures a table that is already there.
    """
    from cva_sql.cli.dbt import exclusive

    if (table, predicted, actual) != (None, None, None):
        if table is None or predicted is None or actual is None:
            raise UsageError(
                "--table needs --predicted and --actual, e.g. --predicted p --actual y"
            )
        database = shop_database(db, project)
        metrics = _evaluate_table(database, table, predicted, actual, replicates)
        _print_metrics(metrics, as_json)
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
        result = evaluate_shop(shop, dates, replicates)
        rows = metric_rows(result)
        _write_table(shop, rows)
    if as_json:
        print(json.dumps([_plain(row) for row in rows], indent=2))
        return
    print(describe(result))
    print(f"every metric with its interval: select * from {shop.schema}.cva_model_metrics")


def evaluate_shop(shop: Shop, dates: list[date], replicates: int) -> Backtest:
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
            data = build_examples(shop, wanted, EVALUATE_SCHEMA, max_rows=MAX_ROWS, texts=texts)
    with step("back-testing"):
        return backtest(data, plans, replicates, lambda text: say(f"  {text}"))


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

    What reviews add has rows of its own, of a model named as a difference.
    """
    from cva_sql.models_onnx.value.backtest import WITH, WITHOUT

    found = [
        (day, model, metric)
        for model, (by_date, means) in result.metrics.items()
        for day, metrics in [*zip(result.dates, by_date, strict=True), (None, means)]
        for metric in metrics.values()
    ]
    if result.gain is not None:
        found += [
            (None, f"{WITH} less {WITHOUT}", metric) for metric in result.gain.differences.values()
        ]
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


def describe(result: Backtest) -> str:
    """The table for a person: a block a date, one of the means, the verdict, what reviews add."""
    from cva_sql.models_onnx.value.backtest import WITH, WITHOUT

    lines = [
        f"horizon {result.horizon_days} days; each model learned only from before its date; "
        "± is half the width of the 95 % bootstrap interval"
    ]
    shown_models = {m: r for m, r in result.metrics.items() if m not in (WITH, WITHOUT)}
    blocks: list[tuple[str, dict[str, dict[str, Metric]]]] = [
        (f"{day} ({size:,} customers)", {m: r[0][i] for m, r in shown_models.items()})
        for i, (day, size) in enumerate(zip(result.dates, result.customers, strict=True))
    ]
    if len(result.dates) > 1:
        blocks.append(("mean over the dates", {m: r[1] for m, r in shown_models.items()}))
    for title, models in blocks:
        lines += ["", title]
        shown = [name for name in SHOWN if any(name in m for m in models.values())]
        lines.append(f"{'':<{WIDTH}}" + "".join(f"{SHOWN[n][0]:>{WIDTH}}" for n in shown))
        for model, metrics in models.items():
            cells = "".join(f"{_cell(metrics[n], SHOWN[n][1]):>{WIDTH}}" for n in shown)
            lines.append(f"{model:<{WIDTH}}{cells}")
        for model, metrics in models.items():
            more = [
                f"{label} {_cell(metrics[name], digits)}"
                for name, (label, digits) in SHOWN_BELOW.items()
                if name in metrics
            ]
            if more:
                lines.append(f"{model}: {', '.join(more)}")
    return "\n".join([*lines, "", *result.verdicts, *_gain_lines(result)])


def _gain_lines(result: Backtest) -> list[str]:
    from cva_sql.models_onnx.value.backtest import WITH, WITHOUT
    from cva_sql.models_onnx.value.fit import OPTIONAL_FAMILY

    if result.gain is None:
        return []
    full, lean = result.metrics[WITH][1], result.metrics[WITHOUT][1]
    title = f"what {OPTIONAL_FAMILY} add" + (
        ", mean over the dates" if len(result.dates) > 1 else ""
    )
    lines = [
        "",
        title,
        f"{'':<{WIDTH}}{'with':>{WIDTH}}{'without':>{WIDTH}}{'difference':>{WIDTH}}",
    ]
    for name, (label, digits) in COMPARED.items():
        gain = result.gain.differences[name]
        cells = [f"{m[name].value:.{digits}f}" for m in (full, lean)]
        cells.append(f"{gain.value:+.{digits}f}")
        row = f"{label:<{WIDTH}}" + "".join(f"{cell:>{WIDTH}}" for cell in cells)
        if math.isfinite(gain.lower):
            row += f"   {gain.lower:+.{digits}f} .. {gain.upper:+.{digits}f}"
        lines.append(row)
    return [*lines, result.gain.verdict]


def _cell(metric: Metric, digits: int) -> str:
    if not math.isfinite(metric.value):
        return "–"
    half = (metric.upper - metric.lower) / 2
    text = f"{metric.value:.{digits}f}"
    return f"{text} ±{half:.{digits}f}" if math.isfinite(half) else text


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """NaN is not JSON."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


def _write_table(shop: Shop, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa

    from cva_sql.cli.options import connect

    types = {"as_of_date": pa.string(), "horizon_days": pa.int32()}
    names = list(rows[0])
    values = {n: [_plain(row)[n] for row in rows] for n in names}
    metrics = pa.table(  # noqa: F841 - the query below reads it by name
        {
            n: pa.array(
                values[n], types.get(n, pa.string() if n in ("model", "metric") else pa.float64())
            )
            for n in names
        }
    )
    con = connect(shop.db)
    try:
        con.execute(
            f"create or replace table {shop.schema}.cva_model_metrics as "
            "select * replace (cast(as_of_date as date) as as_of_date) from metrics"
        ).fetchall()
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
        print(json.dumps([_plain(dict(m.__dict__)) for m in metrics.values()], indent=2))
        return
    for metric in metrics.values():
        print(f"{metric.name:<20} {metric.value:>12.4f}   {metric.lower:.4f} .. {metric.upper:.4f}")
