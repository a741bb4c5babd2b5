"""A formula made ready to be evaluated: sessions for its parts, tables for its trees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.forests import Table, tabulate
from cva_sql.udfs.formula import Curve, Formula, Sum
from cva_sql.udfs.graph_lines import Column, GraphLines, Lines
from cva_sql.udfs.graph_part import Part, column_name
from cva_sql.udfs.sessions import open_session

Floats = NDArray[np.float64]
BLOCK = 16  # customers are sent in whole blocks, so that none depends on its company
READ_TOGETHER = 10  # features of one family that functions read: 1,024 coalitions of them
CALL = 8192  # customers a call of a session: more no longer saves time, and costs memory


@dataclass(frozen=True)
class Parts:
    """Values of the graph in a session of their own.

    `columns` are those that it reads, `lines` what it gives, one after the other.
    """

    session: Any
    columns: tuple[int, ...]
    lines: tuple[Lines, ...]

    def evaluate(self, feed: Mapping[int, Floats], rows: int) -> Floats:
        """(lines, rows) of columns, each (rows,), of whole blocks."""
        found = np.empty((sum(lines.count for lines in self.lines), rows))
        for first in range(0, rows, CALL):
            here = slice(first, min(first + CALL, rows))
            inputs = {column_name(c): feed[c][here].reshape(1, -1) for c in self.columns}
            names = [_output(place) for place in range(len(self.lines))]
            start = 0
            for value in self.session.run(names, inputs):
                found[start : start + len(value), here] = value
                start += len(value)
        return found


def _output(place: int) -> str:
    return f"out{place}"


def _open_parts(source: GraphLines, wanted: Sequence[Lines]) -> Parts | None:
    if not wanted:
        return None
    part = Part(source)
    made = {_output(place): part.add(lines) for place, lines in enumerate(wanted)}
    columns = tuple(c for c in range(len(source.columns)) if column_name(c) in part.inputs)
    return Parts(open_session(part.to_bytes(made)), columns, tuple(wanted))


def _joined(lines: Sequence[Lines]) -> list[Lines]:
    """Neighbours of one value together, in order."""
    found: list[Lines] = []
    for line in sorted(set(lines), key=lambda line: (line.name, line.first)):
        last = found[-1] if found else None
        if last is not None and last.name == line.name and last.end == line.first:
            found[-1] = Lines(last.name, last.first, line.end)
        else:
            found.append(line)
    return found


@dataclass(frozen=True)
class ReadyCurve:
    """A function of one sum, in a session of its own."""

    session: Any
    of: str
    inner: ReadySum

    def evaluate(self, values: Floats) -> Floats:
        """The function at each value, in the same shape; the last axis in whole blocks."""
        flat, found = values.reshape(1, -1), np.empty(values.size)
        for first in range(0, values.size, CALL):
            here = slice(first, first + CALL)
            found[here] = self.session.run([_output(0)], {self.of: flat[:, here]})[0].reshape(-1)
        return found.reshape(values.shape)


@dataclass(frozen=True)
class ReadySum:
    """A sum's parts by their place among all: weights of effects, functions, wide values, curves.

    `constant` has in it what the typical customer's effects are.
    """

    constant: float
    effects: tuple[tuple[int, float], ...]
    functions: tuple[tuple[int, float], ...]
    curves: tuple[tuple[ReadyCurve, float], ...]
    tables: tuple[Table, ...]
    wide: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class ReadyFormula:
    """A formula for the players of a game.

    `columns` are the lines of the matrix, `player_of` whose they are, `typical`, (columns,), the
    reference's. `effect_player` says which player each line of `effects` reads, `base_effects`
    what it is for the typical customer; `function_players` are those that any of `functions` reads.
    """

    total: ReadySum
    cap: float
    columns: tuple[Column, ...]
    player_of: tuple[int, ...]
    typical: Floats
    effects: Parts | None
    effect_player: tuple[int, ...]
    base_effects: Floats
    functions: Parts | None
    function_players: tuple[int, ...]


def make_ready(
    formula: Formula,
    players: Sequence[str],
    family_of: NDArray[np.int64],
    reference: Mapping[str, NDArray[Any]],
) -> ReadyFormula | None:
    """The formula for these players; None where it reads what is no player's, or cannot be run."""
    if not formula.inputs <= set(players):
        return None
    try:
        ready = _Maker(formula, players, family_of, reference).make()
    except ModelError:
        return None
    read = family_of[list(ready.function_players)]
    return ready if np.bincount(read, minlength=1).max() <= READ_TOGETHER else None


class _Maker:
    """Opens sessions for the parts of one formula."""

    def __init__(
        self,
        formula: Formula,
        players: Sequence[str],
        family_of: NDArray[np.int64],
        reference: Mapping[str, NDArray[Any]],
    ) -> None:
        self._formula, self._family_of = formula, family_of
        self._columns = tuple(formula.source.columns)
        self._player_of = tuple(players.index(column.feature) for column in self._columns)
        self._typical = np.array([column_values(c, reference)[0] for c in self._columns])
        sums = [formula.total, *(curve.inner for _, curve in formula.total.curves)]
        source = formula.source
        self._effects = _open_parts(
            source, _joined([line for one in sums for _, line in one.effects])
        )
        self._functions = _open_parts(
            source,
            sorted({f for one in sums for _, f in one.functions}, key=lambda f: (f.name, f.first)),
        )
        self._effect_lines = [
            Lines(lines.name, place, place + 1)
            for lines in (self._effects.lines if self._effects else ())
            for place in range(lines.first, lines.end)
        ]
        self._base = self._evaluate_typical()

    def _evaluate_typical(self) -> Floats:
        if self._effects is None:
            return np.zeros(0)
        feed = {c: np.full(BLOCK, self._typical[c]) for c in self._effects.columns}
        return np.ascontiguousarray(self._effects.evaluate(feed, BLOCK)[:, 0])

    def make(self) -> ReadyFormula:
        """See `make_ready`."""
        source, functions = self._formula.source, self._functions
        read = functions.columns if functions else ()
        return ReadyFormula(
            self._sum(self._formula.total),
            self._formula.cap,
            self._columns,
            self._player_of,
            self._typical,
            self._effects,
            tuple(self._player_of[min(source.depends_on(line))] for line in self._effect_lines),
            self._base,
            functions,
            tuple(sorted({self._player_of[column] for column in read})),
        )

    def _sum(self, one: Sum) -> ReadySum:
        lines = self._functions.lines if self._functions else ()
        effects = tuple((self._effect_lines.index(line), weight) for weight, line in one.effects)
        constant = one.constant + sum(weight * self._base[at] for at, weight in effects)
        tables = [
            table
            for weight, forest in one.forests
            for table in tabulate(forest, weight, self._typical, self._player_of, self._family_of)
        ]
        return ReadySum(
            float(constant),
            effects,
            tuple((lines.index(line), weight) for weight, line in one.functions),
            tuple((self._curve(curve), weight) for weight, curve in one.curves),
            tuple(tables),
            tuple((name, weight) for weight, name in one.wide),
        )

    def _curve(self, curve: Curve) -> ReadyCurve:
        part = Part(self._formula.source, given=[curve.of])
        made = {_output(0): part.add(curve.result)}
        return ReadyCurve(open_session(part.to_bytes(made)), curve.of, self._sum(curve.inner))


def column_values(column: Column, inputs: Mapping[str, NDArray[Any]]) -> Floats:
    """A line of the matrix, (rows,), in double."""
    values = inputs[column.feature]
    return np.asarray((values if column.text is None else values == column.text).astype(float))
