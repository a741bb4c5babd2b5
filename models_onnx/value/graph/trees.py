"""A LightGBM booster as one TreeEnsemble in double.

Written out here and not by a converter: the converters round thresholds and sums to single
precision, so that a value on an edge can fall to the other side, and the quantiles near zero lose
four digits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import numpy_helper

from cva_sql.models_onnx.value.graph.builder import Graph

BRANCH_LEQ, SUM, NO_TRANSFORM = 0, 1, 0  # the operator's codes


class Nodes:
    """The operator's parallel arrays: one entry an inner node, and one a leaf."""

    def __init__(self) -> None:
        self.roots: list[int] = []
        self.features: list[int] = []
        self.splits: list[float] = []
        self.missing_true: list[int] = []
        self.children: dict[str, list[int]] = {"true": [], "false": []}
        self.are_leaves: dict[str, list[int]] = {"true": [], "false": []}
        self.leaves: list[float] = []

    def add_node(self, node: dict[str, Any]) -> int:
        """Appends an inner node and all below it; returns its place."""
        place = len(self.features)
        self.features.append(int(node["split_feature"]))
        self.splits.append(float(node["threshold"]))
        self.missing_true.append(_missing_goes_left(node))
        for side in ("true", "false"):
            self.children[side].append(0)
            self.are_leaves[side].append(0)
        self.set_child(place, "true", node["left_child"])
        self.set_child(place, "false", node["right_child"])
        return place

    def add_constant(self, leaf: dict[str, Any]) -> int:
        """A tree without a split, as a node whose both sides are its leaf."""
        place = len(self.features)
        self.features.append(0)
        self.splits.append(0.0)
        self.missing_true.append(0)
        for side in ("true", "false"):
            self.children[side].append(0)
            self.are_leaves[side].append(0)
            self.set_child(place, side, leaf)
        return place

    def set_child(self, place: int, side: str, child: dict[str, Any]) -> None:
        """Points one side of a node at a leaf or at a node, which is added."""
        if "split_index" in child:
            self.children[side][place] = self.add_node(child)
        else:
            self.children[side][place] = len(self.leaves)
            self.are_leaves[side][place] = 1
            self.leaves.append(float(child["leaf_value"]))


def add_trees(graph: Graph, matrix: str, booster: Any) -> str:
    """The sum of leaves, double, shape (1, rows), for a double matrix with NaN for NULL.

    Raises ValueError for a split that is not `<=` or that treats 0 as missing: this model has none.
    """
    arrays = Nodes()
    for tree in booster.dump_model()["tree_info"]:
        root = tree["tree_structure"]
        add = arrays.add_node if "split_index" in root else arrays.add_constant
        arrays.roots.append(add(root))
    return _add_ensemble(graph, matrix, arrays)


def add_steps(graph: Graph, value: str, bounds: list[float]) -> str:
    """How many of the ascending `bounds` are below a (1, rows) value, as one balanced tree."""

    def node(first: int, end: int) -> dict[str, Any]:
        if first == end:
            return {"leaf_value": float(first)}
        middle = (first + end) // 2
        return {
            "split_index": middle,
            "split_feature": 0,
            "threshold": bounds[middle],
            "decision_type": "<=",
            "missing_type": "NaN",
            "default_left": True,
            "left_child": node(first, middle),
            "right_child": node(middle + 1, end),
        }

    arrays = Nodes()
    arrays.roots.append(arrays.add_node(node(0, len(bounds))))
    return _add_ensemble(graph, value, arrays)


def _add_ensemble(graph: Graph, matrix: str, arrays: Nodes) -> str:
    rows = graph.op("Transpose", matrix, perm=[1, 0])  # onnxruntime writes a shared one once
    total = graph.op(
        "TreeEnsemble",
        rows,
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function=SUM,
        post_transform=NO_TRANSFORM,
        tree_roots=arrays.roots,
        nodes_featureids=arrays.features,
        nodes_splits=_tensor("splits", arrays.splits, np.float64),
        nodes_modes=_tensor("modes", [BRANCH_LEQ] * len(arrays.features), np.uint8),
        nodes_missing_value_tracks_true=arrays.missing_true,
        nodes_truenodeids=arrays.children["true"],
        nodes_trueleafs=arrays.are_leaves["true"],
        nodes_falsenodeids=arrays.children["false"],
        nodes_falseleafs=arrays.are_leaves["false"],
        leaf_targetids=[0] * len(arrays.leaves),
        leaf_weights=_tensor("leaves", arrays.leaves, np.float64),
    )
    return graph.as_line(total)


def _tensor(name: str, values: list[Any], dtype: Any) -> Any:
    return numpy_helper.from_array(np.asarray(values, dtype=dtype), name)


def _missing_goes_left(node: dict[str, Any]) -> int:
    if node["decision_type"] != "<=" or node["missing_type"] == "Zero":
        raise ValueError(
            f"split {node['decision_type']} with missing type {node['missing_type']}; "
            "expected <= with None or NaN"
        )
    if node["missing_type"] == "NaN":
        return int(node["default_left"])
    # Without a missing value in training LightGBM reads NaN as 0.
    return int(float(node["threshold"]) >= 0.0)
