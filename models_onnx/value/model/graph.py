"""The fitted model as one ONNX file with named inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from cva_sql.models_onnx.value.graph.builder import (
    Graph,
    add_logit,
    add_piecewise_line,
    add_shares_among_buyers,
    output_quantiles,
)
from cva_sql.models_onnx.value.graph.trees import add_steps
from cva_sql.models_onnx.value.model.fitted import MIN_STEP, NUDGE, FittedModel
from cva_sql.models_onnx.value.preparation.graph import GraphRows, add_rows
from cva_sql.models_onnx.value.total.intervals import MIN_WIDTH, RESIDUAL_LEVELS
from cva_sql.udfs.members import SUFFIX


def build_model(model: FittedModel) -> bytes:
    """The ONNX file of a fitted model."""
    graph = Graph()
    members = model.members
    rows = add_rows(graph, members.preparation, members.log_scale)
    predictor = members.write_linear_predictor(graph, rows, model.kind)
    predictor = graph.op("Mul", predictor, model.slope)
    predictor = graph.op("Min", graph.op("Add", predictor, model.spend_shift), model.log_highest)
    value = graph.op("Exp", predictor)
    logit = members.write_purchase_logit(graph, rows, model.kind)
    logit = graph.op("Mul", logit, model.purchase_slope)
    logit = graph.op("Add", logit, model.purchase_shift)
    add_outputs(graph, model, rows, value, logit)
    return graph.to_bytes(f"cva value model, {model.kind}")


def build_members(model: FittedModel) -> bytes:
    """The ONNX file of what each member of a fitted model predicts alone, at the model's level.

    An output has log of that. It is no output of the model's file: there all that is linear is
    added up first, and a session computes every output that a file has.
    """
    graph = Graph()
    members = model.members
    rows = add_rows(graph, members.preparation, members.log_scale)
    for name in members.weights(model.kind):
        predictor = graph.op("Mul", members.write_member(graph, rows, name), model.slope)
        graph.output(f"{name}{SUFFIX}", graph.op("Add", predictor, model.spend_shift))
    return graph.to_bytes(f"cva value model, the members of {model.kind}")


def add_outputs(
    graph: Graph,
    model: FittedModel,
    rows: GraphRows,
    value: str,
    logit: str,
    *,
    is_step_a_tree: bool = True,
) -> None:
    """See `FittedModel.outputs`."""
    least = graph.op("Mul", value, 1 / model.largest_spend)
    probability = graph.op("Max", graph.op("Sigmoid", logit), least)
    if model.counts_orders:
        probability = graph.op("Min", probability, value)
    probability = graph.probability(probability)

    graph.output("predicted_value", value)
    graph.output("purchase_probability", probability)
    graph.output("predicted_orders", _add_orders(graph, model, rows, value, probability))
    zero = graph.op("Mul", value, 0.0)
    graph.output("horizon_retention_rate", graph.op("Add", zero, model.retention_rate))
    graph.output("score", _add_score(graph, value, model.reference, is_tree=is_step_a_tree))
    _add_quantiles(graph, model, value, probability)


def _add_orders(
    graph: Graph, model: FittedModel, rows: GraphRows, value: str, probability: str
) -> str:
    if model.counts_orders:
        return graph.op("Max", value, probability)
    own = graph.sum([rows.logit_purchase, *rows.purchase_extrapolation])
    own = graph.probability(graph.op("Sigmoid", own))
    scales = [probability, own]
    if model.members.preparation.lifetimes.dropout.stages == 1:
        scales = [graph.op("Log", graph.op("Sub", 1.0, p)) for p in scales]
    orders = graph.op("Exp", graph.sum([rows.log_orders, *rows.orders_extrapolation]))
    orders = graph.op("Mul", graph.op("Mul", orders, graph.op("Div", *scales)), model.orders_factor)
    return graph.op("Max", orders, probability)


def _add_score(graph: Graph, value: str, reference: Any, *, is_tree: bool) -> str:
    """See `fitted.score`; a tree finds the step, a hundred comparisons a row cost more."""
    low, high = reference[:-1], reference[1:]
    value = graph.op("Mul", value, NUDGE)
    if is_tree:
        step = add_steps(graph, value, [float(bound) for bound in high[:-1]])
    else:
        above = graph.op("Greater", value, graph.column(high[:-1]))
        step = graph.sum_of_lines(graph.double(above))
    index = graph.op("Cast", step, to=TensorProto.INT64)
    start = graph.op("Gather", graph.const(low), index)
    slope = graph.op("Gather", graph.const(1 / np.maximum(high - low, MIN_STEP)), index)
    inside = graph.op("Mul", graph.op("Sub", value, start), slope)
    return graph.op("Add", step, graph.clip(inside, 0.0, 1.0))


def _add_quantiles(graph: Graph, model: FittedModel, value: str, probability: str) -> None:
    knots = [float(np.log(q / (1 - q))) for q in RESIDUAL_LEVELS]
    residuals, width = model.residuals, model.residuals.high_at - model.residuals.low_at
    x = graph.clip(graph.op("Log", probability), residuals.low_at, residuals.high_at)
    share = graph.op("Mul", graph.op("Sub", x, residuals.low_at), 1 / max(width, MIN_WIDTH))
    rise = graph.op("Mul", share, graph.column(residuals.high - residuals.low))
    quantiles = graph.op("Add", rise, graph.column(residuals.low))
    values = [graph.lines(quantiles, k, k + 1) for k in range(len(knots))]
    mean_if_purchase = graph.op("Div", value, graph.op("Max", probability, 1e-9))
    u, is_zero = add_shares_among_buyers(graph, probability)
    line = add_piecewise_line(graph, add_logit(graph, u), knots, values)
    output_quantiles(graph, graph.op("Mul", mean_if_purchase, graph.op("Exp", line)), is_zero)
