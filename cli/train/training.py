"""Trains the value model on the past, and deploys what won forward in time."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.history import Entry, recording
from cva_sql.cli.shop.owner import Owned
from cva_sql.cli.train.deployment import UNASKED, Settled, Wish, settle
from cva_sql.udfs.errors import UsageError

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.cli.train.added import Added
    from cva_sql.cli.train.examples import History, TrainingSet
    from cva_sql.cli.train.kinds import TrainedOther
    from cva_sql.models_onnx.value.added.given import Given
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
    that raises their sum. `removed` are models that were too many: see `cva_models_kept`.
    `families` is what each optional family of features counts, and what it adds to nGini.
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
    removed: tuple[str, ...] = ()
    families: tuple[dict[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As it is printed for programs; what is not asked for is left out."""
        unasked = ("others", "asked", "removed", "families")
        left_out = {name for name in unasked if not getattr(self, name)}
        left_out |= {"target", "floored"} if self.target == "spend" else set()
        return {k: v for k, v in asdict(self).items() if k not in left_out}


@recording(
    "train", lambda found: Entry(found.as_of, found.examples, None, found.version), Owned.MODELS
)
def train_shop(
    shop: ResolvedShop,
    wish: Wish = UNASKED,
    *,
    tune_minutes: float | None = None,
    tensorboard: Path | None = None,
) -> Trained:
    """Trains the value model, then every other kind; what won forward in time is deployed.

    What has not leaves the deployed model as it is, unless the wish is to withdraw it. Another
    kind's fault or defeat changes nothing of the value model's deployment. With `tune_minutes`
    better settings are looked for first; curves are added to folder `tensorboard`.
    """
    from cva_sql.cli.shop.model_store import note_deployed
    from cva_sql.cli.shop.progress import step
    from cva_sql.cli.train.added import added_to_score
    from cva_sql.cli.train.examples import TRAIN_SCHEMA, read_history, read_training_set
    from cva_sql.cli.train.kinds import train_others
    from cva_sql.cli.train.retention import models_kept, prune_models
    from cva_sql.cli.train.settings import check_tuning, tuned_terms
    from cva_sql.cli.train.tensorboard import check_tensorboard
    from cva_sql.cli.train.terms import check_scoring_rule, describe_terms, read_terms

    models_kept(shop)  # what is wrong with it is said before minutes were spent
    check_tensorboard(tensorboard)
    check_tuning(tune_minutes)
    added = _added_candidate(shop, wish.candidate)
    terms = read_terms(shop)
    check_scoring_rule(wish.candidate, terms, shop.target)
    given = added_to_score(shop, added, terms) if added else None
    horizon = shop.horizon_days
    with step("looking at the history"):
        history = read_history(shop, TRAIN_SCHEMA)
    found = read_training_set(shop, history, horizon, terms=terms)
    if found is None:
        trained, others = _leave_untrained(shop, history, wish)
    else:
        if tune_minutes:
            terms = tuned_terms(found, tune_minutes)
            found = replace(found, data=replace(found.data, terms=terms))
        own = replace(wish, candidate=None, deploy=False, withdraw=False) if added else wish
        trained = _train_value(shop, found, own, tensorboard)
        others = train_others(shop, found, wish)
        if added and given:
            trained = _let_added_score(shop, found, added, given, trained)
    note_deployed(shop, "train")
    removed = prune_models(shop) if trained.is_deployed else ()
    for other in others:
        removed += prune_models(shop, other.kind) if other.is_deployed else ()
    if removed:
        note_deployed(shop, "train")
    as_of = history.as_of.isoformat()
    return replace(
        trained,
        others=others,
        removed=removed,
        notes=history.notes,
        as_of=as_of,
        asked=tuple(describe_terms(terms)),
        target=shop.target,
    )


def _leave_untrained(
    shop: ResolvedShop, history: History, wish: Wish
) -> tuple[Trained, tuple[TrainedOther, ...]]:
    """What too short a history leaves: what was deployed, unless that is to be withdrawn."""
    from cva_sql.cli.train.kinds import leave_untrained

    reason = history.too_short(shop.horizon_days)
    others = leave_untrained(shop, reason, wish)
    settled = settle(shop.models_dir, None, is_better=False, reason=reason, wish=wish)
    return _nothing_fitted(settled, 0), others


def _added_candidate(shop: ResolvedShop, name: str | None) -> Added | None:
    """The added model of this name; raises UsageError for what nothing is called that may score."""
    from cva_sql.cli.train.added import added_models, refuse_other_target
    from cva_sql.cli.train.settings import refuse_unasked_network
    from cva_sql.models_onnx.value.members.registry import candidates, network_names

    scoring = candidates(network_names())
    if name is None or name in scoring:
        refuse_unasked_network(shop, name)
        return None
    added = added_models(shop.models_dir)
    if name not in added:
        known = ", ".join([*scoring, *added])
        raise UsageError(f"--deploy {name}: expected one of {known}")
    refuse_other_target(shop)
    return added[name]


def _let_added_score(
    shop: ResolvedShop, found: TrainingSet, added: Added, given: Given, trained: Trained
) -> Trained:
    """Judges an added model anew on what has come since, and deploys it."""
    from cva_sql.cli.train.adding import keep_added

    kept = keep_added(
        shop, found, added.name, given, added.trained_until, is_to_score=True, former=added
    )
    return replace(
        trained,
        version=kept.version,
        is_deployed=True,
        reason=f"{added.name}, as asked; {kept.verdict}",
        parity=kept.parity,
        total_forecast=None,
    )


def _nothing_fitted(settled: Settled, examples: int) -> Trained:
    return Trained(None, False, settled.reason, {}, (), None, examples, scoring=settled.scoring)


def _train_value(
    shop: ResolvedShop, found: TrainingSet, wish: Wish, tensorboard: Path | None
) -> Trained:
    """Fits, validates, exports, checks parity and deploys."""
    from cva_sql.cli.shop.model_store import store_model
    from cva_sql.cli.shop.progress import step
    from cva_sql.cli.train.kinds import open_past
    from cva_sql.cli.train.tensorboard import write_curves
    from cva_sql.models_onnx.kinds.value import export_value, fit_value
    from cva_sql.udfs.manifest import read_manifest

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
    stored = store_model(shop.models_dir, model.onnx, model.manifest, model.beside)
    manifest = read_manifest(stored)
    settled = settling(manifest, is_better=model.is_better)
    _record(shop, found.plan, choice, manifest, settled, outliers)
    if tensorboard:
        write_curves(tensorboard, manifest.version, choice.curves)
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
        families=tuple(manifest.training.get("families", ())),
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
