"""The fitted model as one ONNX file with named inputs, and the gate that both say the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from onnx import TensorProto

from cva_sql.models_onnx.value.data.cutoffs import Plan
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.data.preprocessing import CLIP, LogScale
from cva_sql.models_onnx.value.data.shop_past import SHOWN_OUTLIERS, Outlier
from cva_sql.models_onnx.value.fit import Choice
from cva_sql.models_onnx.value.graph.builder import (
    OPSET,
    Graph,
    add_logit,
    add_piecewise_line,
    add_shares_among_buyers,
    output_quantiles,
)
from cva_sql.models_onnx.value.graph.rows import Rows, add_rows
from cva_sql.models_onnx.value.graph.trees import add_steps, add_trees
from cva_sql.models_onnx.value.members.linear import Linear
from cva_sql.models_onnx.value.members.trees import Trees
from cva_sql.models_onnx.value.model import (
    CHANCES,
    ENSEMBLE,
    LARGEST_LOGIT,
    MIN_STEP,
    NUDGE,
    RESIDUAL_LEVELS,
    WEIGHTS,
    FittedModel,
    Members,
)
from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.manifest import OUTPUTS, Explanation, Feature, Manifest
from cva_sql.udfs.predict import run_session
from cva_sql.udfs.projection import TextProjection
from cva_sql.udfs.sessions import ValueModel, open_session

PARITY_TOLERANCE = 1e-4  # relative; single precision inputs leave 1e-7, the rest is a wrong graph
PARITY_ROWS = 5000


def build_model(model: FittedModel) -> bytes:
    """The ONNX file of a fitted model."""
    graph = Graph()
    rows = add_rows(graph, model.members.preparation)
    lines = _Lines(graph, model.members, rows)
    line = graph.op("Mul", lines.spend(model.kind), model.slope)
    line = graph.op("Min", graph.op("Add", line, model.log_level), model.log_highest)
    value = graph.op("Exp", line)
    chance = graph.op("Add", lines.purchase(model.kind), model.logit_level)
    least = graph.op("Mul", value, 1 / model.largest_spend)
    probability = graph.chance(graph.op("Max", graph.op("Sigmoid", chance), least))

    graph.output("predicted_value", value)
    graph.output("purchase_probability", probability)
    graph.output("predicted_orders", _add_orders(graph, model, rows, probability))
    zero = graph.op("Mul", value, 0.0)
    graph.output("horizon_retention_rate", graph.op("Add", zero, model.retention_rate))
    graph.output("score", _add_score(graph, value, model.reference))
    _add_quantiles(graph, model, value, probability)
    return graph.to_bytes(f"cva value model, {model.kind}")


class _Lines:
    """The members of one model as graph values, each written only where a kind needs it."""

    def __init__(self, graph: Graph, members: Members, rows: Rows) -> None:
        self.graph, self.members, self.rows = graph, members, rows
        self._z = ""

    def spend(self, kind: str) -> str:
        """See `Members.spend_line`; what is linear in the same columns is added up beforehand."""
        graph, rows, weights = self.graph, self.rows, WEIGHTS[kind]
        own = weights.get("mbgnbd", 0.0) + weights.get("glm_offset", 0.0)
        terms = [graph.op("Mul", rows.log_spend, own)] if own else []
        linear = [
            (weights[name], part)
            for name, part in (
                ("glm_offset", self.members.glm_offset),
                ("glm_plain", self.members.glm_plain),
            )
            if name in weights
        ]
        terms += [self._linear(linear)] if linear else []
        others: dict[str, Callable[[], str]] = {
            "lightgbm": lambda: self._trees(self.members.value_trees),
            "hurdle": self._hurdle,
            "decayed": lambda: rows.log_decayed,
        }
        for name, write in others.items():
            if name in weights:
                terms.append(graph.op("Mul", write(), weights[name]))
        return graph.sum([*terms, *rows.spend_stretch])

    def purchase(self, kind: str) -> str:
        """See `Members.purchase_line`."""
        return self.graph.sum([self._logit(kind), *self.rows.purchase_stretch])

    def _logit(self, kind: str) -> str:
        own, with_offset, plain = CHANCES[kind]
        line = self.graph.op("Mul", self.rows.logit_purchase, own)
        if not with_offset and not plain:
            return line
        members = self.members
        linear = [(with_offset, members.logit_offset), (plain, members.logit_plain)]
        return self.graph.op("Add", line, self._linear(linear))

    def _linear(self, parts: Sequence[tuple[float, Linear]]) -> str:
        """Σ weight · (coefficients · z + intercept), as one sum of lines."""
        if not self._z:
            self._z = _add_z(self.graph, self.rows, self.members.log_scale)
        # z is clipped but not yet standardised: that is left to the coefficients.
        mean, deviation = self.members.log_scale.mean, self.members.log_scale.deviation
        slopes = np.sum([weight * part.coefficients for weight, part in parts], axis=0) / deviation
        intercept = sum(weight * part.intercept for weight, part in parts)
        products = self.graph.op("Mul", self._z, self.graph.column(slopes))
        total = self.graph.sum_of_lines(products)
        return self.graph.op("Add", total, intercept - float(np.sum(slopes * mean)))

    def _trees(self, trees: Trees) -> str:
        raw = add_trees(self.graph, self.rows.features, trees.booster)
        return self.graph.op("Add", raw, float(np.log(trees.scale)))

    def _hurdle(self) -> str:
        # Not the Log of Sigmoid, which has no digits left below a logit of −30.
        graph = self.graph
        logit = graph.clip(self._logit(ENSEMBLE), -LARGEST_LOGIT, LARGEST_LOGIT)
        never = graph.op("Log", graph.op("Add", graph.op("Exp", graph.op("Neg", logit)), 1.0))
        return graph.op("Sub", self._trees(self.members.amount_trees), never)


def _add_z(graph: Graph, rows: Rows, log_scale: LogScale) -> str:
    """See `LogScale.transform`, before it is standardised."""
    scaled = graph.op("Mul", rows.features, graph.column(1 / log_scale.scale))
    size = graph.op("Log", graph.op("Add", graph.op("Abs", scaled), 1.0))
    z = graph.op("Concat", graph.op("Mul", graph.op("Sign", scaled), size), rows.logs, axis=0)
    z = graph.op("Where", graph.op("IsNaN", z), graph.column(log_scale.fill), z)
    mean, deviation = log_scale.mean, log_scale.deviation
    z = graph.op("Max", z, graph.column(mean - CLIP * deviation))
    return graph.op("Min", z, graph.column(mean + CLIP * deviation))


def _add_orders(graph: Graph, model: FittedModel, rows: Rows, probability: str) -> str:
    own = graph.sum([rows.logit_purchase, *rows.purchase_stretch])
    own = graph.chance(graph.op("Sigmoid", own))
    rates = [graph.op("Log", graph.op("Sub", 1.0, chance)) for chance in (probability, own)]
    orders = graph.op("Exp", graph.sum([rows.log_orders, *rows.orders_stretch]))
    orders = graph.op("Mul", graph.op("Mul", orders, graph.op("Div", *rates)), model.orders_factor)
    return graph.op("Max", orders, probability)


def _add_score(graph: Graph, value: str, reference: Any) -> str:
    """See `model.score`; a tree finds the step, a hundred comparisons a row cost more."""
    low, high = reference[:-1], reference[1:]
    value = graph.op("Mul", value, NUDGE)
    step = add_steps(graph, value, [float(bound) for bound in high[:-1]])
    index = graph.op("Cast", step, to=TensorProto.INT64)
    start = graph.op("Gather", graph.const(low), index)
    slope = graph.op("Gather", graph.const(1 / np.maximum(high - low, MIN_STEP)), index)
    inside = graph.op("Mul", graph.op("Sub", value, start), slope)
    return graph.op("Add", step, graph.clip(inside, 0.0, 1.0))


def _add_quantiles(graph: Graph, model: FittedModel, value: str, probability: str) -> None:
    knots = [float(np.log(q / (1 - q))) for q in RESIDUAL_LEVELS]
    residuals, width = model.residuals, model.residuals.high_at - model.residuals.low_at
    x = graph.clip(graph.op("Log", probability), residuals.low_at, residuals.high_at)
    share = graph.op("Mul", graph.op("Sub", x, residuals.low_at), 1 / max(width, MIN_STEP))
    rise = graph.op("Mul", share, graph.column(residuals.high - residuals.low))
    levels = graph.op("Add", rise, graph.column(residuals.low))
    values = [graph.lines(levels, k, k + 1) for k in range(len(knots))]
    mean_if_purchase = graph.op("Div", value, graph.op("Max", probability, 1e-9))
    u, is_zero = add_shares_among_buyers(graph, probability)
    line = add_piecewise_line(graph, add_logit(graph, u), knots, values)
    output_quantiles(graph, graph.op("Mul", mean_if_purchase, graph.op("Exp", line)), is_zero)


def build_manifest(
    model: FittedModel,
    data: bytes,
    plan: Plan,
    choice: Choice,
    first_order: date,
    database: str | None = None,
    text_projection: TextProjection | None = None,
    outliers: Sequence[Outlier] = (),
    explanation: Explanation | None = None,
) -> Manifest:
    """The manifest of a built model; the version says what it was trained for and its hash.

    `database` is the name of the shop's file: the level of money does not travel between shops.
    `text_projection` made the text features that the model was trained on; the `outliers` were left
    out; without an `explanation` nothing can be explained.
    """
    digest = hashlib.sha256(data).hexdigest()
    preprocessing = model.members.preparation.preprocessing
    features = [Feature(name, "number") for name in preprocessing.numbers]
    features += [Feature(name, "category", values) for name, values in preprocessing.categories]
    return Manifest(
        name="value",
        version=f"{plan.as_of:%Y%m%d}-h{plan.horizon_days}-{model.kind}-{digest[:8]}",
        sha256=digest,
        features=tuple(features),
        horizon_days=plan.horizon_days,
        is_baseline=False,
        opset=OPSET,
        training={
            "database": database,
            "as_of": plan.as_of.isoformat(),
            "first_order": first_order.isoformat(),
            "label_days": plan.label_days,
            "origins": [origin.isoformat() for origin in plan.origins],
            "kind": model.kind,
            "outliers": [asdict(outlier) for outlier in outliers[:SHOWN_OUTLIERS]],
            "level": _level_facts(model, choice),
            "lifetimes": _lifetime_facts(model),
            "slope": model.slope,
            "retention_rate": model.retention_rate,
            "score_reference": [float(value) for value in model.reference],
        },
        evaluation={
            "validation_dates": [origin.isoformat() for origin in choice.dates],
            "scores": choice.scores,
            "verdict": choice.reason,
        },
        text_projection=text_projection,
        explanation=explanation,
    )


def _level_facts(model: FittedModel, choice: Choice) -> dict[str, Any]:
    """The level's forecast, the days it is good for, and its errors where it could be tested."""
    level = model.level
    return {
        "customers": model.level_customers,
        **{name: value for name, value in asdict(level).items() if name != "as_of"},
        "from": level.as_of.isoformat(),
        "to": (level.as_of + timedelta(days=level.days)).isoformat(),
        "backtest_log_errors": list(choice.level_errors),
    }


