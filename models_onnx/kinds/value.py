"""The value model as a kind: what `models_onnx/value` fits, chooses and exports."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from cva_sql.models_onnx.kinds.contract import Kind, Past, TrainedKind
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.data.target import SPEND
from cva_sql.models_onnx.value.model.parity import Parity
from cva_sql.models_onnx.value.training.choice import Choice
from cva_sql.models_onnx.value.training.fit import Fitting, fit_model
from cva_sql.udfs.manifest import MEMBERS_FILE, OUTPUTS
from cva_sql.udfs.sessions import VALUE

TEXT_FAMILY, WORDS_FAMILY = "reviews", "words"  # whose parts of text projections make


@dataclass(frozen=True)
class Fitted:
    """The fit, with the rows it was made from."""

    rows: Dataset
    fitting: Fitting

    def reads(self, family: str) -> bool:
        """Whether the model has a feature of the family that texts are projected for."""
        model = self.fitting.model
        names = model.members.preparation.numbers if model else ()
        return any(self.rows.families.get(name) == family for name in names)

    @property
    def choice(self) -> Choice:
        """How candidates and rules did, and what follows."""
        return self.fitting.choice


def fit_value(past: Past, candidate: str | None = None) -> Fitted:
    """Fits all that may score, and says which won.

    `candidate` scores in place of that: see `members.registry.candidates`.
    """
    return Fitted(past.examples, fit_model(past.examples, past.plan, past.report, candidate))


def export_value(past: Past, fitted: Fitted) -> tuple[TrainedKind, Parity] | None:
    """The file and how near it is to the fitted model; None where nothing could be fitted.

    Raises ModelError where they differ.
    """
    from cva_sql.models_onnx.value.model.graph import build_members, build_model
    from cva_sql.models_onnx.value.model.parity import check_members, check_parity
    from cva_sql.models_onnx.value.training.distributions import with_distributions
    from cva_sql.models_onnx.value.training.manifest import build_manifest, describe_members
    from cva_sql.models_onnx.value.training.typical_customer import build_explanation

    model, choice = fitted.fitting.model, fitted.choice
    if model is None:
        return None
    shop = past.examples.shops.get(past.plan.as_of)
    now = fitted.rows.seen_from(past.plan.as_of)
    onnx, members = build_model(model), build_members(model)
    manifest = build_manifest(
        model,
        onnx,
        past.plan,
        choice,
        past.first_order,
        past.database,
        past.text_projection if fitted.reads(TEXT_FAMILY) else None,
        shop.outliers if shop else (),
        build_explanation(model, now),
        fitted.fitting.learning.at(past.plan.cutoffs),
        _target_facts(past.examples, fitted.fitting),
        past.words_projection if fitted.reads(WORDS_FAMILY) else None,
    )
    manifest = replace(
        manifest, members=describe_members(model, members), rating_head=past.rating_head
    )
    parity = check_parity(model, onnx, manifest, now)
    check_members(model, members, manifest, now)
    manifest = with_distributions(manifest, onnx, past.examples, past.plan)
    return TrainedKind(onnx, manifest, choice.has_won, {MEMBERS_FILE: members}), parity


def _target_facts(examples: Dataset, fitting: Fitting) -> dict[str, Any] | None:
    """What a manifest says of a target other than spend; None for spend."""
    target = examples.target
    if target is SPEND:
        return None
    facts: dict[str, Any] = {"target": target.name}
    if target.is_priced:
        facts["target_a_unit_of_spend"] = fitting.learning.unit
    if examples.label_shortfall is not None and examples.label_shortfall.any():
        below = examples.at(fitting.learning.plan.cutoffs, fitting.learning.plan.label_days)
        facts["floored"] = floored(below)
    return facts


def floored(rows: Dataset) -> dict[str, float]:
    """How many labels below 0 count as 0, and by what share that raises their sum."""
    shortfall = rows.label_shortfall
    if shortfall is None:
        return {"examples": 0, "bias": 0.0}
    total = float(rows.label_value.sum()) - float(shortfall.sum())
    bias = float(shortfall.sum()) / total if total > 0 else float("nan")
    return {"examples": int((shortfall > 0).sum()), "bias": bias}


def train_value(past: Past) -> TrainedKind | None:
    """See `Kind.train`."""
    exported = export_value(past, fit_value(past))
    return exported[0] if exported else None


KIND = Kind(name=VALUE, outputs=OUTPUTS, train=train_value)
