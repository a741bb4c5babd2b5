"""A model's graph, line by line: what a line is computed from.

In our files customers run along the last axis and features are lines of a matrix. onnxruntime runs
all of a graph; to run a few lines of it alone, they are followed back to the features.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

# One line of the output needs the same line of each input, or its only one.
# fmt: off
BY_LINE = frozenset((
    "Abs", "Add", "And", "Cast", "Cos", "Div", "Equal", "Exp", "Floor", "Gather", "Greater",
    "GreaterOrEqual", "IsNaN", "Less", "LessOrEqual", "Log", "Max", "Min", "Mul", "Neg", "Not",
    "Or", "Pow", "Sigmoid", "Sign", "Sin", "Sqrt", "Sub", "Tanh", "Where",
))
# fmt: on


MOST_LINES = 100_000


class UnknownLines(ValueError):
    """A value whose lines cannot be told apart."""


@dataclass(frozen=True)
class Column:
    """A line of the matrix: a feature, or with a text whether the feature is that text."""

    feature: str
    text: str | None = None


@dataclass(frozen=True)
class Lines:
    """Lines [first, end) of a value of the graph."""

    name: str
    first: int
    end: int

    @property
    def count(self) -> int:
        """How many there are."""
        return self.end - self.first

    def line(self, place: int) -> Lines:
        """One of them; the only one for any place."""
        first = self.first + (place if self.count > 1 else 0)
        return replace(self, first=first, end=first + 1)


class GraphLines:
    """An onnx.ModelProto whose values can be asked for by lines.

    `columns` are the lines of the matrices that the file makes of its inputs, one after the other.
    Raises UnknownLines where an input is read in another way.
    """

    def __init__(self, model: Any) -> None:
        from onnx import numpy_helper

        self.model = model
        self.constants = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer
        }
        self.nodes = {name: node for node in model.graph.node for name in node.output}
        self.columns: list[Column] = []
        self._matrices: dict[str, tuple[int, int]] = {}  # name -> its columns
        self._inputs = {value.name for value in model.graph.input}
        self._count = lru_cache(maxsize=None)(self._counted)
        self.depends_on = lru_cache(maxsize=None)(self._depends_on)
        for node in model.graph.node:
            if node.op_type == "Pad":
                found = [self._column(name) for name in self._padded(node.input[0])]
                start = len(self.columns)
                self.columns += found
                self._matrices[node.output[0]] = (start, len(self.columns))

    def _padded(self, name: str) -> list[str]:
        """What a matrix is made of: values of one line each."""
        node = self._node(name, "Cast")
        inner = self.nodes.get(node.input[0])
        if inner is not None and inner.op_type == "Concat":
            return list(inner.input)
        return [node.input[0]]

    def _column(self, name: str) -> Column:
        node = self._node(name, "Reshape")
        source = node.input[0]
        if source in self._inputs:
            return Column(source)
        encoder = self._node(source, "LabelEncoder")
        keys = _attribute(encoder, "keys_strings") or []
        codes = _attribute(encoder, "values_floats"), _attribute(encoder, "default_float")
        if encoder.input[0] not in self._inputs or len(keys) != 1 or codes != ([1.0], 0.0):
            raise UnknownLines(f"input of {source}")
        return Column(encoder.input[0], keys[0].decode())

    def _node(self, name: str, kind: str) -> Any:
        node = self.nodes.get(name)
        if node is None or node.op_type != kind:
            raise UnknownLines(f"{name} is no {kind}")
        return node

    def whole(self, name: str) -> Lines:
        """All lines of a value; raises UnknownLines."""
        return Lines(name, 0, self._count(name))

    def _counted(self, name: str) -> int:
        if name in self.constants:
            shape = self.constants[name].shape
            return int(shape[0]) if len(shape) == 2 else 1
        if name in self._matrices:
            first, end = self._matrices[name]
            return end - first
        node = self.nodes.get(name)
        if node is None:
            raise UnknownLines(name)
        kind = node.op_type
        if kind == "Gather" and node.input[0] not in self.constants:
            raise UnknownLines(f"{name}: {kind}")
        if kind in BY_LINE:
            return max(self._count(name) for name in node.input)
        if kind == "Concat" and _attribute(node, "axis") == 0:
            return sum(self._count(name) for name in node.input)
        if kind == "Slice":
            first, end = self._bounds(node)
            return end - first
        if kind == "ReduceSum" and self._is_sum_of_lines(node):
            return 1
        raise UnknownLines(f"{name}: {kind}")

    def _is_sum_of_lines(self, node: Any) -> bool:
        return len(node.input) == 2 and self._vector(node.input[1]) == [0]

    def _vector(self, name: str) -> list[int]:
        if name not in self.constants:
            raise UnknownLines(name)
        return [int(value) for value in self.constants[name].reshape(-1)]

    def _bounds(self, node: Any) -> tuple[int, int]:
        """Which lines a Slice takes."""
        if len(node.input) != 4 or self._vector(node.input[3]) != [0]:
            raise UnknownLines(node.output[0])
        (first,), (end,) = self._vector(node.input[1]), self._vector(node.input[2])
        if not 0 <= first < end <= MOST_LINES:
            raise UnknownLines(node.output[0])
        return first, end

    def needs(self, lines: Lines) -> list[Lines]:
        """The lines that these are computed from, by input; raises UnknownLines."""
        node = self.nodes.get(lines.name)
        if node is None:
            raise UnknownLines(lines.name)
        kind = node.op_type
        if kind in BY_LINE:
            wholes = [self.whole(name) for name in node.input]
            return [
                replace(whole, first=lines.first, end=lines.end) if whole.count > 1 else whole
                for whole in wholes
            ]
        if kind == "Slice":
            first, _ = self._bounds(node)
            return [Lines(node.input[0], first + lines.first, first + lines.end)]
        if kind == "Concat":
            found, start = [], 0
            for whole in map(self.whole, node.input):
                first, end = max(lines.first - start, 0), min(lines.end - start, whole.count)
                if first < end:
                    found.append(replace(whole, first=first, end=end))
                start += whole.count
            return found
        if kind == "ReduceSum" and self._is_sum_of_lines(node):
            return [self.whole(node.input[0])]
        raise UnknownLines(f"{lines.name}: {kind}")

    def columns_of(self, lines: Lines) -> range | None:
        """Which columns these lines are; None of a value that is no matrix."""
        if lines.name not in self._matrices:
            return None
        start, _ = self._matrices[lines.name]
        return range(start + lines.first, start + lines.end)

    def _depends_on(self, lines: Lines) -> frozenset[int]:
        if lines.name in self.constants:
            return frozenset()
        own = self.columns_of(lines)
        if own is not None:
            return frozenset(own)
        return frozenset().union(*map(self.depends_on, self.needs(lines)))

    def ancestors(self, name: str) -> set[str]:
        """The named inputs of the file that a value is computed from."""
        found, seen, stack = set(), set(), [name]
        while stack:
            at = stack.pop()
            if at in seen:
                continue
            seen.add(at)
            if at in self._inputs:
                found.add(at)
            stack.extend(self.nodes[at].input if at in self.nodes else ())
        return found


def _attribute(node: Any, name: str) -> Any:
    from onnx import helper

    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), None)
