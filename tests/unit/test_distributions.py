"""Distances between distributions, by hand; and what a manifest says of its own."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from cva_sql.models_onnx.value.training.distributions import described, is_the_shops
from cva_sql.udfs.distributions import (
    REST,
    distributions,
    jensen_shannon,
    l_infinity,
    number_bins,
    psi,
    shares_of,
    text_bins,
)
from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.manifest import read_manifest
from cva_sql.udfs.sessions import baseline_folder


def shares(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_distances_by_hand() -> None:
    even, odd = shares(0.5, 0.5), shares(0.8, 0.2)
    assert psi(even, odd) == pytest.approx(0.3 * math.log(1.6) + 0.3 * math.log(2.5))
    assert psi(even, odd) == pytest.approx(psi(odd, even))
    assert psi(even, even) == jensen_shannon(even, even) == l_infinity(even, even) == 0
    assert jensen_shannon(shares(1, 0), shares(0, 1)) == 1  # nothing in common
    assert l_infinity(even, odd) == pytest.approx(0.3)
    # A bin that was empty has a share of 0.001, not none.
    assert psi(shares(1, 0), shares(0.9, 0.1)) == pytest.approx(
        -0.1 * math.log(0.9) + 0.099 * math.log(100)
    )


def test_a_value_on_an_edge_is_below_it_and_null_apart() -> None:
    values = np.array([0.0, 0.0, 1.0, 2.0, np.nan, np.inf])
    assert number_bins(values, [0.0, 1.0]).tolist() == [0, 0, 1, 2, REST, 2]
    assert text_bins(np.array(["a", "", "z"], dtype=object), ["a", ""]).tolist() == [0, 1, REST]
    assert shares_of(np.array([0, 0, 1, REST]), 2).tolist() == [0.5, 0.25, 0.25]
    assert shares_of(np.array([], dtype=np.int64), 2).tolist() == [0, 0, 0]


def test_what_moved_before_is_usual() -> None:
    calm = np.arange(100, dtype=np.float32)
    found = described("x", "number", "number", [calm, calm + 1, calm + 50])
    assert len(found["edges"]) == 9
    assert found["shares"] == [0.1] * 10 + [0.0]
    assert found["usual"]["psi"] > 1
    still = described("x", "number", "number", [calm, calm, calm])
    assert still["usual"] == {"psi": 0, "jensen_shannon": 0}
    text = [np.array([*"aab"], dtype=object), np.array([*"abc"], dtype=object)]
    category = described("c", "category", "category", text)
    assert category["texts"] == ["a", "b"]
    assert category["shares"] == [pytest.approx(2 / 3, abs=1e-6), pytest.approx(1 / 3, abs=1e-6), 0]
    assert category["usual"] == {"l_infinity": pytest.approx(1 / 3, abs=1e-6)}
    nothing = described("n", "number", "number", [np.full(3, np.nan)])
    assert (nothing["edges"], nothing["shares"]) == ([], [0, 1])


def test_what_all_customers_share_and_time_changes_is_no_distribution() -> None:
    one, two = np.full(3, 1.0, np.float32), np.full(3, 2.0, np.float32)
    assert is_the_shops([one, two])
    assert not is_the_shops([one, one])
    assert not is_the_shops([one, np.array([1, 2, 2], np.float32)])
    assert not is_the_shops([np.array(["a"], dtype=object), np.array(["b"], dtype=object)])


def test_a_manifest_says_its_distributions_or_none() -> None:
    rule = read_manifest(baseline_folder())
    assert distributions(rule) == []
    one = {"name": "x", "kind": "number", "edges": [3.0], "shares": [0.4, 0.5, 0.1]}
    facts = {"rows": 10, "inputs": [{**one, "usual": {"psi": 0.3}}]}
    known = replace(rule, training={"distributions": facts})
    rows = distributions(known)
    assert [(row["bin"], row["share"]) for row in rows] == [(0, 0.4), (1, 0.5), (REST, 0.1)]
    assert (rows[0]["up_to"], rows[1]["above"], rows[2]["above"]) == (3.0, 3.0, None)
    assert {row["usual_psi"] for row in rows} == {0.3}
    for broken in ({"rows": 10, "inputs": [one]}, {"inputs": [one]}, {"rows": 1, "inputs": [3]}):
        with pytest.raises(ModelError, match=r"distributions in the manifest of .* cannot be read"):
            distributions(replace(rule, training={"distributions": broken}))
