"""`cva_explain` over a whole table: attributions as SQL structs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cva_sql.udfs.coalitions import Explainer
from cva_sql.udfs.explain import Attributions, explain
from cva_sql.udfs.predict import struct_columns

EXPLANATION_TYPE = (
    "STRUCT(baseline_prediction_value DOUBLE, predicted_value DOUBLE, feature_attributions "
    'STRUCT("rank" INTEGER, family VARCHAR, feature VARCHAR, "value" VARCHAR, '
    "reference_value VARCHAR, attribution DOUBLE, standard_error DOUBLE, "
    "family_attribution DOUBLE)[], model_version VARCHAR, model_hash VARCHAR)"
)


def explain_struct(explainer: Explainer, rows: Any) -> Any:
    """The Arrow struct of EXPLANATION_TYPE for one of features; a NULL struct gives NULL.

    Within a row the features come in order of rank: the largest effect first, ties by name.
    """
    import pyarrow as pa

    rows, columns = struct_columns(rows)
    found = explain(explainer, columns, len(rows))
    items = _items(explainer, columns, found)
    count, width = found.money.shape
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * width)
    manifest = explainer.manifest
    return pa.StructArray.from_arrays(
        [
            pa.array(found.baseline),
            pa.array(found.predicted),
            pa.ListArray.from_arrays(offsets, items),
            pa.repeat(pa.scalar(manifest.version), count),
            pa.repeat(pa.scalar(manifest.sha256), count),
        ],
        names=["baseline_prediction_value", "predicted_value", "feature_attributions",
               "model_version", "model_hash"],
        mask=rows.is_null() if rows.null_count else None,
    )  # fmt: skip


def _items(explainer: Explainer, columns: Mapping[str, Any], found: Attributions) -> Any:
    """The features of all rows, row after row, each row's in order of rank."""
    import pyarrow as pa

    count, width = found.money.shape
    order = np.argsort(-np.abs(found.money), axis=1, kind="stable")
    flat = order.ravel()
    at = (np.repeat(np.arange(count), width), flat)
    names = pa.array(explainer.players, type=pa.string())
    families = pa.array([explainer.families[i] for i in explainer.family_of], type=pa.string())
    values = pa.concat_arrays([texts_of(columns[name]) for name in explainer.players])
    # In single precision, as the customer's value is: 64.7 and not 64.69999694824219.
    typical = [explainer.reference[name] for name in explainer.players]
    typical_texts = pa.concat_arrays(
        [texts_of(pa.array(value, from_pandas=True)) for value in typical]
    )
    return pa.StructArray.from_arrays(
        [
            pa.array(np.tile(np.arange(1, width + 1, dtype=np.int32), count)),
            families.take(pa.array(flat)),
            names.take(pa.array(flat)),
            values.take(pa.array(flat * count + at[0])),
            typical_texts.take(pa.array(flat)),
            pa.array(found.money[at]),
            pa.array(found.standard_error[at]),
            pa.array(found.family_money[at[0], explainer.family_of[flat]]),
        ],
        names=["rank", "family", "feature", "value", "reference_value", "attribution",
               "standard_error", "family_attribution"],
    )  # fmt: skip


def texts_of(column: Any) -> Any:
    """Values as people write them: 9, 812.4, DE; NULL stays, and stands for '' as well."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    texts = column.cast(pa.string())
    if pa.types.is_floating(column.type):
        texts = pc.replace_substring_regex(texts, r"\.0$", "")
    return pc.if_else(pc.is_in(texts, pa.array(["", "nan"])), None, texts)
