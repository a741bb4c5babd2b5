"""A graph of some lines of a model's graph alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from cva_sql.udfs.graph_lines import GraphLines, Lines


def column_name(column: int) -> str:
    """The input of a part's graph that a column is given as."""
    return f"x{column}"


class Part:
    """A graph of some lines alone: its inputs are columns, each (1, rows) in double, and `given`.

    `given` are values of the model that are not computed but put in.
    """

    def __init__(self, source: GraphLines, given: Iterable[str] = ()) -> None:
        self._source = source
        self._given = set(given)
        self._nodes: list[Any] = []
        self._constants: dict[str, NDArray[Any]] = {}
        self._made: dict[Lines, str] = {}
        self.inputs: dict[str, None] = {}

    def add(self, lines: Lines) -> str:
        """The name of these lines in this graph."""
        if lines not in self._made:
            self._made[lines] = self._added(lines)
        return self._made[lines]

    def _added(self, lines: Lines) -> str:
        source = self._source
        if lines.name in self._given:
            self.inputs[lines.name] = None
            return lines.name
        if lines.name in source.constants:
            value = source.constants[lines.name]
            is_part = value.ndim == 2 and lines.count < value.shape[0]
            return self._constant(value[lines.first : lines.end] if is_part else value)
        columns = source.columns_of(lines)
        if columns is not None:
            names = [column_name(column) for column in columns]
            self.inputs.update(dict.fromkeys(names))
            return self._stacked(names)
        node, needed = source.nodes[lines.name], [self.add(n) for n in source.needs(lines)]
        if node.op_type == "Slice":
            return needed[0]
        if node.op_type == "Concat":
            return self._stacked(needed)
        if node.op_type == "ReduceSum":
            needed.append(self._constant(source.constants[node.input[1]]))
        return self._node(node, needed)

    def _constant(self, value: NDArray[Any]) -> str:
        name = f"c{len(self._constants)}"
        self._constants[name] = value
        return name

    def _stacked(self, names: Sequence[str]) -> str:
        from onnx import helper

        if len(names) == 1:
            return names[0]
        output = f"p{len(self._nodes)}"
        self._nodes.append(helper.make_node("Concat", names, [output], axis=0))
        return output

    def _node(self, node: Any, inputs: Sequence[str]) -> str:
        copy, output = type(node)(), f"p{len(self._nodes)}"
        copy.CopyFrom(node)
        copy.name = output
        del copy.input[:], copy.output[:]
        copy.input.extend(inputs)
        copy.output.append(output)
        self._nodes.append(copy)
        return output

    def to_bytes(self, outputs: Mapping[str, str]) -> bytes:
        """The model that gives the values named on the right by the names on the left."""
        from onnx import TensorProto, helper, numpy_helper

        double = TensorProto.DOUBLE
        named = [helper.make_node("Identity", [made], [name]) for name, made in outputs.items()]
        graph = helper.make_graph(
            [*self._nodes, *named],
            "part",
            [helper.make_tensor_value_info(n, double, [1, "rows"]) for n in self.inputs],
            [helper.make_tensor_value_info(n, double, ["lines", "rows"]) for n in outputs],
            [numpy_helper.from_array(value, name) for name, value in self._constants.items()],
        )
        model = self._source.model
        made = helper.make_model(
            graph, opset_imports=model.opset_import, ir_version=model.ir_version
        )
        return bytes(made.SerializeToString())