def _lifetime_facts(model: FittedModel) -> dict[str, Any]:
    """What the customers of the scoring date were fitted by, with the report of each fit."""
    lifetimes = model.members.preparation.lifetimes
    dropout = {k: v for k, v in asdict(lifetimes.dropout).items() if k != "loglik"}
    spend = {k: v for k, v in asdict(lifetimes.spend).items() if k != "loglik"}
    return {"dropout": dropout, "spend": spend, "largest_order": lifetimes.largest_order}


@dataclass(frozen=True)
class Parity:
    """How far the file is from the fitted model: the largest relative difference, and where."""

    rows: int
    worst: float
    output: str


def check_parity(model: FittedModel, data: bytes, manifest: Manifest, rows: Dataset) -> Parity:
    """Compares file and fitted model on `rows`, in one batch and row by row in odd ones.

    Raises ModelError where any output differs by more than PARITY_TOLERANCE, or where a row's
    result depends on its batch at all.
    """
    loaded = ValueModel(manifest, open_session(data))
    step = max(1, -(-len(rows) // PARITY_ROWS))
    sample = rows.select(np.arange(len(rows)) % step == 0)
    inputs: dict[str, Any] = {}
    for feature in manifest.features:
        column = (sample.numbers if feature.kind == "number" else sample.categories)[feature.name]
        inputs[feature.name] = column.reshape(-1, 1)
    whole = run_session(loaded, inputs, len(sample))
    for first, count in ((0, 1), (1, 7), (5, 100), (3, 2048)):
        part = {name: column[first : first + count] for name, column in inputs.items()}
        size = len(sample.customer_id[first : first + count])
        for name, value in run_session(loaded, part, size).items():
            if not np.array_equal(value, whole[name][first : first + count]):
                raise ModelError(
                    f"{name} of a row depends on the rows beside it; the model is not deployed"
                )
    parity = _largest_difference(model.predict(sample), whole)
    if not parity.worst <= PARITY_TOLERANCE:
        raise ModelError(
            f"{parity.output} differs by {parity.worst:.1e} between the fitted model and its ONNX "
            f"file; expected at most {PARITY_TOLERANCE:.0e}, so the model is not deployed"
        )
    return parity


def _largest_difference(expected: dict[str, Any], got: dict[str, Any]) -> Parity:
    worst, where, rows = 0.0, OUTPUTS[0], 0
    for name, values in expected.items():
        rows = len(values)
        other = got[name]
        if not np.isfinite(other).all():
            return Parity(rows, np.inf, name)
        # Relative to the value, or to a ten-thousandth of the column's mean for values near zero.
        scale = np.maximum(np.abs(values), 1e-4 * np.abs(values).mean() + 1e-12)
        difference = float(np.max(np.abs(other - values) / scale, initial=0.0))
        if difference > worst:
            worst, where = difference, name
    return Parity(rows, worst, where)
