"""Trains the value model on the past, and deploys it if it beats the rules."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.cli.train.examples import TrainingSet
    from cva_sql.cli.train.kinds import TrainedOther
    from cva_sql.models_onnx.value.data.cutoffs import Plan
    from cva_sql.models_onnx.value.training.choice import Choice
    from cva_sql.udfs.manifest import Manifest


@dataclass(frozen=True)
class Trained:
    """What `cva train` found. `version` is None where nothing could be fitted.

    `total_forecast` is that of the total as in the manifest, `outliers` the customers left out of
    learning, `others` how the kinds of models beside the value model did. `notes` are what is
    unclear in the data, and the option that settles it.
    """

    version: str | None
    is_deployed: bool
    reason: str
    scores: dict[str, dict[str, float]]
    validation_dates: tuple[str, ...]
    parity: float | None
    examples: int
    total_forecast: dict[str, Any] | None = None
    outliers: tuple[dict[str, Any], ...] = ()
    others: tuple[TrainedOther, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As it is printed for programs; `others` only where there are any."""
        found = asdict(self)
        return found if self.others else {k: v for k, v in found.items() if k != "others"}


def train_shop(shop: ResolvedShop) -> Trained:
    """Trains the value model, then every other kind; what is better than its rules is deployed.

    Another kind's fault or defeat changes nothing of the value model's deployment.
    """
    from cva_sql.cli.shop.model_store import withdraw
    from cva_sql.cli.shop.progress import step
    from cva_sql.cli.train.examples import TRAIN_SCHEMA, read_history, read_training_set
    from cva_sql.cli.train.kinds import leave_untrained, train_others

    horizon = int(shop.var("cva_horizon_days"))
    with step("looking at the history"):
        history = read_history(shop, TRAIN_SCHEMA)
    found = read_training_set(shop, history, horizon)
    if found is None:
        withdraw(shop.models_dir)
        since = history.first_order or "no valid order"
        reason = f"the history ({since} .. {history.as_of}) is too short to learn from"
        others = leave_untrained(shop, reason)
        return Trained(None, False, reason, {}, (), None, 0, others=others, notes=history.notes)
    trained = _train_value(shop, found)
    return replace(trained, others=train_others(shop, found), notes=history.notes)


def _train_value(shop: ResolvedShop, found: TrainingSet) -> Trained:
    """Fits, validates, exports, checks parity and deploys."""
    from cva_sql.cli.shop.model_store import deploy, store_model, withdraw
    from cva_sql.cli.shop.progress import step
    from cva_sql.cli.train.kinds import open_past
    from cva_sql.models_onnx.kinds.value import export_value, fit_value

    with open_past(shop, found) as past:
        with step("fitting"):
            fitted = fit_value(past)
        choice, examples = fitted.choice, len(found.data)
        if fitted.fitting.model is not None:
            with step("exporting"):
                exported = export_value(past, fitted)
        else:
            exported = None
    if exported is None:
        withdraw(shop.models_dir)
        _record(shop, found.plan, choice, None)
        return Trained(None, False, choice.reason, {}, (), None, examples)
    model, parity = exported
    manifest = model.manifest
    store_model(shop.models_dir, model.onnx, manifest)
    if model.is_better:
        deploy(shop.models_dir, manifest.version)
    else:
        withdraw(shop.models_dir)
    _record(shop, found.plan, choice, manifest)
    return Trained(
        manifest.version,
        choice.is_better,
        choice.reason,
        choice.scores,
        tuple(day.isoformat() for day in choice.dates),
        parity.worst,
        examples,
        manifest.training["total_forecast"],
        tuple(manifest.training["outliers"]),
    )


def _record(shop: ResolvedShop, plan: Plan, choice: Choice, manifest: Manifest | None) -> None:
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
