"""A model's prediction as a sum of parts that can be explained apart.

Most of our models are exp(min(Σ parts, cap)): what one feature adds, whichever the others are;
trees; functions of a few features, as buy till you die; functions of such sums; networks. A Shapley
value of a sum is the sum of its parts' (additivity), and a part costs only the features it reads.
All is found in the file itself, so that nothing has to be kept in step with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.forests import Forest, UnknownTrees, read_forest
from cva_sql.udfs.graph_lines import Column, GraphLines, Lines, UnknownLines

Floats = NDArray[np.float64]
FEW = 8  # features that a function may read to be evaluated for all that may be there


@dataclass(frozen=True)
class Sum:
    """constant + Σ weight · part: `effects` by line, `functions` and `curves` by their place."""

    constant: float = 0.0
    effects: tuple[tuple[float, Lines], ...] = ()
    functions: tuple[tuple[float, Lines], ...] = ()
    curves: tuple[tuple[float, Curve], ...] = ()
    forests: tuple[tuple[float, Forest], ...] = ()
    wide: tuple[tuple[float, str], ...] = ()

    def __add__(self, other: Sum) -> Sum:
        return Sum(*(getattr(self, name) + getattr(other, name) for name in _FIELDS))

    def times(self, factor: float) -> Sum:
        """factor · this."""
        parts = {
            name: tuple((factor * weight, part) for weight, part in getattr(self, name))
            for name in _FIELDS[1:]
        }
        return Sum(factor * self.constant, **parts)

    @property
    def count(self) -> int:
        """How many parts there are."""
        return sum(len(getattr(self, name)) for name in _FIELDS[1:])


_FIELDS = ("constant", "effects", "functions", "curves", "forests", "wide")


@dataclass(frozen=True)
class Curve:
    """A function, `result`, of one sum alone; `of` is the sum's name in the graph."""

    of: str
    result: Lines
    inner: Sum


@dataclass(frozen=True)
class Formula:
    """predicted_value = exp(min(total, cap)); `inputs` are those of the file that it reads."""

    total: Sum
    cap: float
    inputs: frozenset[str]
    source: GraphLines = field(repr=False)


def read_formula(model: Any, output: str) -> Formula | None:
    """The formula of an output of an onnx.ModelProto; None where it is no exp of a sum."""
    try:
        source = GraphLines(model)
        name, cap = _exponent(source, output)
        total = _Reader(source).expand(Lines(name, 0, 1))
        return Formula(total, cap, frozenset(source.ancestors(output)), source)
    except (ValueError, LookupError, ArithmeticError, TypeError, RecursionError):
        return None  # a file unlike ours, which is then taken as a whole


def _exponent(source: GraphLines, output: str) -> tuple[str, float]:
    """The value whose exponential an output is, and what it is held below."""
    name = output
    while name in source.nodes and source.nodes[name].op_type in ("Reshape", "Slice"):
        name = source.nodes[name].input[0]  # less the rows that fill up a block
    node = source.nodes.get(name)
    if node is None or node.op_type != "Exp":
        raise UnknownLines(output)
    name = node.input[0]
    node = source.nodes.get(name)
    if node is None or node.op_type != "Min":
        return name, float("inf")
    if len(node.input) != 2 or node.input[1] not in source.constants:
        raise UnknownLines(name)
    return node.input[0], float(source.constants[node.input[1]].min())


