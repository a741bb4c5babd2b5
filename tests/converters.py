"""Trees of scikit-learn and LightGBM as ONNX files, as skl2onnx and onnxmltools write them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from onnx import TensorProto, helper

Node = dict[str, Any]  # feature, threshold, left, right; or leaf


def of_scikit_learn(trees: Sequence[Any], width: int, opset: int = 8) -> bytes:
    """The mean of fitted DecisionTreeRegressor, of a forest its `estimators_`."""
    share = 1 / len(trees)
    return _saved([_of_sklearn(tree.tree_, 0, share) for tree in trees], width, "NONE", opset)


def of_lightgbm(booster: Any, width: int, opset: int = 8) -> bytes:
    """A booster with a log link: the sum of its trees, then Exp."""
    found = [_of_lightgbm(tree["tree_structure"]) for tree in booster.dump_model()["tree_info"]]
    return _saved(found, width, "EXP", opset)


def _of_sklearn(tree: Any, place: int, share: float) -> Node:
    left, right = int(tree.children_left[place]), int(tree.children_right[place])
    if left < 0:
        return {"leaf": float(tree.value[place].item()) * share}
    return {
        "feature": int(tree.feature[place]),
        "threshold": float(tree.threshold[place]),
        "left": _of_sklearn(tree, left, share),
        "right": _of_sklearn(tree, right, share),
        "missing": bool(tree.missing_go_to_left[place]),
    }


def _of_lightgbm(node: Any) -> Node:
    if "leaf_value" in node:
        return {"leaf": float(node["leaf_value"])}
    return {
        "feature": int(node["split_feature"]),
        "threshold": float(node["threshold"]),
        "left": _of_lightgbm(node["left_child"]),
        "right": _of_lightgbm(node["right_child"]),
        "missing": node["missing_type"] == "NaN" and node["default_left"],
    }


def _number(node: Node, rows: list[Node]) -> int:
    """Appends a node and all below it; its number."""
    own = len(rows)
    rows.append(node)
    if "leaf" not in node:
        node["children"] = [_number(node[side], rows) for side in ("left", "right")]
    return own


def _saved(trees: Sequence[Node], width: int, transform: str, opset: int) -> bytes:
    arrays: defaultdict[str, list[Any]] = defaultdict(list)
    for place, tree in enumerate(trees):
        rows: list[Node] = []
        _number(tree, rows)
        for own, node in enumerate(rows):
            is_leaf = "leaf" in node
            left, right = node.get("children", (0, 0))
            for name, value in {
                "nodes_treeids": place,
                "nodes_nodeids": own,
                "nodes_featureids": node.get("feature", 0),
                "nodes_values": node.get("threshold", 0.0),
                "nodes_modes": "LEAF" if is_leaf else "BRANCH_LEQ",
                "nodes_truenodeids": left,
                "nodes_falsenodeids": right,
                "nodes_missing_value_tracks_true": int(node.get("missing", False)),
            }.items():
                arrays[name].append(value)
            if is_leaf:
                for name, value in {
                    "target_treeids": place,
                    "target_nodeids": own,
                    "target_ids": 0,
                    "target_weights": node["leaf"],
                }.items():
                    arrays[name].append(value)
    nodes = [
        helper.make_node(
            "TreeEnsembleRegressor",
            ["X"],
            ["sum" if transform == "EXP" else "variable"],
            domain="ai.onnx.ml",
            n_targets=1,
            aggregate_function="SUM",
            post_transform="NONE",
            **arrays,
        )
    ]
    if transform == "EXP":
        nodes.append(helper.make_node("Exp", ["sum"], ["variable"]))
    graph = helper.make_graph(
        nodes,
        "trees",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info("variable", TensorProto.FLOAT, None)],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=4 if opset < 10 else 8)
    return bytes(model.SerializeToString())
