"""What would be predicted if some features were other: for one row, and for a table of them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.manifest import Manifest, inputs_from_columns
from cva_sql.udfs.predict import outputs_struct, struct_columns
from cva_sql.udfs.sessions import ValueModel

GRAMMAR = "+1 or -1 to add, *1.5 to multiply, 3 or =-3 to set, null for none"

# `from cva_scenario('customer_features', {'orders_90d_count': '+1'})`: the predictions of all
# customers, as they are and as they would be.
SCENARIO = """
create or replace temp macro cva_scenario(features_table, changes) as table
select
    customer_id,
    as_of_date,
    before.predicted_value as predicted_value,
    after.predicted_value as changed_predicted_value,
    after.predicted_value - before.predicted_value as difference,
    before.purchase_probability as purchase_probability,
    after.purchase_probability as changed_purchase_probability
from (
    select
        customer_id,
        as_of_date,
        cva_predict(cva_row) as before,
        cva_predict_changed(cva_row, changes) as after
    from query_table(features_table) as cva_row
)
"""


def predict_changed(model: ValueModel, rows: Any, changes: Any) -> Any:
    """The Arrow struct of predict.RETURN_TYPE for rows whose features are changed first.

    `changes` is a struct of texts (GRAMMAR; for a category its new value) or numbers by feature,
    a NULL in it changes nothing. Features that were derived from a changed one stay as they are.
    Raises ModelError for a feature that the model does not read, or a change that it cannot take.
    """
    import pyarrow as pa

    rows, columns = struct_columns(rows)
    _, wanted = struct_columns(changes)
    inputs = inputs_from_columns(model.manifest, columns, len(rows))
    for name, column in wanted.items():
        check_feature(model.manifest, name)
        # A number sets, whatever its sign.
        sets = "" if pa.types.is_string(column.type) or pa.types.is_null(column.type) else "="
        texts = [None if value is None else f"{sets}{value}" for value in column.to_pylist()]
        found, place = np.unique([text or "" for text in texts], return_inverse=True)
        values = inputs[name].copy()
        for index, text in enumerate(found):
            if text:
                rows_of = place == index
                values[rows_of] = change_input(values[rows_of], name, str(text))
        inputs[name] = values
    return outputs_struct(model, inputs, rows)


def check_feature(manifest: Manifest, name: str) -> None:
    """Raises ModelError where the model does not read the feature."""
    names = [feature.name for feature in manifest.features]
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"nearest: {', '.join(near)}" if near else "see: cva models info"
    raise ModelError(f"`{name}` is no feature of model {manifest.version}; {hint}")


def unknown_values(manifest: Manifest, changes: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Of the categories that are set to a text the model does not tell apart: those it does."""
    known = {feature.name: feature.values for feature in manifest.features if feature.values}
    return {
        name: known[name]
        for name, text in changes.items()
        if name in known and _category(text) not in ("", *known[name])
    }


def _category(text: str) -> str:
    text = text.strip().removeprefix("=")
    return "" if text.lower() == "null" else text


def change_input(values: NDArray[Any], name: str, text: str) -> NDArray[Any]:
    """A changed copy of an input; of a category the text itself. Raises ModelError."""
    if values.dtype == object:
        return np.full(values.shape, _category(text), dtype=object)
    text = text.strip()
    if text.lower() == "null":
        return np.full(values.shape, np.nan, dtype=values.dtype)
    sign, digits = (text[0], text[1:]) if text[:1] in ("+", "-", "*", "=") else ("=", text)
    try:
        number = float(digits)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or (sign != "=" and digits[:1] in ("+", "-")):
        raise ModelError(f"{name}={text} cannot be taken; expected {GRAMMAR}")
    # What a customer has none of counts as 0 when something is added to it.
    known = np.nan_to_num(values.astype(np.float64), nan=0.0)
    changed = {
        "+": known + number,
        "-": known - number,
        "*": values.astype(np.float64) * number,
        "=": np.full(values.shape, number),
    }[sign]
    if not (np.abs(changed) <= np.finfo(values.dtype).max).all(where=~np.isnan(changed)):
        raise ModelError(f"{name}={text} cannot be taken: the value becomes too large")
    return np.asarray(changed, dtype=values.dtype)
