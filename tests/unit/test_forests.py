"""What trees add by feature: looked up in tables, against LightGBM, shap and the definition."""

from __future__ import annotations

from functools import lru_cache
from itertools import permutations
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from cva_sql.models_onnx.value.graph.builder import Graph
from cva_sql.models_onnx.value.graph.trees import add_trees
from cva_sql.udfs import forests
from cva_sql.udfs.forests import (
    Bit,
    Forest,
    Outcomes,
    Piece,
    Split,
    Table,
    UnknownTrees,
    read_forest,
    tabulate,
)

Floats = NDArray[np.float64]
COLUMNS = 7
# The first is alone, a category is columns 1 to 3, the rest are two features of two columns.
FEATURE_OF = np.array([0, 1, 1, 1, 2, 3, 3])
ALONE = np.arange(COLUMNS)
FAMILY_OF = np.array([0, 1, 0, 1])  # of the four features
LEAVES = [6, 14]  # of trees that are a table each, and of trees taken leaf by leaf


@lru_cache(maxsize=2)
def trees(leaves: int) -> tuple[Any, Floats, Forest]:
    """A booster, its rows with NaN in every column but those of the category, and its pieces."""
    import lightgbm

    random = np.random.default_rng(3)
    matrix = random.normal(size=(600, COLUMNS))
    matrix[random.random(matrix.shape) < 0.2] = np.nan
    category = random.integers(0, 4, len(matrix))
    matrix[:, 1:4] = category[:, None] == np.arange(3)
    known = np.nan_to_num(matrix, nan=-0.7)
    target = known[:, 0] * known[:, 4] + category * known[:, 5] + np.abs(known[:, 6]) + known[:, 2]
    settings = {"num_leaves": leaves, "min_data_in_leaf": 5, "verbosity": -1, "seed": 1}
    booster = lightgbm.train(
        {"objective": "regression", "num_threads": 1, "deterministic": True, **settings},
        lightgbm.Dataset(matrix, label=target),
        30,
    )
    graph = Graph()
    names = [graph.number_input(f"x{column}") for column in range(COLUMNS)]
    graph.output("raw", add_trees(graph, graph.whole_blocks(names), booster))
    model = onnx.load_from_string(graph.to_bytes("trees alone"))
    (node,) = (node for node in model.graph.node if node.op_type == "TreeEnsemble")
    return booster, matrix, read_forest(node)


def tables(
    forest: Forest, reference: Floats, player_of: NDArray[Any], family_of: NDArray[Any]
) -> list[Table]:
    return tabulate(forest, 1.0, reference, player_of.tolist(), family_of)


def values_of(forest: Forest, rows: Floats, reference: Floats, player_of: NDArray[Any]) -> Floats:
    """(rows, players): what each adds beyond the reference, all being of one family."""
    players = int(player_of.max()) + 1
    found = np.zeros((len(rows), players))
    outcomes = Outcomes(rows.T)
    for table in tables(forest, reference, player_of, np.zeros(players, dtype=np.int64)):
        mine, shares = table.shares[0]
        found[:, list(mine)] += table.scale * shares[:, table.code(outcomes)].T
    return found


def by_definition(booster: Any, rows: Floats, reference: Floats, player_of: NDArray[Any]) -> Floats:
    """The same as the mean over all orders of the features."""
    players = int(player_of.max()) + 1
    orders = list(permutations(range(players)))
    found = np.zeros((len(rows), players))
    values = [
        booster.predict(np.where((code >> player_of) & 1 == 1, rows, reference), raw_score=True)
        for code in range(1 << players)
    ]
    for order in orders:
        code = 0
        for player in order:
            found[:, player] += values[code | 1 << player] - values[code]
            code |= 1 << player
    return found / len(orders)


@pytest.mark.parametrize("leaves", LEAVES)
def test_pieces_are_those_of_the_booster(leaves: int) -> None:
    booster, matrix, forest = trees(leaves)
    assert (len(forest) == 30) == (leaves <= forests.TREE_BITS)
    tests = [test for piece in forest for bit in piece.bits for test, _ in bit.tests]
    assert {test.column for test in tests} >= {0, 1, 2, 4, 5, 6}
    assert any(test.missing for test in tests)
    outcomes, total = Outcomes(matrix.T), np.zeros(len(matrix))
    for piece, table in zip(forest, tables(forest, matrix[0], ALONE, ALONE), strict=True):
        total += piece.scale * np.array(piece.values)[table.code(outcomes)]
    np.testing.assert_allclose(total, booster.predict(matrix, raw_score=True), atol=1e-12)


