"""`cva train`: learn from the past, and let the model score only if it beats the rules."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cva_sql.cli.options import (
    AsOf,
    HorizonDays,
    Json,
    ModelsDir,
    ProjectDir,
    ShopDb,
    Vars,
    open_shop,
)

if TYPE_CHECKING:
    from cva_sql.cli.dbt import Shop
    from cva_sql.models_onnx.value.fit import Choice
    from cva_sql.models_onnx.value.origins import Plan
    from cva_sql.udfs.manifest import Manifest


@dataclass(frozen=True)
class Trained:
    """What `cva train` found. `version` is None where nothing could be fitted.

    `level` is the forecast of the total as in the manifest, `outliers` the customers left out of
    learning.
    """

    version: str | None
    is_deployed: bool
    reason: str
    scores: dict[str, dict[str, float]]
    validation_dates: tuple[str, ...]
    parity: float | None
    examples: int
    level: dict[str, Any] | None = None
    outliers: tuple[dict[str, Any], ...] = ()


def train(
    db: ShopDb = None,
    project: ProjectDir = None,
    as_of: AsOf = None,
    horizon_days: HorizonDays = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    as_json: Json = False,
) -> None:
    """Train the value model on past dates and deploy it if it beats the rules.

    Nothing after --as-of is learned from. Where a rule does as well, or the history is too short,
    the rule goes on scoring, and this says so.
    """
    from cva_sql.cli.dbt import exclusive

    shop = open_shop(
        db,
        as_of=as_of,
        horizon_days=horizon_days,
        variables=variables,
        models_dir=models_dir,
        project=project,
    )
    with exclusive(shop):
        trained = train_shop(shop)
    if as_json:
        from cva_sql.udfs.manifest import plain

        print(json.dumps(plain(trained.__dict__), indent=2))
        return
    print(describe(trained, shop))


def train_shop(shop: Shop) -> Trained:
    """Builds examples, fits, validates, exports, checks parity and deploys."""
    from cva_sql.cli.deploy import deploy, store_model, withdraw
    from cva_sql.cli.progress import say, step
    from cva_sql.cli.training_data import TRAIN_SCHEMA, read_history, read_training_set
    from cva_sql.models_onnx.value.export import build_manifest, build_model, check_parity
    from cva_sql.models_onnx.value.fit import OPTIONAL_FAMILY, fit_both_ways, has_family
    from cva_sql.models_onnx.value.typical_customer import build_explanation

    horizon = int(shop.vars.get("cva_horizon_days", 90))
    with step("looking at the history"):
        history = read_history(shop, TRAIN_SCHEMA)
    found = read_training_set(shop, history, horizon)
    if found is None:
        withdraw(shop.models_dir)
        since = history.first_order or "no valid order"
        reason = f"the history ({since} .. {history.as_of}) is too short to learn from"
        return Trained(None, False, reason, {}, (), None, 0)
    plan, data = found.plan, found.data
    past = data.shops.get(plan.as_of)
    outliers = past.outliers if past else ()
    with step("fitting"):
        (rows, best), *others = fit_both_ways(data, plan, lambda text: say(f"  {text}"))
        model, choice = best.model, best.choice
        if others:
            word = "with" if has_family(rows, OPTIONAL_FAMILY) else "without"
            say(f"  the model {word} {OPTIONAL_FAMILY} did better")
    if model is None:
        withdraw(shop.models_dir)
        _record(shop, plan, choice, None)
        return Trained(None, False, choice.reason, {}, (), None, len(data))
    with step("exporting"):
        onnx = build_model(model)
        manifest = build_manifest(
            model,
            onnx,
            plan,
            choice,
            found.first_order,
            shop.db.name,
            found.texts.projection if has_family(rows, OPTIONAL_FAMILY) else None,
            outliers,
            build_explanation(model, rows.seen_from(plan.as_of)),
        )
        parity = check_parity(model, onnx, manifest, rows.seen_from(plan.as_of))
        store_model(shop.models_dir, onnx, manifest)
    if choice.is_better:
        deploy(shop.models_dir, manifest.version)
    else:
        withdraw(shop.models_dir)
    _record(shop, plan, choice, manifest)
    return Trained(
        manifest.version,
        choice.is_better,
        choice.reason,
        choice.scores,
        tuple(day.isoformat() for day in choice.dates),
        parity.worst,
        len(data),
        manifest.training["level"],
        tuple(manifest.training["outliers"]),
    )


def _record(shop: Shop, plan: Plan, choice: Choice, manifest: Manifest | None) -> None:
    """Adds the training to table cva_training_runs."""
    from cva_sql.cli.options import connect
    from cva_sql.models_onnx.value.training_runs import Run, append_training_run, training_entries

    version = manifest.version if manifest else None
    run = Run(datetime.now(UTC), version, plan, choice.is_better, choice.reason)
    con = connect(shop.db)
    try:
        append_training_run(con, shop.schema, run, training_entries(manifest, choice))
    finally:
        con.close()


def describe(trained: Trained, shop: Shop) -> str:
    """The result for a person."""
    lines = []
    if trained.scores:
        lines.append(f"validated forward in time on {', '.join(trained.validation_dates)} (means):")
        lines += score_table(trained.scores)
    if trained.level and trained.is_deployed:
        lines.append(describe_level(trained.level))
    if trained.outliers:
        lines.append(describe_outliers(trained.outliers, shop))
    if trained.is_deployed:
        lines.append(f"deployed {trained.version}: {trained.reason}")
        lines.append(f"ONNX file and fitted model agree within {trained.parity:.0e}")
    else:
        lines.append(f"not deployed, the packaged rule scores: {trained.reason}")
    lines.append(f"next: cva run{shop.naming}")
    return "\n".join(lines)


def describe_level(level: dict[str, Any]) -> str:
    """What all but the outliers are forecast to spend together, how sure, how wrong before."""
    text = (
        f"level: {level['total']:,.2f} expected of {level['customers']:,} customers together, "
        f"{level['from']} .. {level['to']}, within a factor of "
        f"{math.exp(level['spread']):.2f} two times out of three"
    )
    errors = level["backtest_log_errors"]
    if errors:
        missed = ", ".join(f"{math.exp(-error) - 1:+.0%}" for error in errors)
        text += f"; on the validation dates it missed by {missed}"
    return text


def describe_outliers(outliers: tuple[dict[str, Any], ...], shop: Shop) -> str:
    """Who was left out of learning, and where to look."""
    named = ", ".join(f"{o['customer_id']} ({o['spend']:,.2f})" for o in outliers[:3])
    more = f" and {len(outliers) - 3} more" if len(outliers) > 3 else ""
    return (
        f"left out of learning, spend far above all others: {named}{more}; "
        f"look at them with: cva doctor{shop.naming}"
    )


def score_table(scores: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    """One line a candidate or rule, the best deviance first; – where a figure is not defined."""
    columns = ("d2_shape", "d2_tweedie", "ngini", "spearman", "mae", "r2", "bias")

    def figure(name: str, column: str) -> float:
        value = scores[name].get(column)
        return math.nan if value is None else value

    def cell(value: float, digits: int) -> str:
        return f"{value:>12.{digits}f}" if math.isfinite(value) else f"{'–':>12}"

    def order(name: str) -> float:
        value = figure(name, columns[0])
        return -value if math.isfinite(value) else math.inf

    lines = [f"  {'':<14}" + "".join(f"{name:>12}" for name in columns)]
    for name in sorted(scores, key=order):
        cells = "".join(cell(figure(name, c), 2 if c == "mae" else 3) for c in columns)
        lines.append(f"  {name:<14}{cells}")
    return lines
