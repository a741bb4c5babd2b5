"""Exact Shapley values of tree ensembles, and their sums by coalitions, from tables.

What a small tree gives depends on the outcomes of its few tests alone, and so does what each of its
features adds against the typical customer, whose outcomes are fixed: both are looked up by the
outcomes' bits. A large tree is taken leaf by leaf: "everybody on the way passes" is such a table.
The values are the interventional ones of S. M. Lundberg et al., From local explanations to global
understanding with explainable AI for trees, Nature Machine Intelligence 2 (2020), for one
background row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.shapley import enumerate_shapley

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
LEQ = 0  # the operator's code of `<=`, the only test that our models have
TREE_BITS = 8  # tests of a tree that is one table
LEAF_BITS = 10  # columns on the way to a leaf of a larger one
PIECES = 5_000  # more take seconds to tabulate, and hundreds of megabytes
USUAL = {"aggregate_function": 1, "post_transform": 0, "n_targets": 1}  # a sum, as it is


class UnknownTrees(ValueError):
    """Trees that no table can be made of."""


@dataclass(frozen=True)
class Split:
    """A test: `column` <= `split`; for NaN its outcome is `missing`."""

    column: int
    split: float
    missing: bool

    def outcome(self, values: Floats) -> NDArray[np.bool_]:
        """Whether each of the values passes."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(np.isnan(values), self.missing, values <= self.split))


@dataclass(frozen=True)
class Bit:
    """Tests of one column; the bit is 1 where all have these outcomes."""

    tests: tuple[tuple[Split, bool], ...]

    @property
    def column(self) -> int:
        """The column that is tested."""
        return self.tests[0][0].column


@dataclass(frozen=True)
class Piece:
    """`scale` · `values` by the code of the bits: bit i of a code is that of the i-th of `bits`."""

    bits: tuple[Bit, ...]
    values: tuple[float, ...]
    scale: float = 1.0


Forest = tuple[Piece, ...]


def read_forest(node: Any, first_column: int = 0) -> Forest:
    """The pieces of a TreeEnsemble node; raises UnknownTrees where they would be too large."""
    from onnx import helper, numpy_helper

    raw = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    for name in ("nodes_splits", "nodes_modes", "leaf_weights"):
        raw[name] = numpy_helper.to_array(raw[name])
    if set(raw["nodes_modes"].tolist()) - {LEQ}:
        raise UnknownTrees("tests other than <=")
    if any(raw.get(name, usual) != usual for name, usual in USUAL.items()):
        raise UnknownTrees("no sum of leaves")
    pieces: list[Piece] = []
    for root in raw["tree_roots"]:
        pieces += _Tree(raw, first_column).pieces(int(root))
        if len(pieces) > PIECES:
            raise UnknownTrees(f"more than {PIECES} pieces")
    return tuple(pieces)


class _Tree:
    """Reads one tree of a TreeEnsemble's arrays."""

    def __init__(self, raw: dict[str, Any], first_column: int) -> None:
        self._raw = raw
        self._first = first_column

    def pieces(self, root: int) -> list[Piece]:
        """The tree as one piece, or a piece a leaf."""
        leaves: list[tuple[float, dict[int, bool]]] = []
        self._walk(root, {}, leaves)
        nodes = sorted({node for _, path in leaves for node in path})
        if len(nodes) <= TREE_BITS:
            bits = tuple(Bit(((self._split(node), True),)) for node in nodes)
            values = np.zeros(1 << len(nodes))
            codes = np.arange(len(values))
            for value, path in leaves:
                is_here = np.ones(len(codes), dtype=bool)
                for node, outcome in path.items():
                    is_here &= ((codes >> nodes.index(node)) & 1 == 1) == outcome
                values[is_here] = value
            return [Piece(bits, tuple(values.tolist()))]
        return [self._leaf(value, path) for value, path in leaves]

    def _walk(
        self, node: int, path: dict[int, bool], leaves: list[tuple[float, dict[int, bool]]]
    ) -> None:
        raw = self._raw
        for outcome, side in ((True, "true"), (False, "false")):
            child = int(raw[f"nodes_{side}nodeids"][node])
            here = {**path, node: outcome}
            if raw[f"nodes_{side}leafs"][node]:
                leaves.append((float(raw["leaf_weights"][child]), here))
            else:
                self._walk(child, here, leaves)

    def _split(self, node: int) -> Split:
        raw = self._raw
        return Split(
            self._first + int(raw["nodes_featureids"][node]),
            float(raw["nodes_splits"][node]),
            bool(raw["nodes_missing_value_tracks_true"][node]),
        )

    def _leaf(self, value: float, path: dict[int, bool]) -> Piece:
        tests: dict[int, list[tuple[Split, bool]]] = {}
        for node, outcome in path.items():
            split = self._split(node)
            tests.setdefault(split.column, []).append((split, outcome))
        if len(tests) > LEAF_BITS:
            raise UnknownTrees(f"{len(tests)} columns on the way to a leaf")
        bits = tuple(Bit(tuple(tests[column])) for column in sorted(tests))
        values = (0.0,) * ((1 << len(bits)) - 1) + (1.0,)
        return Piece(bits, values, value)


