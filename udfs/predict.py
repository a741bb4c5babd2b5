"""A row of features in, a model's outputs out: `cva_predict`, and `cva_<kind>` of other kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.manifest import OUTPUTS, RETRAIN, inputs_from_columns
from cva_sql.udfs.ranges import is_extrapolated
from cva_sql.udfs.sessions import ValueModel
from cva_sql.udfs.threads import in_slices

Floats = NDArray[np.float64]
SMALLEST_PART = 512  # rows; below, handing over costs as much as it saves

RETURN_TYPE = (
    "STRUCT("
    + ", ".join(f"{name} DOUBLE" for name in OUTPUTS)
    + ", is_baseline BOOLEAN, is_judged BOOLEAN, is_extrapolated BOOLEAN, order_stages BIGINT"
    + ", trained_until DATE, model_version VARCHAR, model_hash VARCHAR)"
)


def predict(model: ValueModel, columns: Mapping[str, Any], rows: int) -> dict[str, Floats]:
    """The manifest's outputs by name, each float64 of shape (rows,), in row order.

    `columns` are Arrow columns by feature name. A row's result does not depend on the rows beside
    it, to the last bit.
    """
    return run_session(model, inputs_from_columns(model.manifest, columns, rows), rows)


def run_session(
    model: ValueModel, inputs: Mapping[str, NDArray[Any]], rows: int
) -> dict[str, Floats]:
    """The outputs for inputs of shape (rows, 1) by name."""
    outputs = list(model.manifest.outputs)
    if rows == 0:
        return {name: np.empty(0) for name in outputs}

    def run(part: slice) -> list[Any]:
        found = model.session.run(outputs, {name: v[part] for name, v in inputs.items()})
        for name, result in zip(outputs, found, strict=True):
            if result.size != part.stop - part.start:
                raise ModelError(
                    f"output {name} of {model.manifest.version} has shape {result.shape} for "
                    f"{part.stop - part.start} rows; {RETRAIN}"
                )
        return found

    # DuckDB scans up to 122,880 rows in one thread and cuts a larger table unevenly, so the cores
    # are shared out here; what a row gets does not depend on its part.
    results = in_slices(run, rows, SMALLEST_PART)
    return {
        name: np.concatenate([result[i] for result in results]).astype(np.float64).reshape(rows)
        for i, name in enumerate(outputs)
    }


def struct_columns(rows: Any) -> tuple[Any, dict[str, Any]]:
    """An Arrow struct in one piece, and its columns by name; else raises ModelError."""
    import pyarrow as pa

    if isinstance(rows, pa.ChunkedArray):
        rows = rows.combine_chunks()
    if isinstance(rows, pa.ChunkedArray):  # zero chunks stay chunked
        rows = pa.array([], type=rows.type)
    if not pa.types.is_struct(rows.type):
        raise ModelError(
            f"a row of features is {rows.type}; expected a struct, e.g. "
            "select cva_predict(f) from customer_features as f"
        )
    return rows, {field.name: rows.field(index) for index, field in enumerate(rows.type)}


def predict_struct(model: ValueModel, rows: Any) -> Any:
    """The Arrow struct of RETURN_TYPE for an Arrow struct of features; a NULL struct gives NULL."""
    rows, columns = struct_columns(rows)
    return outputs_struct(model, inputs_from_columns(model.manifest, columns, len(rows)), rows)


def outputs_struct(model: ValueModel, inputs: Mapping[str, NDArray[Any]], rows: Any) -> Any:
    """The Arrow struct of RETURN_TYPE for a model's inputs, NULL where a row of `rows` is."""
    import pyarrow as pa

    manifest, count = model.manifest, len(rows)
    is_dated = rows.type.get_field_index("as_of_date") >= 0
    beyond = is_extrapolated(
        manifest, inputs, rows.field("as_of_date") if is_dated else None, count
    )
    facts = {
        "is_baseline": manifest.is_baseline,
        "is_judged": manifest.is_judged,
        "is_extrapolated": pa.nulls(count, pa.bool_()) if beyond is None else pa.array(beyond),
        "order_stages": manifest.order_stages,
        "trained_until": pa.scalar(manifest.trained_until, pa.date32()),
        "model_version": manifest.version,
        "model_hash": manifest.sha256,
    }
    return _struct(run_session(model, inputs, count), OUTPUTS, facts, rows)


def kind_type(outputs: Sequence[str]) -> str:
    """What `cva_<kind>` returns for a model with these outputs."""
    numbers = "".join(f'"{name}" DOUBLE, ' for name in outputs)
    return f"STRUCT({numbers}model_version VARCHAR, model_hash VARCHAR)"


def predict_kind(model: ValueModel, rows: Any) -> Any:
    """The Arrow struct of `kind_type` for one of features; a NULL struct gives NULL."""
    rows, columns = struct_columns(rows)
    manifest = model.manifest
    facts = {"model_version": manifest.version, "model_hash": manifest.sha256}
    return _struct(predict(model, columns, len(rows)), manifest.outputs, facts, rows)


def _struct(
    outputs: Mapping[str, Floats], names: Sequence[str], facts: Mapping[str, Any], rows: Any
) -> Any:
    """Outputs of each row beside facts, an Arrow array or what all rows share; NULL as `rows`."""
    import pyarrow as pa

    arrays = [pa.array(outputs[name], type=pa.float64()) for name in names]
    arrays += [
        fact if isinstance(fact, pa.Array) else pa.repeat(fact, len(rows))
        for fact in facts.values()
    ]
    mask = rows.is_null() if rows.null_count else None
    return pa.StructArray.from_arrays(arrays, names=[*names, *facts], mask=mask)
