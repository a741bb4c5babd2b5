"""The predictions of `forecasts.py` and `gamma_gamma.py` inside the graph: the same formulas.

ONNX has neither log1p nor expm1, and both are needed: at the smallest nodes 1 + p·z rounds to 1.
"""

from __future__ import annotations

import numpy as np

from cva_sql.models_onnx.value.estimators.btyd import DropoutModel
from cva_sql.models_onnx.value.estimators.forecasts import MAX_LOG_ODDS, dropout_quadrature
from cva_sql.models_onnx.value.estimators.gamma_gamma import SpendModel
from cva_sql.models_onnx.value.estimators.stages_graph import (
    add_chance,
    add_regular_orders,
    add_stage_rows,
)
from cva_sql.models_onnx.value.graph.builder import Graph, add_half_rise, add_log1p


def add_dropout(
    graph: Graph, x: str, t_x: str, T: str, model: DropoutModel, horizon_days: float
) -> tuple[str, str, str]:
    """(expected orders, P(alive), P(at least one purchase)), each (1, rows).

    Finite where x, t_x and T are (x >= 0, 0 <= t_x <= T), NaN where one of them is. Some 75 nodes,
    about 0.3 µs a row on one core; with stages up to 600 and 1 to 2 µs.
    """
    if model.stages > 1:
        return _add_regular(graph, x, t_x, T, model, horizon_days)
    age = graph.op("Add", T, model.alpha)
    shape = graph.op("Add", x, model.r)
    alive = _add_p_alive(graph, x, age, graph.op("Add", t_x, model.alpha), shape, model)
    z = graph.op("Div", horizon_days, age)
    half_shape = graph.op("Mul", shape, 0.5)
    half_probability = add_half_rise(graph, graph.op("Mul", half_shape, add_log1p(graph, z)))
    half_orders = _add_half_orders(graph, x, z, half_shape, model, horizon_days)
    twice = graph.op("Mul", alive, 2.0)
    return graph.op("Mul", twice, half_orders), alive, graph.op("Mul", twice, half_probability)


def _add_regular(
    graph: Graph, x: str, t_x: str, T: str, model: DropoutModel, horizon_days: float
) -> tuple[str, str, str]:
    """The same with more than one stage between purchases."""
    rows = add_stage_rows(graph, x, t_x, T, model, horizon_days)
    age, age_at_last = (graph.op("Add", time, model.alpha) for time in (T, t_x))
    alive = _add_p_alive(graph, x, age, age_at_last, rows.shape, model, rows.passed)
    chance = add_chance(rows)
    p, weight = _add_dropout_nodes(graph, x, model, horizon_days)
    orders = graph.op("Mul", weight, add_regular_orders(rows, p, chance, model))
    gain = graph.op("Div", graph.sum_of_lines(orders), graph.sum_of_lines(weight))
    return graph.op("Mul", alive, gain), alive, graph.op("Mul", alive, chance)


def _add_p_alive(
    graph: Graph,
    x: str,
    age: str,
    age_at_last: str,
    shape: str,
    model: DropoutModel,
    passed: str = "",
) -> str:
    """See `forecasts.p_alive`; a model with an early chance to drop out needs no case for x = 0."""
    before = graph.op("Add", x, model.b + model.early_chances - 1)
    if not model.early_chances:
        never = graph.op("LessOrEqual", x, 0.0)
        before = graph.op("Where", never, 1.0, before)
    log_ratio = graph.op("Log", graph.op("Div", age, age_at_last))
    log_odds = graph.op(
        "Add",
        graph.op("Log", graph.op("Div", model.a, before)),
        graph.op("Mul", shape, log_ratio),
    )
    if passed:
        log_odds = graph.op("Sub", log_odds, graph.op("Log", passed))
    odds = graph.op("Exp", graph.op("Min", log_odds, MAX_LOG_ODDS))
    if not model.early_chances:
        odds = graph.op("Where", never, 0.0, odds)
    return graph.op("Div", 1.0, graph.op("Add", odds, 1.0))


def _add_half_orders(
    graph: Graph, x: str, z: str, half_shape: str, model: DropoutModel, horizon_days: float
) -> str:
    """Half the expected orders if alive: see `forecasts.expected_orders`."""
    p, weight = _add_dropout_nodes(graph, x, model, horizon_days)
    half_exponent = graph.op("Mul", half_shape, add_log1p(graph, graph.op("Mul", p, z)))
    orders = graph.op("Div", add_half_rise(graph, half_exponent), p)
    mass = graph.sum_of_lines(weight)
    return graph.op("Div", graph.sum_of_lines(graph.op("Mul", weight, orders)), mass)


def _add_dropout_nodes(
    graph: Graph, x: str, model: DropoutModel, horizon_days: float
) -> tuple[str, str]:
    """Dropout probabilities and their weights, (nodes, rows): see `forecasts.expected_orders`."""
    rule = dropout_quadrature(model, horizon_days)
    total = model.a + model.b + model.early_chances
    shape = graph.op("Add", x, total)
    shifted = graph.op("Mul", graph.column(rule.nodes), graph.op("Div", total, shape))
    scale = graph.op("Add", graph.column(rule.rests), shifted)
    p = graph.op("Div", shifted, scale)
    log_weight = graph.op(
        "Sub",
        graph.op("Mul", x, graph.column(np.log(rule.rests))),
        graph.op("Mul", shape, graph.op("Log", scale)),
    )
    return p, graph.op("Mul", graph.column(rule.weights), graph.op("Exp", log_weight))


def add_expected_mean(graph: Graph, n: str, mean: str, model: SpendModel) -> str:
    """Expected spend per purchase day, (1, rows); see `gamma_gamma.expected_mean`."""
    spend = graph.op("Add", graph.op("Mul", n, mean), model.v)
    return graph.op("Div", spend, graph.op("Add", n, (model.q - 1) / model.p))
