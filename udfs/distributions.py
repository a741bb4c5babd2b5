"""`cva_distributions`: how a model's inputs and outputs were distributed at its training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.manifest import RETRAIN, Manifest

Floats = NDArray[np.float64]
DISTRIBUTIONS_TYPE = (
    "STRUCT(input VARCHAR, kind VARCHAR, bin BIGINT, above DOUBLE, up_to DOUBLE, text VARCHAR,"
    " share DOUBLE, usual_psi DOUBLE, usual_jensen_shannon DOUBLE, usual_l_infinity DOUBLE,"
    " reference_rows BIGINT, model_version VARCHAR)[]"
)
FACTS = "distributions"  # in a manifest's `training`
LARGEST = 1.7e308  # stands for infinity, which JSON does not have
REST = -1  # the bin of NULLs, and of texts that no bin is for
FLOOR = 0.001  # a smaller share counts as this in PSI: 0 has no logarithm


def shares_of(bins: NDArray[np.int64], count: int) -> Floats:
    """The shares of rows in bins 0 to `count` − 1, then of those in none (REST), (count + 1,)."""
    counts = np.bincount(np.where(bins < 0, count, bins), minlength=count + 1)
    return counts / max(1, len(bins))


def number_bins(values: NDArray[Any], edges: Sequence[float]) -> NDArray[np.int64]:
    """The bin of each number: how many edges lie below it; REST for NaN."""
    found = np.searchsorted(np.asarray(edges, dtype=np.float64), values, side="left")
    return np.where(np.isnan(values), REST, found).astype(np.int64)


def text_bins(values: NDArray[Any], texts: Sequence[str]) -> NDArray[np.int64]:
    """The place of each text; REST where it has none."""
    places = {text: place for place, text in enumerate(texts)}
    return np.array([places.get(value, REST) for value in values], dtype=np.int64)


def psi(expected: Floats, actual: Floats) -> float:
    """Population stability index Σ (a − e)·ln(a / e) of two lists of shares.

    Siddiqi 2006, "Credit risk scorecards", ch. 11: below 0.1 nothing to see, above 0.25 a shift.
    """
    e, a = np.maximum(expected, FLOOR), np.maximum(actual, FLOOR)
    return float(((a - e) * np.log(a / e)).sum())


def jensen_shannon(expected: Floats, actual: Floats) -> float:
    """Jensen–Shannon divergence in bits, 0 to 1 (Lin 1991, eq. 4.1 with weights of a half)."""
    middle = (expected + actual) / 2

    def relative(shares: Floats) -> float:
        some = shares > 0
        return float((shares[some] * np.log2(shares[some] / middle[some])).sum())

    return (relative(expected) + relative(actual)) / 2


def l_infinity(expected: Floats, actual: Floats) -> float:
    """The largest difference of two shares, 0 to 1."""
    return float(np.abs(expected - actual).max(initial=0.0))


METRICS = {"psi": psi, "jensen_shannon": jensen_shannon, "l_infinity": l_infinity}


def distributions(manifest: Manifest) -> list[dict[str, Any]]:
    """A row per input or output and bin, as in DISTRIBUTIONS_TYPE; empty for a model without.

    `share` is that of the rows in the bin on the day of the training: numbers `above` and `up_to`,
    or the `text`; of bin REST those of NULL and all other texts. `usual_…` is the largest distance
    between that day and the dates that the model learned from. Raises ModelError where the
    manifest's part is broken.
    """
    facts = manifest.training.get(FACTS)
    if not isinstance(facts, dict):
        return []
    try:
        return [
            {**row, "reference_rows": int(facts["rows"]), "model_version": manifest.version}
            for one in facts["inputs"]
            for row in _rows(one)
        ]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ModelError(
            f"the distributions in the manifest of {manifest.version} cannot be read ({error}); "
            f"{RETRAIN}"
        ) from None


def _rows(one: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    shared: dict[str, Any] = {"input": str(one["name"]), "kind": str(one["kind"])}
    shared |= {f"usual_{name}": one["usual"].get(name) for name in METRICS}
    nothing = {"above": None, "up_to": None, "text": None}
    *shares, rest = (float(share) for share in one["shares"])
    if one["kind"] == "category":
        for place, (text, share) in enumerate(zip(one["texts"], shares, strict=True)):
            yield {**shared, **nothing, "bin": place, "text": str(text), "share": share}
    else:
        ends = [-LARGEST, *(float(edge) for edge in one["edges"]), LARGEST]
        for place, share in enumerate(shares):
            between = {"above": ends[place], "up_to": ends[place + 1]}
            yield {**shared, **nothing, **between, "bin": place, "share": share}
    yield {**shared, **nothing, "bin": REST, "share": rest}
