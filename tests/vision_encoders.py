"""A vision encoder so small that its vectors can be told by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MANIFEST: dict[str, Any] = {"input": "x", "size": 8, "mean": [0, 0, 0], "std": [1, 1, 1]}


def write_encoder(
    folder: Path, *, pooled: bool = True, flat: bool = False, times: float = 1.0, **said: Any
) -> Path:
    """An encoder whose vector is `times` the mean of each channel, with `said` in its manifest.

    Not `pooled`, it gives the channels of every pixel. `flat` it has the shapes that vision models
    have: pictures of 8 by 8 pixels in, (n, 3) out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kernel = (times * np.eye(3)).reshape(3, 3, 1, 1).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("GlobalAveragePool" if pooled else "Relu", ["c"], ["p"]),
    ]
    if flat:
        nodes.append(helper.make_node("Flatten", ["p"], ["vector"]))
    sides = [8, 8] if flat else ["h", "w"]
    found = (
        helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["n", 3])
        if flat
        else helper.make_tensor_value_info("p", TensorProto.FLOAT, None)
    )
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, *sides])],
        [found],
        [numpy_helper.from_array(kernel, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, str(folder / "model.onnx"))
    (folder / "manifest.json").write_text(json.dumps(MANIFEST | said), encoding="utf-8")
    return folder
