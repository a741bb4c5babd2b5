"""How inputs and outputs are distributed at training, and how far apart its dates usually are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.data.cutoffs import Plan
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.udfs.distributions import (
    FACTS,
    METRICS,
    Floats,
    number_bins,
    shares_of,
    text_bins,
)
from cva_sql.udfs.manifest import Manifest
from cva_sql.udfs.predict import run_session
from cva_sql.udfs.sessions import ValueModel, open_session

TENTHS = np.arange(1, 10) / 10
MOST_TEXTS = 30  # of a category; all others are one
MOST_ROWS = 20_000  # of a date; as many as are looked at in a run
OUTPUTS = ("predicted_value", "purchase_probability")
BY_KIND = {"number": ("psi", "jensen_shannon"), "category": ("l_infinity",)}
DIGITS = 6  # of a share: a manifest is read by people too

Metric = Callable[[Floats, Floats], float]
Bins = Callable[[NDArray[Any]], NDArray[np.int64]]


def with_distributions(manifest: Manifest, onnx: bytes, examples: Dataset, plan: Plan) -> Manifest:
    """The manifest with the distributions as of `plan.as_of`, the day of the training.

    Beside each is the largest distance to the dates that were learned from: a shop's seasons and
    its growth move inputs all the time, and what moved as much before is no news. An input that is
    the same for all customers of a date, and another on the next, has no distribution.
    """
    now, *then = [_at_most(examples.seen_from(day)) for day in (plan.as_of, *plan.cutoffs)]
    if not len(now):
        return manifest
    dates = [now, *(rows for rows in then if len(rows))]
    found = []
    for feature in manifest.features:
        columns = [_column(rows, feature.name, feature.kind) for rows in dates]
        if not is_the_shops(columns):
            found.append(described(feature.name, feature.kind, feature.kind, columns))
    model = ValueModel(manifest, open_session(onnx))
    outputs = [_outputs(model, rows) for rows in dates]
    found += [
        described(name, "output", "number", [one[name] for one in outputs]) for name in OUTPUTS
    ]
    facts = {"rows": len(dates[0]), "inputs": found}
    return replace(manifest, training={**manifest.training, FACTS: facts})


def _at_most(rows: Dataset) -> Dataset:
    """Every so many of the rows; they are in no order that matters."""
    step = max(1, -(-len(rows) // MOST_ROWS))
    return rows.select(np.arange(len(rows)) % step == 0)


def _column(rows: Dataset, name: str, kind: str) -> NDArray[Any]:
    return (rows.categories if kind == "category" else rows.numbers)[name]


def is_the_shops(columns: Sequence[NDArray[Any]]) -> bool:
    """Whether a value is shared by all customers of a date and differs between dates."""
    if columns[0].dtype == object:
        return False
    each = [np.unique(column) for column in columns]
    return all(len(found) == 1 for found in each) and len(np.unique(np.concatenate(each))) > 1


def _outputs(model: ValueModel, rows: Dataset) -> Mapping[str, Floats]:
    inputs = {
        feature.name: _column(rows, feature.name, feature.kind).reshape(-1, 1)
        for feature in model.manifest.features
    }
    return run_session(model, inputs, len(rows))


def described(name: str, kind: str, like: str, columns: Sequence[NDArray[Any]]) -> dict[str, Any]:
    """An input's bins, its shares in them on the first of some dates, and its usual distances.

    `columns` are its values on each date, `like` the kind that says how they are binned.
    """
    bins: Bins
    facts: dict[str, Any]
    if like == "category":
        texts, counts = np.unique(columns[0].astype(str), return_counts=True)
        known = [str(text) for text in texts[np.argsort(-counts, kind="stable")][:MOST_TEXTS]]
        bins, count, facts = lambda x: text_bins(x, known), len(known), {"texts": known}
    else:
        values = columns[0][np.isfinite(columns[0])]
        edges = np.unique(np.quantile(values, TENTHS, method="lower")) if len(values) else values
        ends = [float(edge) for edge in edges]
        bins, count, facts = lambda x: number_bins(x, ends), len(ends) + 1, {"edges": ends}
    shares = [shares_of(bins(column), count) for column in columns]
    return {
        "name": name,
        "kind": kind,
        **facts,
        "shares": [round(float(share), DIGITS) for share in shares[0]],
        "usual": {
            metric: round(_largest(METRICS[metric], shares), DIGITS) for metric in BY_KIND[like]
        },
    }


def _largest(metric: Metric, shares: Sequence[Floats]) -> float:
    """The largest distance between the first day and another."""
    return max((metric(shares[0], other) for other in shares[1:]), default=0.0)
