"""The shop's typical customer, which predictions are explained against; frozen in the manifest."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.model.fitted import FittedModel
from cva_sql.udfs.manifest import Explanation

MONEY_RULE = "logarithmic mean"  # see udfs/shapley.py
OWN = "own"  # the reason family of features that the catalogue names none for


def build_explanation(model: FittedModel, rows: Dataset) -> Explanation:
    """How a model's predictions are explained; `rows` are all customers of the scoring date.

    The typical customer has the median of each number and the most frequent value of each category,
    and none where most customers have none.
    """
    preparation = model.members.preparation
    reference: dict[str, float | str | None] = {
        name: typical_number(rows.numbers[name]) for name in preparation.numbers
    }
    reference |= {name: typical_text(rows.categories[name]) for name, _ in preparation.categories}
    return Explanation(
        reference=reference,
        families={name: rows.reason_families.get(name, OWN) for name in reference},
        link="log",
        money_rule=MONEY_RULE,
    )


def typical_number(column: NDArray[np.float32]) -> float | None:
    """The median of what is known, as float32 has it; None where most is not known."""
    known = column[~np.isnan(column)]
    if 2 * len(known) < len(column) or not len(known):
        return None
    # A value that a customer has, not one between two: half an order is nobody's.
    return float(np.sort(known)[(len(known) - 1) // 2])


def typical_text(column: NDArray[Any]) -> str:
    """The most frequent text, '' included; of two alike the first by letters."""
    values, counts = np.unique(column.astype(str), return_counts=True)
    return str(values[np.argmax(counts)]) if len(values) else ""
