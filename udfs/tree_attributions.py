"""Exact Shapley values of a tree ensemble against a reference row, leaf by leaf.

The interventional values of S. M. Lundberg et al., From local explanations to global understanding
with explainable AI for trees, Nature Machine Intelligence 2 (2020), for a single background row: on
the way to a leaf a feature either lets both rows pass, only the one explained (it has to take
part), only the reference (it must not), or neither. A leaf v with a features of the second kind and
b of the third is the game "all a and none of the b", whose values are v·(a−1)!·b!/(a+b)! and
−v·a!·(b−1)!/(a+b)!.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.errors import ModelError

Floats = NDArray[np.float64]
LEQ = 0  # the operator's code of `<=`, the only test that our models have


@dataclass(frozen=True)
class Split:
    """A test on the way to a leaf: `column` <= `split` (for NaN: `missing`) is `outcome`."""

    column: int
    split: float
    missing: bool
    outcome: bool

    def passes(self, values: Floats) -> NDArray[np.bool_]:
        """Which of the values go on to the leaf."""
        with np.errstate(invalid="ignore"):
            left = np.where(np.isnan(values), self.missing, values <= self.split)
        return np.asarray(left == self.outcome)


@dataclass(frozen=True)
class Leaf:
    """A leaf's value and the tests on the way to it."""

    value: float
    tests: tuple[Split, ...]


def read_leaves(model: Any) -> tuple[Leaf, ...]:
    """The leaves of an onnx.ModelProto's one TreeEnsemble; else raises ModelError."""
    from onnx import helper, numpy_helper

    nodes = [node for node in model.graph.node if node.op_type == "TreeEnsemble"]
    if len(nodes) != 1:
        raise ModelError(f"the model has {len(nodes)} tree ensembles; expected one")
    raw = {a.name: helper.get_attribute_value(a) for a in nodes[0].attribute}
    for name in ("nodes_splits", "nodes_modes", "leaf_weights"):
        raw[name] = numpy_helper.to_array(raw[name])
    if set(raw["nodes_modes"].tolist()) - {LEQ}:
        raise ModelError("the model has tests other than <=")
    leaves: list[Leaf] = []
    for root in raw["tree_roots"]:
        _walk(raw, int(root), (), leaves)
    return tuple(leaves)


def _walk(raw: dict[str, Any], node: int, path: tuple[Split, ...], leaves: list[Leaf]) -> None:
    column, split = int(raw["nodes_featureids"][node]), float(raw["nodes_splits"][node])
    missing = bool(raw["nodes_missing_value_tracks_true"][node])
    for outcome, side in ((True, "true"), (False, "false")):
        child = int(raw[f"nodes_{side}nodeids"][node])
        tests = (*path, Split(column, split, missing, outcome))
        if raw[f"nodes_{side}leafs"][node]:
            leaves.append(Leaf(float(raw["leaf_weights"][child]), tests))
        else:
            _walk(raw, child, tests, leaves)


def attribute_leaves(
    leaves: tuple[Leaf, ...], matrix: Floats, reference: Floats, feature_of: NDArray[np.int64]
) -> Floats:
    """Shapley values in the ensemble's own units, (rows, features).

    `matrix` and `reference` are (rows, columns) with NaN for NULL, row against row; `feature_of` is
    the feature that each column belongs to: the columns of one feature change together.
    """
    result = np.zeros((len(matrix), int(feature_of.max(initial=-1)) + 1))
    for leaf in leaves:
        on_path = sorted({int(feature_of[test.column]) for test in leaf.tests})
        own = np.ones((len(on_path), len(matrix)), dtype=bool)
        typical = np.ones_like(own)
        for test in leaf.tests:
            place = on_path.index(int(feature_of[test.column]))
            own[place] &= test.passes(matrix[:, test.column])
            typical[place] &= test.passes(reference[:, test.column])
        result[:, on_path] += leaf.value * _leaf_shares(own, typical).T
    return result


def _leaf_shares(own: NDArray[np.bool_], typical: NDArray[np.bool_]) -> Floats:
    """Shapley values of a leaf of value 1, (features, rows), from who passes on the way to it."""
    needed, barred = own & ~typical, typical & ~own
    a, b = needed.sum(axis=0), barred.sum(axis=0)
    is_reached = (own | typical).all(axis=0)  # by some mixture of the two
    gain, loss = _leaf_weights(len(own))
    return np.where(is_reached, needed * gain[a, b] - barred * loss[a, b], 0.0)


def _leaf_weights(players: int) -> tuple[Floats, Floats]:
    """(a−1)!·b!/(a+b)! and a!·(b−1)!/(a+b)! for a, b from 0 to `players`; 0 where not defined."""
    gain, loss = np.zeros((players + 1, players + 1)), np.zeros((players + 1, players + 1))
    for a in range(players + 1):
        for b in range(players + 1 - a):
            if a:
                gain[a, b] = factorial(a - 1) * factorial(b) / factorial(a + b)
            if b:
                loss[a, b] = factorial(a) * factorial(b - 1) / factorial(a + b)
    return gain, loss
