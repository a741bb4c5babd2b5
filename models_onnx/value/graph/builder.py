"""A small builder for ONNX graphs, and the pieces that the rule and the trained model share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from cva_sql.models_onnx.value.arrays import LARGEST_PROBABILITY, SMALLEST_PROBABILITY

OPSET = 17
ML_OPSET = 5  # TreeEnsemble, which unlike its forerunner hands out double; onnxruntime 1.20
OPSETS: Mapping[str, int] = MappingProxyType({"": OPSET, "ai.onnx.ml": ML_OPSET})
IR_VERSION = 10
BLOCK = 16  # rows; a multiple of every vector width
Q_LEVELS = (0.1, 0.5, 0.9)  # the quantiles of the contract


class Graph:
    """Collects nodes; a value is named by a string, a constant becomes an initializer.

    Inside, customers run along the last axis: a value is (1, rows), a matrix (lines, rows), and
    what is the same for all customers (lines, 1), so that arithmetic runs through memory.

    One row's result does not depend on the rows beside it, to the last bit, in a session of one
    thread: arithmetic is in double and element by element, a sum over lines adds one line after the
    other (a matrix product, or a sum along memory, rounds by where a row lies in it), and rows are
    filled up to whole blocks (the remainder of a vector loop takes other instructions, whose exp
    and log differ in the last digit).
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.sparse_initializers: list[Any] = []
        self._rows = self._pads = ""

    def _name(self) -> str:
        return f"v{len(self.nodes) + len(self.initializers)}"

    def const(self, value: Any, dtype: Any = np.float64) -> str:
        """An initializer."""
        name = self._name()
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def column(self, values: Any) -> str:
        """An initializer with one value a line, (lines, 1)."""
        return self.const(np.asarray(values, dtype=np.float64).reshape(-1, 1))

    def op(self, kind: str, *inputs: str | float, domain: str = "", **attributes: Any) -> str:
        """A node with one output; Python numbers become double constants."""
        names = [i if isinstance(i, str) else self.const(i) for i in inputs]
        output = self._name()
        self.nodes.append(
            helper.make_node(kind, names, [output], domain=domain, name=f"n{output}", **attributes)
        )
        return output

    def number_input(self, name: str) -> str:
        """A float32 input of shape (rows, 1)."""
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 1]))
        return name

    def category_input(self, name: str) -> str:
        """A string input of shape (rows, 1)."""
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.STRING, ["rows", 1]))
        return name

    def double(self, value: str) -> str:
        """`value` as double."""
        return self.op("Cast", value, to=TensorProto.DOUBLE)

    def clip(self, value: str, low: float, high: float) -> str:
        """`value` held between two constants."""
        return self.op("Min", self.op("Max", value, low), high)

    def probability(self, value: str) -> str:
        """A probability held where its logarithms are finite."""
        return self.clip(value, SMALLEST_PROBABILITY, LARGEST_PROBABILITY)

    def sum(self, terms: Sequence[str]) -> str:
        """The sum of at least one term, from the left."""
        total = terms[0]
        for term in terms[1:]:
            total = self.op("Add", total, term)
        return total

    def whole_blocks(self, columns: Sequence[str]) -> str:
        """Input columns as lines in double, filled with zeros up to a multiple of BLOCK rows."""
        matrix = self.double(self.op("Concat", *(self.as_line(name) for name in columns), axis=0))
        if not self._pads:  # else another matrix, of as many rows, has told
            self._rows = self.op("Shape", matrix, start=1, end=2)
            block = self.const([BLOCK], np.int64)
            rest = self.op("Mod", self._rows, block)
            missing = self.op("Mod", self.op("Sub", block, rest), block)
            none = self.const([0], np.int64)
            self._pads = self.op("Concat", none, none, none, missing, axis=0)
        return self.op("Pad", matrix, self._pads, self.const(0.0))

    def padded_line(self, column: str) -> str:
        """(rows, 1) -> (1, rows) in double, filled up as `whole_blocks` did."""
        line = self.double(self.as_line(column))
        return self.op("Pad", line, self._pads, self.const(0.0))

    def rename(self, value: str, name: str) -> None:
        """Gives the output of the last node, `value`, another name."""
        self.nodes[-1].output[list(self.nodes[-1].output).index(value)] = name

    def as_line(self, column: str) -> str:
        """(rows, 1) -> (1, rows)."""
        return self.op("Reshape", column, self.const([1, -1], np.int64))

    def lines(self, matrix: str, first: int, end: int) -> str:
        """The lines [first, end) of a matrix."""
        bounds = (self.const([bound], np.int64) for bound in (first, end, 0))
        return self.op("Slice", matrix, *bounds)

    def sum_of_lines(self, matrix: str) -> str:
        """(lines, rows) -> (1, rows), from the first line on."""
        return self.op("ReduceSum", matrix, self.const([0], np.int64), keepdims=1)

    def blocks(self, matrix: str) -> str:
        """(lines, rows) -> (blocks, lines, BLOCK), for products of matrices.

        Each block's product is one of its own and of one shape, so that where a row lies among the
        others changes nothing of it.
        """
        shape = self.const([0, -1, BLOCK], np.int64)
        return self.op("Transpose", self.op("Reshape", matrix, shape), perm=[1, 0, 2])

    def rows_of_blocks(self, value: str) -> str:
        """(blocks, lines, BLOCK) -> (lines, rows)."""
        lines = self.op("Transpose", value, perm=[1, 0, 2])
        return self.op("Reshape", lines, self.const([0, -1], np.int64))

    def output(self, name: str, value: str) -> None:
        """Names `value`, less the filled-up rows, as a double output of shape (rows, 1)."""
        first, axis = self.const([0], np.int64), self.const([1], np.int64)
        inputs = [self.op("Slice", value, first, self._rows, axis), self.const([-1, 1], np.int64)]
        self.nodes.append(helper.make_node("Reshape", inputs, [name], name=f"out_{name}"))
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["rows", 1]))

    def to_bytes(
        self,
        description: str,
        opsets: Mapping[str, int] = OPSETS,
        ir_version: int = IR_VERSION,
        functions: Sequence[Any] = (),
    ) -> bytes:
        """The checked model as bytes; the same graph gives the same bytes."""
        graph = helper.make_graph(
            self.nodes,
            "cva_value",
            self.inputs,
            self.outputs,
            initializer=self.initializers,
            sparse_initializer=self.sparse_initializers,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid(name, number) for name, number in opsets.items()],
            ir_version=ir_version,
            functions=list(functions),
            producer_name="cva",
            doc_string=description,
        )
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))


