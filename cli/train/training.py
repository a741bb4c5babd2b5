"""Trains the value model on the past, and deploys what won forward in time."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.history import Entry, recording
from cva_sql.cli.shop.owner import Owned
from cva_sql.cli.train.deployment import UNASKED, Settled, Wish, settle
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.cli.train.examples import TrainingSet
    from cva_sql.cli.train.kinds import TrainedOther
    from cva_sql.models_onnx.value.data.cutoffs import Plan
    from cva_sql.models_onnx.value.data.shop_past import Outlier
    from cva_sql.models_onnx.value.training.choice import Choice
    from cva_sql.udfs.manifest import Manifest


@dataclass(frozen=True)
class Trained:
    """What `cva train` found. `version` is None where nothing could be fitted.

    `scoring` is the trained version that scores now, None where the packaged rule does.
    `total_forecast` is that of the total as in the manifest, `outliers` the customers left out of
    learning, `others` how the kinds of models beside the value model did. `notes` are what is
    unclear in the data, and the option that settles it, `asked` what the shop asks of its models.
    `target` is what it predicts, `floored` how many labels below 0 count as 0 and by what share
    that raises their sum.
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
    scoring: str | None = None
    as_of: str | None = None
    asked: tuple[str, ...] = ()
    target: str = "spend"
    floored: dict[str, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As it is printed for programs; what is not asked for is left out."""
        left_out = {name for name in ("others", "asked") if not getattr(self, name)}
        left_out |= {"target", "floored"} if self.target == "spend" else set()
        return {k: v for k, v in asdict(self).items() if k not in left_out}


@recording(
    "train", lambda found: Entry(found.as_of, found.examples, None, found.version), Owned.MODELS
)
def train_shop(shop: ResolvedShop, wish: Wish = UNASKED) -> Trained:
    """Trains the value model, then every other kind; what won forward in time is deployed.

    What has not leaves the deployed model as it is, unless the wish is to withdraw it. Another
    kind's fault or defeat changes nothing of the value model's deployment.
    """
    from cva_sql.cli.shop.model_store import note_deployed
    from cva_sql.cli.shop.progress import step
    from cva_sql.cli.train.examples import TRAIN_SCHEMA, read_history, read_training_set
    from cva_sql.cli.train.kinds import leave_untrained, train_others
    from cva_sql.cli.train.terms import check_scoring_rule, describe_terms, read_terms

    _check_candidate(wish.candidate)
    terms = read_terms(shop)
    check_scoring_rule(wish.candidate, terms)
    horizon = shop.horizon_days
    with step("looking at the history"):
        history = read_history(shop, TRAIN_SCHEMA)
    found = read_training_set(shop, history, horizon, terms=terms)
    if found is None:
        reason = history.too_short(horizon)
        others = leave_untrained(shop, reason, wish)
        settled = settle(shop.models_dir, None, is_better=False, reason=reason, wish=wish)
        trained = _nothing_fitted(settled, 0)
    else:
        trained = _train_value(shop, found, wish)
        others = train_others(shop, found, wish)
    note_deployed(shop)
    as_of = history.as_of.isoformat()
    return replace(
        trained,
        others=others,
        notes=history.notes,
        as_of=as_of,
        asked=tuple(describe_terms(terms)),
        target=shop.target,
    )


def _check_candidate(name: str | None) -> None:
    """Raises UsageError for what nothing is called that may score."""
    from cva_sql.models_onnx.value.members.registry import candidates

    if name is not None and name not in candidates():
        raise UsageError(f"--deploy {name}: expected one of {', '.join(candidates())}")


def _nothing_fitted(settled: Settled, examples: int) -> Trained:
    return Trained(None, False, settled.reason, {}, (), None, examples, scoring=settled.scoring)


def _train_value(shop: ResolvedShop, found: TrainingSet, wish: Wish) -> Trained:
    """Fits, validates, exports, checks parity and deploys."""
    from cva_sql.cli.shop.model_store import store_model
    from cva_sql.cli.shop.progress import step
    from cva_sql.cli.train.kinds import open_past
    from cva_sql.models_onnx.kinds.value import export_value, fit_value

    with open_past(shop, found) as past:
        with step("fitting"):
            fitted = fit_value(past, wish.candidate)
        choice, examples = fitted.choice, len(found.data)
        if fitted.fitting.model is not None:
            with step("exporting"):
                exported = export_value(past, fitted)
        else:
            exported = None
    outliers = _left_out(found)
    settling = partial(settle, shop.models_dir, reason=choice.reason, wish=wish)
    if exported is None:
        settled = settling(None, is_better=False)
        _record(shop, found.plan, choice, None, settled)
        return _nothing_fitted(settled, examples)
    model, parity = exported
    manifest = model.manifest
    store_model(shop.models_dir, model.onnx, manifest)
    settled = settling(manifest, is_better=model.is_better)
    _record(shop, found.plan, choice, manifest, settled, outliers)
    return Trained(
        manifest.version,
        settled.is_deployed,
        settled.reason,
        choice.scores,
        tuple(day.isoformat() for day in choice.dates),
        parity.worst,
        examples,
        manifest.training["total_forecast"],
        tuple(asdict(outlier) for outlier in outliers),
        scoring=settled.scoring,
        floored=manifest.training.get("floored"),
    )


def _left_out(found: TrainingSet) -> tuple[Outlier, ...]:
    """The customers who are too large to learn from, the largest first."""
    from cva_sql.models_onnx.value.data.shop_past import SHOWN_OUTLIERS

    past = found.data.shops.get(found.plan.as_of)
    return past.outliers[:SHOWN_OUTLIERS] if past else ()


def _record(
    shop: ResolvedShop,
    plan: Plan,
    choice: Choice,
    manifest: Manifest | None,
    settled: Settled,
    outliers: tuple[Outlier, ...] = (),
) -> None:
    """Adds the training to table cva_training_runs."""
    from cva_sql.cli.shop.connection import connect
    from cva_sql.models_onnx.value.training.runs import (
        Run,
        append_training_run,
        training_entries,
    )

    version = manifest.version if manifest else None
    run = Run(datetime.now(UTC), version, plan, settled.is_deployed, settled.reason)
    con = connect(shop.db)
    try:
        append_training_run(con, shop.schema, run, training_entries(manifest, choice, outliers))
    finally:
        con.close()
