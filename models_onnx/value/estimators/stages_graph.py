"""The formulas of `stages.py` inside the graph, complex numbers as (real, imaginary)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from cva_sql.models_onnx.value.estimators.btyd import DropoutModel
from cva_sql.models_onnx.value.estimators.stages import LARGEST_P, SMALLEST_P, harmonics
from cva_sql.models_onnx.value.graph.builder import Graph, add_half_rise, add_log1p

Complex: TypeAlias = tuple[str, str]
HALVINGS = 3  # of an angle, after which its tangent is below 0.2
ARCTAN_TERMS = 11  # of the series at 0.2: the first left out is 2e-17


@dataclass(frozen=True)
class StageRows:
    """What the sums over stages are made of, each (1, rows): `factors` are (s + j − 1) / j.

    `w` and `later_w` are u / (α + T) now and at the horizon's end, `z` is horizon / (α + T), and
    `passed` the sum now.
    """

    graph: Graph
    x: str
    shape: str
    factors: Sequence[str]
    w: str
    later_w: str
    z: str
    passed: str


def add_stage_rows(
    graph: Graph, x: str, t_x: str, T: str, model: DropoutModel, horizon_days: float
) -> StageRows:
    """The rows of customers who bought at 0 and x times since, last at t_x, and are T old."""
    shape = graph.op("Add", graph.op("Mul", x, float(model.stages)), model.r)
    factors = [
        graph.op("Mul", graph.op("Add", shape, float(j - 1)), 1 / j) for j in range(1, model.stages)
    ]
    age, since = graph.op("Add", T, model.alpha), graph.op("Sub", T, t_x)
    w = graph.op("Div", since, age)
    later = graph.op("Add", since, horizon_days)
    later_w = graph.op("Div", later, graph.op("Add", age, horizon_days))
    z = graph.op("Div", horizon_days, age)
    passed = add_stage_sum(graph, factors, w)
    return StageRows(graph, x, shape, factors, w, later_w, z, passed)


def add_stage_sum(graph: Graph, factors: Sequence[str], w: str) -> str:
    """See `stages.stage_sum`."""
    total = ""
    for factor in reversed(factors):
        step = graph.op("Mul", w, factor)
        total = graph.op("Add", graph.op("Mul", total, step) if total else step, 1.0)
    return total


def add_chance(rows: StageRows) -> str:
    """P(at least one purchase) if alive: see `forecasts.purchase_probability`."""
    graph = rows.graph
    later = add_stage_sum(graph, rows.factors, rows.later_w)
    log_ratio = graph.op("Log", graph.op("Div", later, rows.passed))
    log_none = graph.op("Sub", log_ratio, graph.op("Mul", rows.shape, add_log1p(graph, rows.z)))
    return graph.op("Max", _add_rise(graph, graph.op("Neg", log_none)), 0.0)


def add_regular_orders(rows: StageRows, p: str, chance: str, model: DropoutModel) -> str:
    """Expected orders if alive at each p, (nodes, rows): see `stages.regular_orders`."""
    graph = rows.graph
    p = graph.clip(p, SMALLEST_P, LARGEST_P)
    orders = graph.op("Add", _add_smooth(rows, p, model.stages), _add_uneven(rows, model))
    return graph.op("Min", graph.op("Max", orders, chance), graph.op("Div", chance, p))


def _add_smooth(rows: StageRows, p: str, stages: int) -> str:
    """See `stages.smooth_orders`."""
    graph = rows.graph
    y = graph.op("Mul", add_log1p(graph, graph.op("Neg", p)), -1 / stages)
    rest = _add_rise(graph, y)
    slower = graph.op("Mul", rows.z, rest)
    kept = graph.op("Div", graph.op("Exp", graph.op("Neg", y)), graph.op("Add", slower, 1.0))
    later = add_stage_sum(graph, rows.factors, graph.op("Mul", rows.w, kept))
    none = graph.sum(
        [
            graph.op("Log", graph.op("Div", later, rows.passed)),
            graph.op("Neg", graph.op("Mul", rows.shape, add_log1p(graph, slower))),
            graph.op("Mul", y, float(stages - 1)),
            graph.op("Log", graph.op("Div", p, graph.op("Mul", rest, float(stages)))),
        ]
    )
    return graph.op("Div", _add_rise(graph, graph.op("Neg", none)), p)


def _add_uneven(rows: StageRows, model: DropoutModel) -> str:
    """See `stages.uneven_orders`; matrices have one line for each harmonic."""
    graph, k = rows.graph, model.stages
    total = model.a + model.b + model.early_chances
    mean = graph.op("Min", graph.op("Div", model.a, graph.op("Add", rows.x, total)), LARGEST_P)
    size = graph.op("Exp", graph.op("Mul", add_log1p(graph, graph.op("Neg", mean)), 1 / k))
    share, cos, sin = (np.array(part) for part in zip(*harmonics(k), strict=True))
    real = graph.op("Mul", size, graph.column(cos))
    imaginary = graph.op("Mul", size, graph.column(sin))
    slower = graph.op("Add", graph.op("Mul", rows.z, graph.op("Sub", 1.0, real)), 1.0)
    turned = graph.op("Mul", rows.z, imaginary)
    square = _add_square(graph, slower, turned)
    power = _add_power(rows, slower, turned, square)
    inverse = graph.op("Div", slower, square), graph.op("Div", turned, square)
    kept = _multiply(graph, (real, imaginary), inverse)
    later = _add_complex_sum(graph, rows.factors, (graph.op("Mul", rows.w, part) for part in kept))
    below = _add_square(graph, graph.op("Sub", real, 1.0), imaginary)
    over = graph.op("Sub", _add_square(graph, real, imaginary), real)
    ratio = graph.op("Div", over, below), graph.op("Neg", graph.op("Div", imaginary, below))
    value, _ = _multiply(graph, _multiply(graph, power, later), ratio)
    together = graph.sum_of_lines(graph.op("Mul", value, graph.column(share)))
    stays = graph.op("Sub", 1.0, mean)
    return graph.op("Div", together, graph.op("Mul", rows.passed, stays))


def _add_power(rows: StageRows, slower: str, turned: str, square: str) -> Complex:
    """(slower − i·turned)^−shape, whose square of size is known."""
    graph = rows.graph
    half = graph.op("Mul", rows.shape, -0.5)
    size = graph.op("Exp", graph.op("Mul", half, graph.op("Log", square)))
    turns = graph.op(
        "Mul", rows.shape, _add_arctan(graph, graph.op("Div", turned, slower), 1 / (2 * np.pi))
    )
    # Less whole turns: of a large angle beside it, a cosine comes out with another last digit.
    part = graph.op("Sub", turns, graph.op("Floor", turns))
    angle = graph.op("Mul", part, 2 * np.pi)
    return (
        graph.op("Mul", size, graph.op("Cos", angle)),
        graph.op("Mul", size, graph.op("Sin", angle)),
    )


def _add_complex_sum(graph: Graph, factors: Sequence[str], step: Iterable[str]) -> Complex:
    """`add_stage_sum` at a complex w, for two factors or more or one."""
    real, imaginary = step
    last = factors[-1]
    total = (
        graph.op("Add", graph.op("Mul", real, last), 1.0),
        graph.op("Mul", imaginary, last),
    )
    for factor in reversed(factors[:-1]):
        ahead = graph.op("Mul", real, factor), graph.op("Mul", imaginary, factor)
        product = _multiply(graph, total, ahead)
        total = graph.op("Add", product[0], 1.0), product[1]
    return total


def _multiply(graph: Graph, one: Complex, other: Complex) -> Complex:
    (a, b), (c, d) = one, other
    return (
        graph.op("Sub", graph.op("Mul", a, c), graph.op("Mul", b, d)),
        graph.op("Add", graph.op("Mul", a, d), graph.op("Mul", b, c)),
    )


def _add_square(graph: Graph, a: str, b: str) -> str:
    return graph.op("Add", graph.op("Mul", a, a), graph.op("Mul", b, b))


def _add_arctan(graph: Graph, tangent: str, unit: float) -> str:
    """The angle of a tangent >= 0, times `unit`: halved, then its series; ONNX has none."""
    for _ in range(HALVINGS):
        root = graph.op("Sqrt", graph.op("Add", graph.op("Mul", tangent, tangent), 1.0))
        tangent = graph.op("Div", tangent, graph.op("Add", root, 1.0))
    square = graph.op("Neg", graph.op("Mul", tangent, tangent))
    series = graph.const(1 / (2 * ARCTAN_TERMS - 1))
    for term in range(ARCTAN_TERMS - 2, -1, -1):
        series = graph.op("Add", graph.op("Mul", series, square), 1 / (2 * term + 1))
    return graph.op("Mul", graph.op("Mul", tangent, series), unit * 2**HALVINGS)


def _add_rise(graph: Graph, exponent: str) -> str:
    """1 − exp(−exponent)."""
    half = add_half_rise(graph, graph.op("Mul", exponent, 0.5))
    return graph.op("Mul", half, 2.0)
