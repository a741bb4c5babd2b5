"""What a kind of model is: trained on the past, held against named rules, one SQL function."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from cva_sql.models_onnx.value.data.cutoffs import Plan
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.manifest import Feature, Manifest
from cva_sql.udfs.projection import TextProjection
from cva_sql.udfs.rating import RatingHead

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

OUTPUT_TYPE = "tensor(double)"


@dataclass(frozen=True)
class Past:
    """What a kind may learn from.

    `examples` are the rows of `<schema>.cva_training_examples`: features of each customer on the
    plan's past dates and on `plan.as_of`, with spend and orders of the `plan.label_days` after.
    Other facts are read by `con`, from schema `<schema>_cva` (int_cva__orders_valid, …); a kind
    has to leave out by itself what came after the date that it looks from. `database` is the name
    of the shop's file, `text_projection` what features of review text were made with,
    `words_projection` those of the family `words`, `rating_head` what tells ratings from texts.
    """

    con: DuckDBPyConnection
    schema: str
    plan: Plan
    first_order: date
    database: str
    examples: Dataset
    text_projection: TextProjection | None = None
    report: Callable[[str], None] = field(default=lambda _: None)
    words_projection: TextProjection | None = None
    rating_head: RatingHead | None = None


@dataclass(frozen=True)
class TrainedKind:
    """A trained model: its ONNX file, its manifest, and whether it beat every named rule.

    `beside` are further files for its folder, by name.
    """

    onnx: bytes
    manifest: Manifest
    is_better: bool
    beside: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """Why it is better or not, in a sentence."""
        return str(self.manifest.evaluation["verdict"])


@dataclass(frozen=True)
class Kind:
    """A kind as its file declares it, in a module attribute `KIND`.

    `name` is its folder below the models' and its key in deployed.json; its SQL function is
    cva_<name>. `outputs` are numbers (DOUBLE), one row in, one row out. `train` gives None where
    there is too little to learn from.
    """

    name: str
    outputs: tuple[str, ...]
    train: Callable[[Past], TrainedKind | None]


def trained_kind(
    name: str,
    outputs: Sequence[str],
    past: Past,
    onnx: bytes,
    features: Sequence[Feature],
    figures: Mapping[str, Mapping[str, float]],
    verdict: tuple[bool, str],
    *,
    dates: Sequence[date] = (),
    training: Mapping[str, Any] | None = None,
) -> TrainedKind:
    """A trained model with its manifest.

    `figures` is name -> metric -> value on a later period, `name`'s own beside those of the rules;
    `dates` are those on which they were measured. `verdict` is what `judge` says of them.
    `training` is whatever else should be known.
    """
    plan, digest = past.plan, hashlib.sha256(onnx).hexdigest()
    is_better, reason = verdict
    manifest = Manifest(
        name=name,
        version=f"{plan.as_of:%Y%m%d}-h{plan.horizon_days}-{name}-{digest[:8]}",
        sha256=digest,
        features=tuple(features),
        horizon_days=plan.horizon_days,
        is_baseline=False,
        opset=_opset(onnx),
        training={
            "database": past.database,
            "as_of": plan.as_of.isoformat(),
            "first_order": past.first_order.isoformat(),
            "kind": name,
            **(training or {}),
        },
        evaluation={
            "validation_dates": [day.isoformat() for day in dates],
            "scores": {model: dict(found) for model, found in figures.items()},
            "verdict": reason,
        },
        outputs=tuple(outputs),
    )
    return TrainedKind(onnx, manifest, is_better)


def judge(
    figures: Mapping[str, Mapping[str, float]], name: str, metric: str, *, more_is_better: bool
) -> tuple[bool, str]:
    """Whether the model is ahead of every rule among `figures` on this metric, and the sentence.

    Raises ValueError without a rule: a model that was held against nothing is not deployed.
    """
    own = figures[name][metric]
    rules = {rule: found[metric] for rule, found in figures.items() if rule != name}
    if not rules:
        raise ValueError(f"{name} has no rule to be held against; name one in its figures")
    best = (max if more_is_better else min)(rules, key=lambda rule: rules[rule])
    lead = own - rules[best] if more_is_better else rules[best] - own
    shown = f"{metric} {own:.3f}, best rule {best} {rules[best]:.3f}"
    if math.isfinite(lead) and lead > 0:
        return True, f"{name} is better than every rule ({shown})"
    return False, f"{name} is not better than every rule ({shown})"


def check_file(kind: Kind, trained: TrainedKind) -> None:
    """Raises ModelError where file, manifest and kind do not fit together."""
    from cva_sql.udfs.sessions import check_fits, open_session

    manifest = trained.manifest
    if (manifest.name, manifest.outputs) != (kind.name, kind.outputs):
        raise ModelError(
            f"kind {kind.name} with outputs {', '.join(kind.outputs)} trained a model of kind "
            f"{manifest.name} with outputs {', '.join(manifest.outputs)}"
        )
    if hashlib.sha256(trained.onnx).hexdigest() != manifest.sha256:
        raise ModelError(f"the manifest of {manifest.version} is of another file")
    session = open_session(trained.onnx)
    check_fits(manifest, session)
    found = session.outputs()
    for name in kind.outputs:
        if found[name] != OUTPUT_TYPE:
            raise ModelError(
                f"output {name} of {manifest.version} is {found[name]}; expected {OUTPUT_TYPE}"
            )


def _opset(onnx: bytes) -> int:
    import onnx as library

    imports = library.load_from_string(onnx).opset_import
    return int(next((entry.version for entry in imports if entry.domain in ("", "ai.onnx")), 0))
