"""Trains the value model on the past, and deploys it if it beats the rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import Shop
    from cva_sql.models_onnx.value.data.cutoffs import Plan
    from cva_sql.models_onnx.value.training.choice import Choice
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


def train_shop(shop: Shop) -> Trained:
    """Builds examples, fits, validates, exports, checks parity and deploys."""
    from cva_sql.cli.shop.model_store import deploy, store_model, withdraw
    from cva_sql.cli.shop.progress import say, step
    from cva_sql.cli.train.examples import TRAIN_SCHEMA, read_history, read_training_set
    from cva_sql.models_onnx.value.model.graph import build_model
    from cva_sql.models_onnx.value.model.parity import check_parity
    from cva_sql.models_onnx.value.training.fit import OPTIONAL_FAMILY, fit_both_ways, has_family
    from cva_sql.models_onnx.value.training.manifest import build_manifest
    from cva_sql.models_onnx.value.training.typical_customer import build_explanation

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
    from cva_sql.cli.shop.connection import connect
    from cva_sql.models_onnx.value.training.runs import (
        Run,
        append_training_run,
        training_entries,
    )

    version = manifest.version if manifest else None
    run = Run(datetime.now(UTC), version, plan, choice.is_better, choice.reason)
    con = connect(shop.db)
    try:
        append_training_run(con, shop.schema, run, training_entries(manifest, choice))
    finally:
        con.close()
