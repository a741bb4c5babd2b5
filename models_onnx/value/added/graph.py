"""A file made elsewhere inside one that keeps the contract: named inputs, all outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from cva_sql.models_onnx.value.added.given import TEXT, Given
from cva_sql.models_onnx.value.added.model import AddedModel
from cva_sql.models_onnx.value.graph.builder import IR_VERSION, OPSET, Graph
from cva_sql.models_onnx.value.model.graph import add_outputs
from cva_sql.models_onnx.value.preparation.graph import add_rows
from cva_sql.udfs.errors import UsageError

PREFIX = "given/"
LEAST_OPSET = 15  # what our own nodes need; an older file is brought to OPSET


def build_added(model: AddedModel) -> bytes:
    """The ONNX file of an added model; raises UsageError where the given one cannot be taken in."""
    part = _prefixed(model.given)
    graph = Graph()
    members = model.rest.members
    rows = add_rows(graph, members.preparation, members.log_scale)
    value = graph.padded_line(_grafted(graph, part, model.given))
    value = graph.op("Max", value, 0.0)
    logit = graph.sum([rows.logit_purchase, *rows.purchase_extrapolation])
    logit = graph.op("Add", logit, model.rest.purchase_shift)
    # A step by comparisons: the file's own opset may have no trees of the kind that is faster.
    add_outputs(graph, model.rest, rows, value, logit, is_step_a_tree=False)
    opsets = {
        "" if entry.domain == "ai.onnx" else entry.domain: entry.version
        for entry in reversed(part.opset_import)
    }
    try:
        return graph.to_bytes(
            f"cva value model, {model.name} in it",
            {"": OPSET, **opsets},
            max(IR_VERSION, part.ir_version),
            part.functions,
        )
    except onnx.checker.ValidationError as error:
        reason = " ".join(str(error).split())[:300]
        raise UsageError(f"the model cannot be taken in: {reason}") from None


def _prefixed(given: Given) -> Any:
    """The file with names that are nobody else's, in an opset that our nodes are written in."""
    model = onnx.load_from_string(given.onnx)
    opset = next((e.version for e in model.opset_import if e.domain in ("", "ai.onnx")), OPSET)
    if opset < LEAST_OPSET:
        try:
            model = onnx.version_converter.convert_version(model, OPSET)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise UsageError(
                f"the model has opset {opset}, and cannot be brought to {OPSET} ({reason}); "
                f"convert it again with target_opset={OPSET}"
            ) from None
        kept = {e.domain: e.version for e in model.opset_import if e.domain} | {"": OPSET}
        del model.opset_import[:]
        model.opset_import.extend(onnx.helper.make_opsetid(d, v) for d, v in kept.items())
    return onnx.compose.add_prefix(model, PREFIX)


def _grafted(graph: Graph, part: Any, given: Given) -> str:
    """Adds the file's nodes, its inputs filled; its output as a column, (rows, 1)."""
    taken = {one.name for one in graph.inputs}
    types = {"tensor(double)": TensorProto.DOUBLE, "tensor(float)": TensorProto.FLOAT}
    for one in given.inputs:
        for name in one.features:
            if name not in taken:
                taken.add(name)
                (graph.category_input if one.type == TEXT else graph.number_input)(name)
        filled = graph.op("Concat", *one.features, axis=1)
        if one.type != TEXT:
            filled = graph.op("Cast", filled, to=types[one.type])
        graph.rename(filled, f"{PREFIX}{one.name}")
    graph.initializers.extend(part.graph.initializer)
    graph.sparse_initializers.extend(part.graph.sparse_initializer)
    graph.nodes.extend(part.graph.node)
    return graph.op("Reshape", f"{PREFIX}{given.output}", graph.const([-1, 1], np.int64))