@dataclass(frozen=True)
class Table:
    """A piece beside the typical customer.

    `families` are those that its columns belong to. `sums`, (2^families, codes), is what it gives
    where only some of them are the row's own; `shares` has for each of its families the players
    and what each adds within it, (players, codes), all other families as in the code.
    `of_family`, by family, are the bits of a code that belong to it; `typical` is the code of the
    typical customer.
    """

    bits: tuple[Bit, ...]
    families: tuple[int, ...]
    sums: Floats
    shares: dict[int, tuple[tuple[int, ...], Floats]]
    of_family: dict[int, int]
    typical: int
    scale: float

    def code(self, outcomes: Outcomes) -> Codes:
        """Each row's code, (rows,)."""
        code = np.zeros(outcomes.rows, dtype=np.intp)
        for place, bit in enumerate(self.bits):
            code |= outcomes.of(bit).astype(np.intp) << place
        return code


def tabulate(
    forest: Forest,
    weight: float,
    typical: Floats,
    player_of: Sequence[int],
    family_of: NDArray[np.int64],
) -> list[Table]:
    """The tables of weight · forest; `typical` is the reference's matrix, (columns,)."""
    tables = []
    for piece in forest:
        players = tuple(player_of[bit.column] for bit in piece.bits)
        families = tuple(int(family_of[player]) for player in players)
        outcomes = Outcomes(typical.reshape(-1, 1))
        code = sum(int(outcomes.of(bit)[0]) << place for place, bit in enumerate(piece.bits))
        sums, shares, of_family = _tabulated(players, families, code, piece.values)
        tables.append(
            Table(
                piece.bits, tuple(sorted(of_family)), sums, shares, of_family, code,
                weight * piece.scale,
            )
        )  # fmt: skip
    return tables


@lru_cache(maxsize=512)
def _tabulated(
    players: tuple[int, ...], families: tuple[int, ...], typical: int, values: tuple[float, ...]
) -> tuple[Floats, dict[int, tuple[tuple[int, ...], Floats]], dict[int, int]]:
    by_code, codes = np.array(values), np.arange(len(values))
    of_player = {p: _mask(players, p) for p in sorted(set(players))}
    of_family = {f: _mask(families, f) for f in sorted(set(families))}

    def games(masks: Sequence[int], others: int) -> Floats:
        """The values where some of these bits are the row's own, and `others` are."""
        lines = []
        for coalition in range(1 << len(masks)):
            own = others
            for place, mask in enumerate(masks):
                own |= mask * (coalition >> place & 1)
            lines.append(by_code[(codes & own) | (typical & ~own)])
        return np.array(lines)

    everything = len(values) - 1
    shares = {}
    for family, mask in of_family.items():
        mine = tuple(p for p, own in of_player.items() if own & mask)
        game = games([of_player[p] for p in mine], everything & ~mask)
        shares[family] = (mine, enumerate_shapley(game))
    return games(list(of_family.values()), 0), shares, of_family


def _mask(owners: tuple[int, ...], owner: int) -> int:
    return sum(1 << place for place, other in enumerate(owners) if other == owner)


class Outcomes:
    """The outcomes of tests on a matrix, (columns, rows) with NaN for NULL; each found once."""

    def __init__(self, matrix: Floats) -> None:
        self._matrix = matrix
        self.rows = matrix.shape[1]
        self._found: dict[Split, NDArray[np.bool_]] = {}

    def of(self, bit: Bit) -> NDArray[np.bool_]:
        """Which rows have all of a bit's outcomes, (rows,)."""
        passes = [self._outcome(split) == outcome for split, outcome in bit.tests]
        return np.asarray(np.logical_and.reduce(passes)) if len(passes) > 1 else passes[0]

    def _outcome(self, split: Split) -> NDArray[np.bool_]:
        if split not in self._found:
            self._found[split] = split.outcome(self._matrix[split.column])
        return self._found[split]
