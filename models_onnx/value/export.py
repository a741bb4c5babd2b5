"""The fitted model as one ONNX file with named inputs, and the gate that both say the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from onnx import TensorProto

from cva_sql.models_onnx.value.candidates import LOWEST_LINE, RESIDUAL_LEVELS, Glm
from cva_sql.models_onnx.value.dataset import Dataset
from cva_sql.models_onnx.value.fit import Choice
from cva_sql.models_onnx.value.graph import (
    OPSET,
    Graph,
    add_logit,
    add_piecewise_line,
    add_shares_among_buyers,
    output_quantiles,
)
from cva_sql.models_onnx.value.model import (
    BLEND,
    DECAYED,
    DECAYED_FLOOR,
    LARGEST_PROBABILITY,
    MIN_STEP,
    NUDGE,
    SMALLEST_PROBABILITY,
    FittedModel,
)
from cva_sql.models_onnx.value.origins import Plan
from cva_sql.models_onnx.value.preprocessing import CLIP, Preprocessing
from cva_sql.models_onnx.value.trees_graph import add_steps, add_trees
from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.manifest import OUTPUTS, Feature, Manifest
from cva_sql.udfs.predict import run_session
from cva_sql.udfs.projection import TextProjection
from cva_sql.udfs.sessions import ValueModel, open_session

PARITY_TOLERANCE = 1e-4  # relative; single precision inputs leave 1e-7, the rest is a wrong graph
PARITY_ROWS = 5000


def build_model(model: FittedModel) -> bytes:
    """The ONNX file of a fitted model."""
    graph = Graph()
    members = model.members
    matrix = _add_matrix(graph, members.preprocessing)
    trees = [
        members.value_trees,
        members.probability_trees,
        members.orders_trees,
        *model.residual_trees,
    ]
    value, p, orders, *residuals = [add_trees(graph, matrix, t.booster) for t in trees]
    value = graph.op("Mul", graph.op("Exp", value), members.value_trees.scale)
    value = _add_value(graph, matrix, value, model)
    value = graph.op("Mul", value, model.level * model.stretch)

    p = graph.clip(graph.op("Sigmoid", p), SMALLEST_PROBABILITY, LARGEST_PROBABILITY)
    nobody = graph.op("Pow", graph.op("Sub", 1.0, p), model.stretch)
    probability = graph.op("Sub", 1.0, nobody)
    orders = graph.op("Mul", graph.op("Exp", orders), members.orders_trees.scale * model.stretch)

    graph.output("predicted_value", value)
    graph.output("purchase_probability", probability)
    graph.output("predicted_orders", graph.op("Max", orders, probability))
    zero = graph.op("Mul", value, 0.0)
    graph.output("horizon_retention_rate", graph.op("Add", zero, model.retention_rate))
    graph.output("score", _add_score(graph, value, model.reference))
    _add_quantiles(graph, model, residuals, value, probability)
    return graph.to_bytes(f"cva value model, {model.kind}")


def _add_matrix(graph: Graph, preprocessing: Preprocessing) -> str:
    columns = [graph.number_input(name) for name in preprocessing.numbers]
    for name, values in preprocessing.categories:
        text = graph.category_input(name)
        for value in values:
            columns.append(
                graph.op(
                    "LabelEncoder",
                    text,
                    domain="ai.onnx.ml",
                    keys_strings=[value],
                    values_floats=[1.0],
                    default_float=0.0,
                )
            )
    return graph.whole_blocks(columns)


def _add_value(graph: Graph, matrix: str, trees: str, model: FittedModel) -> str:
    members = model.members
    if model.kind == "lightgbm":
        return trees
    if model.kind == "glm":
        return _add_glm(graph, matrix, members.glm)
    place = members.preprocessing.numbers.index(DECAYED)
    decayed = graph.op("Mul", graph.columns(matrix, place, place + 1), members.decayed_unit)
    decayed = graph.op("Add", decayed, DECAYED_FLOOR * members.glm.unit)
    parts = (_add_glm(graph, matrix, members.glm), trees, decayed)
    logs = [
        graph.op("Mul", graph.op("Log", part), share)
        for part, share in zip(parts, BLEND, strict=True)
    ]
    return graph.op("Exp", graph.op("Add", graph.op("Add", logs[0], logs[1]), logs[2]))


def _add_glm(graph: Graph, matrix: str, glm: Glm) -> str:
    scaled = graph.op("Mul", matrix, graph.const(1 / glm.log_scale.scale))
    size = graph.op("Log", graph.op("Add", graph.op("Abs", scaled), 1.0))
    z = graph.op("Mul", graph.op("Sign", scaled), size)
    z = graph.op("Where", graph.op("IsNaN", scaled), graph.const(glm.log_scale.fill), z)
    # Clipping before standardising is the same and leaves one product for the coefficients.
    mean, deviation = glm.log_scale.mean, glm.log_scale.deviation
    z = graph.op("Max", z, graph.const(mean - CLIP * deviation))
    z = graph.op("Min", z, graph.const(mean + CLIP * deviation))
    slopes = glm.coefficients / deviation
    products = graph.op("Mul", z, graph.const(slopes))
    total = graph.row_sum(products, len(slopes))
    line = graph.op("Add", total, glm.intercept - float(np.sum(slopes * mean)))
    line = graph.clip(line, LOWEST_LINE, glm.highest)
    return graph.op("Mul", graph.op("Exp", line), glm.unit)


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


def _add_quantiles(
    graph: Graph, model: FittedModel, residuals: list[str], value: str, probability: str
) -> None:
    knots = [float(np.log(q / (1 - q))) for q in RESIDUAL_LEVELS]
    for k in range(1, len(residuals)):
        residuals[k] = graph.op("Max", residuals[k - 1], residuals[k])
    if not residuals:
        residuals = [graph.const([[float(r)]]) for r in model.residual_quantiles]
    mean_if_purchase = graph.op("Div", value, graph.op("Max", probability, 1e-9))
    u, is_zero = add_shares_among_buyers(graph, probability)
    line = add_piecewise_line(graph, add_logit(graph, u), knots, residuals)
    output_quantiles(graph, graph.op("Mul", mean_if_purchase, graph.op("Exp", line)), is_zero)


def build_manifest(
    model: FittedModel,
    data: bytes,
    plan: Plan,
    choice: Choice,
    first_order: date,
    database: str | None = None,
    text_projection: TextProjection | None = None,
) -> Manifest:
    """The manifest of a built model; the version says what it was trained for and its hash.

    `database` is the name of the shop's file: the level of money does not travel between shops.
    `text_projection` made the text features that the model was trained on.
    """
    digest = hashlib.sha256(data).hexdigest()
    preprocessing = model.members.preprocessing
    features = [Feature(name, "number") for name in preprocessing.numbers]
    features += [Feature(name, "category") for name, _ in preprocessing.categories]
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
            "level": model.level,
            "stretch": model.stretch,
            "retention_rate": model.retention_rate,
            "score_reference": [float(value) for value in model.reference],
        },
        evaluation={
            "validation_dates": [origin.isoformat() for origin in choice.dates],
            "scores": choice.scores,
            "verdict": choice.reason,
        },
        text_projection=text_projection,
    )


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
    step = max(1, len(rows) // PARITY_ROWS)
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