@pytest.mark.parametrize("leaves", LEAVES)
@pytest.mark.parametrize("background", [5, 400])
def test_values_are_those_of_shap(leaves: int, background: int) -> None:
    import shap

    booster, matrix, forest = trees(leaves)
    reference = matrix[[background]]
    explainer = shap.TreeExplainer(booster, data=reference, feature_perturbation="interventional")
    expected = explainer.shap_values(matrix)
    found = values_of(forest, matrix, reference[0], ALONE)
    assert np.abs(expected).max() > 1
    # shap keeps values in single precision: 3e-7 of a sum of 30 leaves.
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("leaves", LEAVES)
def test_columns_of_one_feature_change_together(leaves: int) -> None:
    booster, matrix, forest = trees(leaves)
    rows, reference = matrix[:40], matrix[100]
    found = values_of(forest, rows, reference, FEATURE_OF)
    assert np.abs(found).max() > 1
    # Both are in double: the sums of 30 leaves differ by rounding alone.
    expected = by_definition(booster, rows, reference, FEATURE_OF)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("leaves", LEAVES)
def test_coalitions_of_families_get_what_the_booster_says(leaves: int) -> None:
    booster, matrix, forest = trees(leaves)
    rows, reference = matrix[:40], matrix[100]
    outcomes, family_of = Outcomes(rows.T), FAMILY_OF[FEATURE_OF]
    for coalition in range(4):
        total = np.zeros(len(rows))
        for table in tables(forest, reference, FEATURE_OF, FAMILY_OF):
            place = sum((coalition >> f & 1) << at for at, f in enumerate(table.families))
            total += table.scale * table.sums[place, table.code(outcomes)]
        mixed = np.where((coalition >> family_of) & 1 == 1, rows, reference)
        expected = booster.predict(mixed, raw_score=True)
        np.testing.assert_allclose(total, expected, atol=1e-12)


@pytest.mark.parametrize("leaves", LEAVES)
def test_within_a_family_the_others_are_the_rows_own(leaves: int) -> None:
    booster, matrix, forest = trees(leaves)
    rows, reference = matrix[:40], matrix[100]
    outcomes = Outcomes(rows.T)
    for family in (0, 1):
        found = np.zeros((len(rows), len(FAMILY_OF)))
        for table in tables(forest, reference, FEATURE_OF, FAMILY_OF):
            if family in table.shares:
                mine, shares = table.shares[family]
                found[:, list(mine)] += table.scale * shares[:, table.code(outcomes)].T
        before = np.where(FAMILY_OF[FEATURE_OF] == family, reference, rows)
        expected = by_definition(booster, rows, before, FEATURE_OF)
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("leaves", LEAVES)
def test_what_is_the_references_gets_exactly_nothing(leaves: int) -> None:
    _, matrix, forest = trees(leaves)
    reference, rows = matrix[100], matrix[:100].copy()
    assert not values_of(forest, reference[None, :], reference, FEATURE_OF).any()
    same = np.isin(FEATURE_OF, [1, 3])  # the category and two columns that are NaN at times
    rows[:, same] = reference[same]
    found = values_of(forest, rows, reference, FEATURE_OF)
    assert not found[:, [1, 3]].any()
    assert (found[:, [0, 2]] != 0).any(axis=0).all()


@pytest.mark.parametrize("missing", [True, False])
def test_a_split_sends_a_missing_value_where_it_says(missing: bool) -> None:
    passes = Split(column=0, split=1.0, missing=missing).outcome(np.array([0.5, 1.0, 1.5, np.nan]))
    assert passes.tolist() == [True, True, False, missing]


def test_a_column_tested_twice_on_a_path_is_one_player() -> None:
    # 0 < x <= 1 and y <= 0: both tests of x have to hold of the same customer's x.
    x = Bit(((Split(0, 0.0, False), False), (Split(0, 1.0, False), True)))
    y = Bit(((Split(1, 0.0, False), True),))
    forest = (Piece((x, y), (0.0, 0.0, 0.0, 1.0), 6.0),)
    row, alone = np.array([[0.5, 0.0]]), np.arange(2)
    for typical, expected in (([-1.0, 0.0], [6, 0]), ([2.0, 1.0], [3, 3]), ([0.2, 1.0], [0, 6])):
        assert values_of(forest, row, np.array(typical), alone).tolist() == [expected]


def test_a_way_through_too_many_columns_is_no_table() -> None:
    import lightgbm

    matrix = np.random.default_rng(1).normal(size=(3000, 20))
    # The next column says what is left: a way of as many tests as there are columns.
    target = (np.cumprod(matrix > -1.5, axis=1) * 2.0 ** -np.arange(20)).sum(axis=1)
    booster = lightgbm.train(
        {"objective": "regression", "num_leaves": 40, "min_data_in_leaf": 1, "verbosity": -1},
        lightgbm.Dataset(matrix, label=target),
        1,
    )
    graph = Graph()
    names = [graph.number_input(f"x{column}") for column in range(matrix.shape[1])]
    graph.output("raw", add_trees(graph, graph.whole_blocks(names), booster))
    model = onnx.load_from_string(graph.to_bytes("trees alone"))
    (node,) = (node for node in model.graph.node if node.op_type == "TreeEnsemble")
    with pytest.raises(UnknownTrees, match="columns on the way to a leaf"):
        read_forest(node)
