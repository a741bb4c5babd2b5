"""A game whose value is a sum of parts, each evaluated for the features that it reads.

All is in link space, players or coalitions along the first axis and rows along the last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.forests import Outcomes, Table
from cva_sql.udfs.formula_parts import BLOCK, ReadyCurve, ReadyFormula, ReadySum, column_values
from cva_sql.udfs.shapley import enumerate_shapley

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


class SumGame:
    """The rows of a game between the typical customer and their own, in whole blocks.

    `gains`, (effects, rows), is what each effect is beyond the typical customer's.
    """

    def __init__(
        self,
        ready: ReadyFormula,
        family_of: Codes,
        families: int,
        inputs: Mapping[str, NDArray[Any]],
        rows: int,
    ) -> None:
        self.ready = ready
        self.family_of = family_of
        self._families = families
        self.rows = max(1, -(-rows // BLOCK)) * BLOCK
        matrix = np.array([column_values(column, inputs) for column in ready.columns])
        # Rows that fill up a block are the typical customer.
        self.matrix = np.repeat(ready.typical[:, None], self.rows, axis=1)
        self.matrix[:, :rows] = matrix
        self._outcomes = Outcomes(self.matrix)
        self._codes: dict[int, NDArray[np.intp]] = {}  # of a table, by its place in the sum
        self._gains = np.zeros((len(ready.effect_player), self.rows))
        if ready.effects is not None:
            own = ready.effects.evaluate(dict(enumerate(self.matrix)), self.rows)
            self._gains = own - ready.base_effects[:, None]

    # Coalitions of families.

    def by_families(self, one: ReadySum, inner: Sequence[Floats] = ()) -> Floats:
        """The sum for each coalition of families, (2^families, rows), without what is wide.

        `inner` has the same of each curve's sum.
        """
        gains = self.player_gains(one)
        total = np.empty((1 << self._families, self.rows))
        total[0] = one.constant
        for family in range(self._families):
            own = np.zeros(self.rows)
            for player, gain in gains.items():
                if self.family_of[player] == family:
                    own = own + gain
            total[1 << family : 2 << family] = total[: 1 << family] + own
        self._add_trees(total, one)
        if one.functions:
            involved = tuple(sorted({int(self.family_of[p]) for p in self.ready.function_players}))
            total += self._function_families(one, involved)[self._compressed(involved)]
        for (curve, weight), lines in zip(one.curves, inner, strict=True):
            total += weight * curve.evaluate(lines)
        return total

    def player_gains(self, one: ReadySum) -> dict[int, Floats]:
        """What each player's effects add, (rows,)."""
        found: dict[int, Floats] = {}
        for place, weight in one.effects:
            player, gain = self.ready.effect_player[place], weight * self._gains[place]
            found[player] = found[player] + gain if player in found else gain
        return found

    def _compressed(self, families: Sequence[int]) -> Codes:
        """For each coalition of all families, which one of these families it is."""
        codes = np.arange(1 << self._families)
        return np.asarray(
            sum(((codes >> family) & 1) << place for place, family in enumerate(families))
            + np.zeros_like(codes)
        )

    def _add_trees(self, total: Floats, one: ReadySum) -> None:
        found: dict[tuple[int, ...], Floats] = {}
        for place, table in enumerate(one.tables):
            values = table.scale * table.sums.take(self._code(place, table), axis=1)
            before = found.get(table.families)
            found[table.families] = values if before is None else before + values
        for families, values in found.items():
            total += values[self._compressed(families)]

    def _code(self, place: int, table: Table) -> NDArray[np.intp]:
        if place not in self._codes:
            self._codes[place] = table.code(self._outcomes)
        return self._codes[place]

    def _function_families(self, one: ReadySum, involved: Sequence[int]) -> Floats:
        """The functions' sum for each coalition of the families that they read."""
        codes = np.arange(1 << len(involved))[:, None]
        presence = {
            player: (codes >> involved.index(int(self.family_of[player]))) & 1 == 1
            for player in self.ready.function_players
        }
        return _weighed(self._functions(presence, len(codes)), one.functions)

    def _functions(self, presence: Mapping[int, NDArray[np.bool_]], count: int) -> Floats:
        """All functions, (functions, count, rows), where these players have their own values."""
        parts, ready = self.ready.functions, self.ready
        assert parts is not None
        feed = {}
        for column in parts.columns:
            is_own = presence[ready.player_of[column]]
            values = np.where(is_own, self.matrix[column], ready.typical[column])
            feed[column] = np.broadcast_to(values, (count, self.rows)).reshape(-1)
        return parts.evaluate(feed, count * self.rows).reshape(-1, count, self.rows)

    def add_tree_shares(self, links: Floats, one: ReadySum, family: int, context: Codes) -> None:
        """Adds what each player of a family does in trees, exactly, to (players, rows)."""
        for place, table in enumerate(one.tables):
            if family not in table.shares:
                continue
            players, shares = table.shares[family]
            code = self._in_context(table, self._code(place, table), family, context)
            for player, share in zip(players, shares, strict=True):
                links[player] += table.scale * share.take(code)

    def _in_context(
        self, table: Table, code: NDArray[np.intp], family: int, context: Codes
    ) -> NDArray[np.intp]:
        """The codes of rows some of whose other families are the typical customer's."""
        others = [other for other in table.families if other != family]
        is_mixed = np.zeros(self.rows, dtype=bool)
        for other in others:
            is_mixed |= (context >> other) & 1 == 0
        if not is_mixed.any():
            return code
        code = code.copy()
        for other in others:
            bits = table.of_family[other]
            absent = (context >> other) & 1 == 0
            code[absent] = (code[absent] & ~bits) | (table.typical & bits)
        return code

    def function_table(self, family: int, context: Codes) -> tuple[list[int], Floats]:
        """(players, all functions by which of them are there): (functions, 2^players, rows)."""
        mine = [p for p in self.ready.function_players if self.family_of[p] == family]
        if self.ready.functions is None:
            return mine, np.zeros((0, 1, self.rows))
        codes = np.arange(1 << len(mine))[:, None]
        presence = {
            player: (codes >> mine.index(player)) & 1 == 1
            if player in mine
            else ((context >> int(self.family_of[player])) & 1 == 1)[None, :]
            for player in self.ready.function_players
        }
        return mine, self._functions(presence, len(codes))


