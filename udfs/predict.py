"""`cva_predict`: a row of features in, the value model's outputs out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.manifest import OUTPUTS, inputs_from_columns
from cva_sql.udfs.sessions import ValueModel

Floats = NDArray[np.float64]

RETURN_TYPE = (
    "STRUCT("
    + ", ".join(f"{name} DOUBLE" for name in OUTPUTS)
    + ", is_baseline BOOLEAN, model_version VARCHAR, model_hash VARCHAR)"
)


def predict(model: ValueModel, columns: Mapping[str, Any], rows: int) -> dict[str, Floats]:
    """The contract's outputs by name, each float64 of shape (rows,), in row order.

    `columns` are Arrow columns by feature name. A row's result does not depend on the rows beside
    it, to the last bit.
    """
    return run_session(model, inputs_from_columns(model.manifest, columns, rows), rows)


def run_session(
    model: ValueModel, inputs: Mapping[str, NDArray[Any]], rows: int
) -> dict[str, Floats]:
    """The outputs for inputs of shape (rows, 1) by name."""
    if rows == 0:
        return {name: np.empty(0) for name in OUTPUTS}
    values = model.session.run(list(OUTPUTS), dict(inputs))
    return {
        name: np.asarray(value, dtype=np.float64).reshape(rows)
        for name, value in zip(OUTPUTS, values, strict=True)
    }


def predict_struct(model: ValueModel, rows: Any) -> Any:
    """The Arrow struct of RETURN_TYPE for an Arrow struct of features; a NULL struct gives NULL."""
    import pyarrow as pa

    if isinstance(rows, pa.ChunkedArray):
        rows = rows.combine_chunks()
    if isinstance(rows, pa.ChunkedArray):  # zero chunks stay chunked
        rows = pa.array([], type=rows.type)
    columns = {field.name: rows.field(index) for index, field in enumerate(rows.type)}
    outputs = predict(model, columns, len(rows))
    manifest = model.manifest
    arrays = [pa.array(outputs[name], type=pa.float64()) for name in OUTPUTS]
    arrays.append(pa.repeat(pa.scalar(manifest.is_baseline), len(rows)))
    arrays.append(pa.repeat(pa.scalar(manifest.version), len(rows)))
    arrays.append(pa.repeat(pa.scalar(manifest.sha256), len(rows)))
    names = [*OUTPUTS, "is_baseline", "model_version", "model_hash"]
    mask = rows.is_null() if rows.null_count else None
    return pa.StructArray.from_arrays(arrays, names=names, mask=mask)
