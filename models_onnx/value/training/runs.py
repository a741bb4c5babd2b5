"""What a training found, as rows to keep: its scores, the curves by round, its settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from cva_sql.models_onnx.value.data.cutoffs import Plan
from cva_sql.models_onnx.value.data.shop_past import Outlier
from cva_sql.models_onnx.value.members.purchase import REGRESSIONS, SETTINGS
from cva_sql.models_onnx.value.members.registry import (
    ENSEMBLE,
    curve_losses,
    joined_shares,
    learners,
    purchase_weights,
    weights,
)
from cva_sql.models_onnx.value.settings import values_of
from cva_sql.models_onnx.value.training.choice import Choice
from cva_sql.udfs.manifest import Manifest

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLE = "cva_training_runs"
COLUMNS = {  # name -> (type, comment)
    "run_at": ("timestamp", "when the training ended, UTC"),
    "model_version": ("varchar", "the model that was fitted; null where there was too little data"),
    "as_of_date": ("date", "the date that the model was made for"),
    "horizon_days": ("integer", "length of the forecast"),
    "is_deployed": ("boolean", "whether it scores from then on"),
    "reason": ("varchar", "why it does or does not"),
    "kind": (
        "varchar",
        "score: on the validation dates; curve: loss by round; family: what it adds; setting",
    ),
    "model": ("varchar", "the member, candidate, rule or family; null for what holds for all"),
    "name": ("varchar", "the metric, loss or setting"),
    "step": (
        "integer",
        "rounds or epochs of a curve; the place in a list, from 1; else null",
    ),
    "value": ("double", "the number, where it is one"),
    "text": ("varchar", "the words, where it is none"),
}


@dataclass(frozen=True)
class Entry:
    """One figure, point of a curve or setting; see COLUMNS."""

    kind: str
    name: str
    model: str | None = None
    step: int | None = None
    value: float | None = None
    text: str | None = None


@dataclass(frozen=True)
class Run:
    """What all rows of one training share; `run_at` is UTC without a zone."""

    run_at: datetime
    model_version: str | None
    plan: Plan
    is_deployed: bool
    reason: str


def training_entries(
    manifest: Manifest | None, choice: Choice, outliers: Sequence[Outlier] = ()
) -> list[Entry]:
    """All rows of a training: scores, curves, families, settings; without a manifest what is known.

    Settings are those of the code that fitted, what the manifest says was fitted, and who was left
    out of it.
    """
    losses = curve_losses()
    found = [
        Entry("score", metric, model, value=value)
        for model, scores in choice.scores.items()
        for metric, value in scores.items()
    ]
    found += [
        Entry("score", "total_log_error", ENSEMBLE, place, error, day.isoformat())
        for place, (day, error) in enumerate(
            zip(choice.dates, choice.total_errors, strict=False), start=1
        )
    ]
    found += [
        Entry("curve", losses[point.model], point.model, point.rounds, point.loss)
        for point in choice.curves
    ]
    found += _families(choice)
    fitted = _fitted(manifest.training) if manifest else ()
    left_out = [
        Entry("setting", "outlier", None, place, outlier.spend, outlier.customer_id)
        for place, outlier in enumerate(outliers, start=1)
    ]
    return [*found, *_code_settings(manifest.training if manifest else {}), *fitted, *left_out]


def _families(choice: Choice) -> Iterator[Entry]:
    """What each optional family counts, what it adds to nGini, and the dates that say so."""
    for one in choice.families:
        figures = {"scale": one.scale, "gain": one.gain, "lower": one.lower, "upper": one.upper}
        for name, value in figures.items():
            yield Entry("family", name, one.family, value=value if np.isfinite(value) else None)
        for place, day in enumerate(one.dates, start=1):
            yield Entry("family", "date", one.family, place, text=day.isoformat())


def _code_settings(training: Mapping[str, Any]) -> Iterator[Entry]:
    """Weights and settings, as the manifest says of what may be set, else as the code does."""
    joined = training.get("joined", {})
    for member, weight in joined_shares(weights(ENSEMBLE), joined).items():
        yield Entry("setting", "weight", member, value=weight)
    purchase = purchase_weights(ENSEMBLE)
    for name, weight in zip(("mbgnbd", *REGRESSIONS), purchase.all, strict=True):
        yield Entry("setting", "probability_weight", name, value=weight)
    given = training.get("settings", {})
    declared: list[tuple[str, Mapping[str, Any]]] = [
        (one.name, {**one.settings, **values_of(one.tunable, given.get(one.name, {}))})
        for one in learners(training.get("networks", ()))
    ]
    for owner, settings in (*declared, *SETTINGS.items()):
        for name, value in settings.items():
            yield _setting(name, value, owner)


def _fitted(training: Mapping[str, Any]) -> Iterator[Entry]:
    """The facts of a manifest: dates, total, slope, lifetimes with their reports."""
    for name in ("kind", "first_order", "label_days", "slope", "purchase_slope", "retention_rate"):
        if name in training:
            yield _setting(name, training[name])
    for place, cutoff in enumerate(training.get("cutoff_dates", ()), start=1):
        yield Entry("setting", "cutoff_date", step=place, text=str(cutoff))
    for name, value in training.get("shrinkage", {}).items():
        yield _setting(name, value, "shrinkage")
    for place, (feature, sign) in enumerate(sorted(training.get("monotone", {}).items()), start=1):
        yield Entry("setting", "monotone", step=place, value=float(sign), text=feature)
    for place, feature in enumerate(training.get("features_off", ()), start=1):
        yield Entry("setting", "feature_off", step=place, text=feature)
    for name, value in training.get("total_forecast", {}).items():
        if name != "backtest_log_errors":  # a score
            yield _setting(name, value, "total")
    for part, facts in training.get("lifetimes", {}).items():
        for name, value in (facts if isinstance(facts, dict) else {part: facts}).items():
            yield _setting(name, value, part if isinstance(facts, dict) else "lifetimes")


def _setting(name: str, value: Any, model: str | None = None) -> Entry:
    """A number as `value`, also true and false; anything else as `text`, None as neither."""
    if isinstance(value, int | float):
        number = float(value)
        return Entry("setting", name, model, value=number if np.isfinite(number) else None)
    if isinstance(value, tuple):
        value = list(value)
    return Entry("setting", name, model, text=None if value is None else str(value))


def append_training_run(
    con: DuckDBPyConnection, schema: str, run: Run, entries: Sequence[Entry]
) -> None:
    """Adds the rows of a training to the schema's table, which is made where it is missing.

    Former trainings stay. Without an entry there is one row that says the reason alone.
    """
    import pyarrow as pa

    quoted = schema.replace('"', '""')
    table = f'"{quoted}"."{TABLE}"'
    columns = ", ".join(f'"{name}" {kind}' for name, (kind, _) in COLUMNS.items())
    shared = {
        "run_at": run.run_at.replace(tzinfo=None),
        "model_version": run.model_version,
        "as_of_date": run.plan.as_of,
        "horizon_days": run.plan.horizon_days,
        "is_deployed": run.is_deployed,
        "reason": run.reason,
    }
    arrow = {
        "timestamp": pa.timestamp("us"),
        "date": pa.date32(),
        "integer": pa.int32(),
        "boolean": pa.bool_(),
        "double": pa.float64(),
        "varchar": pa.string(),
    }
    rows = [shared | entry.__dict__ for entry in entries or [Entry("setting", "reason")]]
    added = pa.Table.from_pylist(  # noqa: F841 - the statement below reads it by name
        rows, schema=pa.schema([(name, arrow[kind]) for name, (kind, _) in COLUMNS.items()])
    )
    con.execute(f'create schema if not exists "{quoted}"').fetchall()
    con.execute(f"create table if not exists {table} ({columns})").fetchall()
    for name, (_, comment) in COLUMNS.items():
        con.execute(f"comment on column {table}.\"{name}\" is '{comment}'").fetchall()
    con.execute(f"insert into {table} by name select * from added").fetchall()