class FamilyWalk:
    """The features of one family coming, all other families being those of `context`, (rows,)."""

    def __init__(self, game: SumGame, one: ReadySum, family: int, context: Codes) -> None:
        self._game, self._family, self._context = game, family, context
        self._mine, self._table = game.function_table(family, context)
        self._gains = [game.player_gains(curve.inner) for curve, _ in one.curves]
        self._curves = [curve for curve, _ in one.curves]

    def exact(self, one: ReadySum) -> Floats:
        """What effects, trees and functions of few features add, (players, rows)."""
        game = self._game
        links = np.zeros((len(game.family_of), game.rows))
        for player, gain in game.player_gains(one).items():
            if game.family_of[player] == self._family:
                links[player] += gain
        game.add_tree_shares(links, one, self._family, self._context)
        if one.functions:
            links[self._mine] += enumerate_shapley(_weighed(self._table, one.functions))
        return links

    def moving(self, curve: ReadyCurve, players: Codes) -> list[int]:
        """Those of the players that a curve's sum reads."""
        gains = self._gains[self._curves.index(curve)]
        return [int(player) for player in players if player in gains or player in self._mine]

    def walk(self, curve: ReadyCurve, start: Floats, order: Codes) -> Floats:
        """What players add to a curve when they come in this order, (players, rows).

        `start`, (rows,), is the curve's sum before the first.
        """
        moving = self.moving(curve, order)
        came = [moving[:count] for count in range(len(moving) + 1)]
        values = self._values(curve, start, came)
        links = np.zeros((len(self._game.family_of), self._game.rows))
        links[moving] = values[1:] - values[:-1]
        return links

    def enumerate(self, curve: ReadyCurve, start: Floats, players: Codes) -> Floats:
        """The same exactly, by all coalitions."""
        moving = self.moving(curve, players)
        codes = range(1 << len(moving))
        came = [[p for place, p in enumerate(moving) if code >> place & 1] for code in codes]
        links = np.zeros((len(self._game.family_of), self._game.rows))
        links[moving] = enumerate_shapley(self._values(curve, start, came))
        return links

    def _values(self, curve: ReadyCurve, start: Floats, came: Sequence[Sequence[int]]) -> Floats:
        """The curve where these players have come, (coalitions, rows).

        A coalition that begins as the one before it goes on from there.
        """
        gains = self._gains[self._curves.index(curve)]
        table = _weighed(self._table, curve.inner.functions)
        sums = np.empty((len(came), self._game.rows))
        effects: dict[tuple[int, ...], Floats] = {(): start}
        for place, players in enumerate(came):
            so_far, last = tuple(players[:-1]), players[-1] if players else None
            effect = effects[so_far]
            if last in gains:
                effect = effect + gains[last]
            effects[tuple(players)] = effect
            there = sum(1 << self._mine.index(p) for p in players if p in self._mine)
            sums[place] = effect + (table[there] - table[0])
        return curve.evaluate(sums)


def _weighed(values: Floats, weights: Sequence[tuple[int, float]]) -> Floats:
    """Σ weight · values[place]."""
    total = np.zeros(values.shape[1:])
    for place, weight in weights:
        total = total + weight * values[place]
    return total
