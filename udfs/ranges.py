"""Whether a row's numbers lie beyond those that its model learned from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.manifest import Manifest

EPOCH = date(1970, 1, 1)


def is_extrapolated(
    manifest: Manifest, inputs: Mapping[str, NDArray[Any]], as_of_date: Any, rows: int
) -> NDArray[np.bool_] | None:
    """Whether any number of a row is below the least or above the largest learned from, (rows,).

    `inputs` are the model's, each (rows, 1), `as_of_date` the rows' Arrow column of that name or
    None. What grows by itself may have grown since the newest date learned from, what fades may
    have faded: a customer to whom nothing happened is not beyond anything because time passed. A
    NULL is not either. None for a model that does not know its ranges.
    """
    ranged = [feature for feature in manifest.features if feature.low is not None]
    if not ranged:
        return None
    passed = _days_passed(manifest, as_of_date, rows)
    beyond = np.zeros(rows, dtype=bool)
    for feature in ranged:
        value = inputs[feature.name].reshape(rows)
        low, high = np.float32(feature.low), np.float32(feature.high)
        if feature.by_itself == "fades":
            low = min(low, np.float32(0.0))
        beyond |= value < low
        beyond |= value > (high + passed if feature.by_itself == "grows" else high)
    return beyond


def _days_passed(manifest: Manifest, as_of_date: Any, rows: int) -> NDArray[np.float32]:
    """Days from the newest date learned from to each row's, at least 0, (rows,).

    To the date that the model was made for, where the rows do not say theirs.
    """
    import pyarrow as pa

    training = manifest.training
    dates = [date.fromisoformat(text) for text in training.get("cutoff_dates", ())]
    if not dates:
        return np.zeros(rows, dtype=np.float32)
    newest, made_for = max(dates), training.get("as_of")
    usual = (date.fromisoformat(made_for) if made_for else newest) - newest
    days = np.full(rows, usual.days, dtype=np.float32)
    kind = getattr(as_of_date, "type", None)
    if kind is not None and (pa.types.is_date(kind) or pa.types.is_timestamp(kind)):
        told = as_of_date.cast(pa.date32(), safe=False).cast(pa.int32())
        told = told.to_numpy(zero_copy_only=False).astype(np.float64) - (newest - EPOCH).days
        days = np.where(np.isnan(told), days, told).astype(np.float32)
    return np.maximum(days, np.float32(0.0))
