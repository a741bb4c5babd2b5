"""Which version a strategy deploys: the best judged one, or the newest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cva_sql.cli.models.inventory import RULE, Model, value_models
from cva_sql.udfs.errors import UsageError

FIGURE = "d2_shape"  # the deviance explained, by which a training judges: see training/choice.py


class Strategy(StrEnum):
    """How a version is chosen."""

    BEST_SCORE = "best_score"
    MOST_RECENT = "most_recent"


@dataclass(frozen=True)
class Judged:
    """A model with what says whether its figure may be held against another's."""

    version: str
    as_of: str
    terms: tuple[str, int | None, tuple[str, ...]]  # target, horizon, validation dates
    figure: float


def choose_version(models_dir: Path, strategy: Strategy) -> tuple[str, str]:
    """The version and why; raises UsageError where nothing can be chosen.

    `most_recent` has the newest `as_of`, the last stored of several. `best_score` explains most
    deviance among those that were judged as the newest one was: for the same target and horizon,
    on the same dates. Figures of other dates do not compare, as the dates differ more than models.
    """
    models = [
        model
        for model in value_models(models_dir)
        if model.kind != RULE and model.problem is None and _stored_at(model)
    ]
    if not models:
        raise UsageError(f"{models_dir} has no trained model to choose from; make one: cva train")
    newest = max(models, key=lambda m: (m.as_of or "", _stored_at(m), m.version))
    if strategy is Strategy.MOST_RECENT:
        return newest.version, f"trained as of {newest.as_of}, the newest"
    judged = {model.version: _judged(model) for model in models}
    terms = judged[newest.version].terms
    group = [one for one in judged.values() if one.terms == terms and math.isfinite(one.figure)]
    others = len(models) - len(group)
    if len(group) < min(2, len(models)):
        raise UsageError(_incomparable(newest, terms))
    best = max(group, key=lambda one: (one.figure, one.as_of, one.version))
    left_out = f"; {others} judged otherwise do not compare" if others else ""
    return best.version, (
        f"{FIGURE} {best.figure:.3f}, the best of {len(group)} judged on "
        f"{', '.join(terms[2])}{left_out}"
    )


def _incomparable(newest: Model, terms: tuple[str, int | None, tuple[str, ...]]) -> str:
    dates = ", ".join(terms[2]) or "no date"
    return (
        f"--strategy {Strategy.BEST_SCORE}: {newest.version} was judged on {dates}, and no other "
        "model was, for the same target and horizon; name one: cva models deploy VERSION"
    )


def _judged(model: Model) -> Judged:
    from cva_sql.udfs.manifest import read_manifest

    manifest = read_manifest(Path(model.folder))
    dates = tuple(manifest.evaluation.get("validation_dates") or ())
    found = manifest.evaluation.get("scores", {}).get(model.kind, {}).get(FIGURE)
    figure = math.nan if found is None or not dates else float(found)
    terms = (manifest.target, manifest.horizon_days, dates)
    return Judged(model.version, model.as_of or "", terms, figure)


def _stored_at(model: Model) -> int:
    """When the model was stored, in nanoseconds; 0 where its file is gone."""
    from cva_sql.udfs.manifest import MODEL_FILE

    try:
        return (Path(model.folder) / MODEL_FILE).stat().st_mtime_ns
    except OSError:
        return 0
