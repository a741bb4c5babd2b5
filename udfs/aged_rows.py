"""`cva_explain_aged`: explanations of customers who have only aged, made to add up to today's
prediction."""

from __future__ import annotations

from typing import Any

import numpy as np

from cva_sql.udfs.coalitions import Explainer
from cva_sql.udfs.explained_rows import EXPLANATION_TYPE, explain_struct, texts_of
from cva_sql.udfs.predict import struct_columns

AGED_TYPE = EXPLANATION_TYPE.removesuffix(")") + ", is_kept BOOLEAN)"
LEAST, MOST = 0.8, 1.25  # times kept attributions: beyond, the prediction is another one


def explain_aged(
    explainer: Explainer,
    rows: Any,
    predicted: Any,
    baseline: Any,
    before: Any,
    first: Any,
    items: Any,
) -> Any:
    """The Arrow struct of AGED_TYPE for one of features.

    `predicted` is today's predicted_value. `baseline`, `before` (the prediction then) and `items`
    are of an explanation of the same customer from when they were younger, NULL where there is
    none. Its attributions are kept, each times the same factor: (predicted - baseline) / (before -
    baseline). `first` is the prediction that they were found for. Where there is none, or they are
    outside of LEAST to MOST times what they were then, the row is explained anew.
    """
    import pyarrow as pa

    rows, columns = struct_columns(rows)
    then, now = _floats(before) - _floats(baseline), _floats(predicted) - _floats(baseline)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor, in_all = now / then, now / (_floats(first) - _floats(baseline))
    is_kept = (in_all >= LEAST) & (in_all <= MOST) & (factor > 0) & np.isfinite(factor)
    anew = np.flatnonzero(~is_kept)
    parts = [_with_flag(explain_struct(explainer, rows.take(pa.array(anew))), False)]
    at = np.flatnonzero(is_kept)
    if len(at):
        kept = _scaled(explainer, columns, _whole(items), at, factor)
        manifest = explainer.manifest
        old = pa.StructArray.from_arrays(
            [
                _whole(baseline).take(pa.array(at)).cast(pa.float64()),
                _whole(predicted).take(pa.array(at)).cast(pa.float64()),
                kept,
                pa.repeat(pa.scalar(manifest.version), len(at)),
                pa.repeat(pa.scalar(manifest.sha256), len(at)),
            ],
            fields=list(parts[0].type)[:-1],
        )
        parts.append(_with_flag(old, True))
    return pa.concat_arrays(parts).take(pa.array(np.argsort(np.concatenate([anew, at]))))


def _scaled(explainer: Explainer, columns: Any, items: Any, at: Any, factor: Any) -> Any:
    """The lists of attributions at these rows, times each row's factor, with today's values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lists = items.take(pa.array(at))
    flat = lists.flatten()
    row = np.repeat(at, pc.list_value_length(lists).to_numpy(zero_copy_only=False))
    values = {field.name: flat.field(index) for index, field in enumerate(flat.type)}
    for name in ("attribution", "standard_error", "family_attribution"):
        values[name] = pa.array(values[name].to_numpy(zero_copy_only=False) * factor[row])
    place = pc.index_in(values["feature"], pa.array(explainer.players, type=pa.string()))
    own = pa.concat_arrays([texts_of(columns[name]) for name in explainer.players])
    count = len(items)
    values["value"] = own.take(pa.array(place.to_numpy(zero_copy_only=False) * count + row))
    offsets = pc.cast(pc.cumulative_sum(pc.list_value_length(lists)), pa.int32())
    return pa.ListArray.from_arrays(
        pa.concat_arrays([pa.array([0], type=pa.int32()), offsets]),
        pa.StructArray.from_arrays(list(values.values()), names=list(values)),
    )


def _with_flag(struct: Any, is_kept: bool) -> Any:
    """The struct with is_kept beside its fields; NULL where it is."""
    import pyarrow as pa

    return pa.StructArray.from_arrays(
        [*struct.flatten(), pa.repeat(pa.scalar(is_kept), len(struct))],
        names=[*(field.name for field in struct.type), "is_kept"],
        mask=struct.is_null() if struct.null_count else None,
    )


def _whole(column: Any) -> Any:
    """An Arrow column in one piece."""
    import pyarrow as pa

    if not isinstance(column, pa.ChunkedArray):
        return column
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _floats(column: Any) -> Any:
    """A column as float64; NaN for NULL."""
    return _whole(column).to_numpy(zero_copy_only=False).astype(np.float64)