def add_shares_among_buyers(graph: Graph, probability: str) -> tuple[str, str]:
    """(u, is_zero), each (3, rows): where the quantiles of Q_LEVELS lie among the buyers' spend.

    With probability 1 − p spend is zero: a quantile is zero up to there, and is_zero says so.
    u is kept inside (0, 1).
    """
    nobody = graph.op("Sub", 1.0, probability)
    share = graph.op("Sub", graph.column(Q_LEVELS), nobody)
    is_zero = graph.op("LessOrEqual", share, 0.0)
    u = graph.op("Div", share, graph.op("Max", probability, 1e-9))
    return graph.clip(u, 1e-4, 1 - 1e-4), is_zero


def output_quantiles(graph: Graph, spend: str, is_zero: str) -> None:
    """Names the lines of a (3, rows) matrix of spend as the contract's quantiles."""
    quantiles = graph.op("Where", is_zero, 0.0, spend)
    for line, level in enumerate(Q_LEVELS):
        name = f"predicted_value_p{round(level * 100)}"
        graph.output(name, graph.lines(quantiles, line, line + 1))


def add_log1p(graph: Graph, u: str) -> str:
    """log(1 + u) for u >= 0: log of the rounded sum plus what rounding took from u.

    That rest should be over 1 + u: a division more per node, for 1e-13 of the log at u = 10,000.
    """
    total = graph.op("Add", u, 1.0)
    lost = graph.op("Sub", u, graph.op("Sub", total, 1.0))
    return graph.op("Add", graph.op("Log", total), lost)


def add_half_rise(graph: Graph, half: str) -> str:
    """(1 − exp(−2·half)) / 2 for half >= 0, which is t / (1 + t) at t = tanh(half)."""
    t = graph.op("Tanh", half)
    return graph.op("Div", t, graph.op("Add", t, 1.0))


def add_logit(graph: Graph, u: str) -> str:
    """log(u / (1 − u))."""
    return graph.op("Log", graph.op("Div", u, graph.op("Sub", 1.0, u)))


def add_log_logistic_quantile(graph: Graph, mean: str, shape: str, u: str) -> str:
    """The quantile u of a log-logistic with this mean and shape s < 1: closed forms of both.

    Its mean is exp(μ)·πs / sin(πs), its quantile exp(μ)·(u / (1 − u))^s.
    """
    angle = graph.op("Mul", shape, math.pi)
    median = graph.op("Mul", mean, graph.op("Div", graph.op("Sin", angle), angle))
    return graph.op("Mul", median, graph.op("Exp", graph.op("Mul", shape, add_logit(graph, u))))


def add_piecewise_line(graph: Graph, x: str, knots: Sequence[float], values: Sequence[str]) -> str:
    """The line through (knots[k], values[k]), straight on beyond both ends.

    `x` is (n, rows), each of `values` (1, rows): one line a row, read at n places.
    """
    line = values[0]
    for k in range(len(knots) - 1):
        width = knots[k + 1] - knots[k]
        slope = graph.op("Mul", graph.op("Sub", values[k + 1], values[k]), 1 / width)
        step = graph.op("Sub", x, knots[k])
        if k > 0:
            step = graph.op("Max", step, 0.0)
        if k < len(knots) - 2:
            step = graph.op("Min", step, width)
        line = graph.op("Add", line, graph.op("Mul", slope, step))
    return line