class _Reader:
    """Expands values of a graph to sums."""

    def __init__(self, source: GraphLines) -> None:
        self._source = source

    def expand(self, line: Lines) -> Sum:
        """One line of a value as a sum of parts."""
        if line.name in self._source.constants:
            return Sum(self._constant(line))
        node = self._source.nodes.get(line.name)
        spread = _SPREAD.get(node.op_type) if node is not None else None
        try:
            found = spread(self, node, line) if spread else None
        except UnknownLines:
            found = None
        return self._part(line) if found is None else found

    def _constant(self, line: Lines) -> float:
        value = self._source.constants[line.name]
        return float(value.reshape(-1)[line.first if value.size > 1 else 0])

    def _inputs(self, line: Lines) -> list[Lines]:
        try:
            return self._source.needs(line)
        except UnknownLines:  # what is added to one line is one line
            return [Lines(name, 0, 1) for name in self._source.nodes[line.name].input]

    def add(self, _: Any, line: Lines) -> Sum:
        one, other = map(self.expand, self._inputs(line))
        return one + other

    def subtract(self, _: Any, line: Lines) -> Sum:
        one, other = map(self.expand, self._inputs(line))
        return one + other.times(-1.0)

    def negate(self, _: Any, line: Lines) -> Sum:
        return self.expand(self._inputs(line)[0]).times(-1.0)

    def scale(self, node: Any, line: Lines) -> Sum | None:
        """A product or quotient with a constant."""
        one, other = self._inputs(line)
        if other.name in self._source.constants:
            factor = self._constant(other)
            return self.expand(one).times(1 / factor if node.op_type == "Div" else factor)
        if one.name in self._source.constants and node.op_type == "Mul":
            return self.expand(other).times(self._constant(one))
        return None

    def total(self, _: Any, line: Lines) -> Sum:
        (lines,) = self._source.needs(line)
        found = Sum()
        for place in range(lines.count):
            found += self.expand(lines.line(place))
        return found

    def forest(self, node: Any, line: Lines) -> Sum | None:
        """Trees that read the matrix as it is."""
        trees = self._source.nodes.get(node.input[0])
        if trees is None or trees.op_type != "TreeEnsemble":
            return None
        turned = self._source.nodes.get(trees.input[0])
        if turned is None or turned.op_type != "Transpose":
            return None
        matrix = self._source.columns_of(self._source.whole(turned.input[0]))
        if matrix is None:
            return None
        try:
            return Sum(forests=((1.0, read_forest(trees, matrix.start)),))
        except UnknownTrees:
            return None

    def _part(self, line: Lines) -> Sum:
        """What is no sum: of one feature, of few, of one sum, or of anything."""
        try:
            features = self._features(line)
        except UnknownLines:
            return self._wide(line)
        if len(features) == 1:
            return Sum(effects=((1.0, line),))
        if len(features) <= FEW:
            return Sum(functions=((1.0, line),))
        curve = self._curve(line)
        return self._wide(line) if curve is None else Sum(curves=((1.0, curve),))

    def _wide(self, line: Lines) -> Sum:
        """A value as a whole, which has to be one line."""
        try:
            count = self._source.whole(line.name).count
        except UnknownLines:
            count = 1 if line.first == 0 else 0  # what is added to one line is one line
        if count != 1:
            raise UnknownLines(line.name)
        return Sum(wide=((1.0, line.name),))

    def _features(self, line: Lines) -> set[str]:
        columns: Sequence[Column] = self._source.columns
        return {columns[place].feature for place in self._source.depends_on(line)}

    def _curve(self, line: Lines) -> Curve | None:
        """What a line is a function of: the first sum of several parts on the way back."""
        varying = [n for n in self._source.needs(line) if n.name not in self._source.constants]
        if len(varying) != 1 or varying[0].count != 1:
            return None
        inner = self.expand(varying[0])
        if inner.count == len(inner.curves) == 1:
            ((_, curve),) = inner.curves
            return replace(curve, result=line)
        if inner.wide or inner.forests or inner.curves:
            return None
        return Curve(varying[0].name, line, inner)


_SPREAD: dict[str, Callable[[_Reader, Any, Lines], Sum | None]] = {
    "Add": _Reader.add,
    "Sub": _Reader.subtract,
    "Neg": _Reader.negate,
    "Mul": _Reader.scale,
    "Div": _Reader.scale,
    "ReduceSum": _Reader.total,
    "Reshape": _Reader.forest,
}
