"""The game of families and features, evaluated by the whole file or by the parts of its formula.

Where all coalitions are too many, players come in permutations, each with its reverse, so that all
but interactions of three and more features cancel out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.coalitions import Explainer, Floats, Game, Wide
from cva_sql.udfs.shapley import SMALLEST, enumerate_shapley
from cva_sql.udfs.sum_game import FamilyWalk, SumGame

Codes = NDArray[np.int64]

PAIRS = 3  # permutations of a larger family, each with its reverse; two would not tell their error
ENUMERATED = 6  # players of a family all of whose coalitions are sent: 64, as PAIRS about sends
SEED = 8  # any; the same permutations for every row, run and machine
ROUNDING = 1e-9  # relative: how far a formula may be from its file


def permutations_by_family(family_of: Codes) -> list[list[Codes]]:
    """PAIRS orders of each family's players, by the family's place."""
    return _permutations(tuple(family_of.tolist()), SEED, PAIRS)


@lru_cache(maxsize=16)
def _permutations(family_of: tuple[int, ...], seed: int, pairs: int) -> list[list[Codes]]:
    random, of = np.random.default_rng(seed), np.array(family_of, dtype=np.int64)
    return [
        [random.permutation(np.flatnonzero(of == family)) for _ in range(pairs)]
        for family in range(int(of.max(initial=-1)) + 1)
    ]


def family_table(explainer: Explainer) -> NDArray[np.bool_]:
    """Which players are in which coalition of families, (2^families, players)."""
    codes = np.arange(1 << len(explainer.families))
    return np.asarray((codes[:, None] >> explainer.family_of) & 1 == 1)


class WholePlay:
    """A game whose every value is a row sent through a graph: `wide`, by default the file."""

    def __init__(self, game: Game, wide: Wide | None = None) -> None:
        self.game = game
        self._wide = wide or game.explainer.whole
        self._table = family_table(game.explainer)
        self._lines = np.empty(0)

    def families(self) -> tuple[Floats, Floats]:
        """(in link space, in money) of every coalition of families, each (2^families, rows).

        A family that is the typical customer's in a row changes nothing there and is not sent.
        """
        game, explainer = self.game, self.game.explainer
        present = np.zeros(game.rows, dtype=np.int64)
        for family in range(len(explainer.families)):
            has = game.differs[:, explainer.family_of == family].any(axis=1)
            present |= has.astype(np.int64) << family
        codes = np.arange(len(self._table))
        is_sent = (codes[:, None] & present) == codes[:, None]
        sent_rows, sent_codes = np.nonzero(is_sent.T)
        values = np.empty((len(codes), game.rows))
        values[sent_codes, sent_rows] = game.values(self._wide, sent_rows, sent_codes, self._table)
        rows = np.arange(game.rows)
        for code in codes:
            absent = ~is_sent[code]
            values[code, absent] = values[code & present[absent], rows[absent]]
        self._lines = self._link(values)
        return self._lines, values

    def _link(self, values: Floats) -> Floats:
        return np.log(np.maximum(values, SMALLEST)) if self._wide.is_log else values

    def _values(self, rows: Codes, codes: Codes, table: NDArray[np.bool_]) -> Floats:
        return self._link(self.game.values(self._wide, rows, codes, table))

    def shares(self, family: int, context: Codes) -> tuple[Floats, Floats]:
        """(shares in link space, their standard errors) of a family's players, (rows, players)."""
        orders = permutations_by_family(self.game.explainer.family_of)[family]
        if len(orders[0]) <= ENUMERATED:
            links = self.enumerate(orders[0], context)
            return links, np.zeros_like(links)
        return sampled([self.pair(order, context) for order in orders])

    def pair(self, order: Codes, context: Codes) -> Floats:
        """What players add when they come in this order, and in its reverse; the mean of both."""
        return np.asarray((self._walk(order, context) + self._walk(order[::-1], context)) / 2)

    def enumerate(self, players: Codes, context: Codes) -> Floats:
        """Exact shares of few players, (rows, all players), by all coalitions."""
        game = self.game
        codes = np.arange(1 << len(players))
        came = np.zeros((len(codes), game.differs.shape[1]), dtype=bool)
        came[:, players] = (codes[:, None] >> np.arange(len(players))) & 1 == 1
        table = (self._table[:, None, :] | came).reshape(-1, came.shape[1])
        rows = np.repeat(np.arange(game.rows), len(codes))
        lines = self._values(rows, context[rows] * len(codes) + np.tile(codes, game.rows), table)
        links = np.zeros(game.differs.shape)
        shares = enumerate_shapley(lines.reshape(game.rows, len(codes)).T)
        # Rounding leaves something where nothing differs.
        links[:, players] = np.where(game.differs[:, players], shares.T, 0.0)
        return links

    def _walk(self, order: Codes, context: Codes) -> Floats:
        """A player that is the typical customer's changes nothing and is not sent."""
        game = self.game
        steps = len(order) + 1
        place = np.full(game.differs.shape[1], steps)
        place[order] = np.arange(len(order))
        came = place[None, :] < np.arange(steps)[:, None]
        table = (self._table[:, None, :] | came).reshape(-1, len(place))
        row, step = np.nonzero(game.differs[:, order])
        lines = np.tile(self._lines[context, np.arange(game.rows)], (steps, 1))
        lines[step + 1, row] = self._values(row, context[row] * steps + step + 1, table)
        gains = np.zeros(game.differs.shape)
        before = lines[0].copy()
        for at, player in enumerate(order):
            is_new = game.differs[:, player]
            gains[is_new, player] = lines[at + 1, is_new] - before[is_new]
            before[is_new] = lines[at + 1, is_new]
        return gains


class FormulaPlay:
    """A game whose values are exp of the sum of a formula's parts.

    `is_sum`, (rows,), says where that is what the file says: not at the formula's cap.
    """

    def __init__(self, game: Game) -> None:
        explainer, ready = game.explainer, game.explainer.ready
        assert ready is not None
        self.game, self._ready = game, ready
        self.parts = SumGame(
            ready, explainer.family_of, len(explainer.families), game.inputs, game.rows
        )
        self._wide = WholePlay(game, explainer.wide) if explainer.wide else None
        self._inner = [self.parts.by_families(curve.inner) for curve, _ in ready.total.curves]
        self.is_sum = np.ones(game.rows, dtype=bool)

    def families(self) -> tuple[Floats, Floats]:
        """See `WholePlay`. The first and the last are the file's own, to the last bit."""
        game, rows = self.game, np.arange(self.game.rows)
        lines = self.parts.by_families(self._ready.total, self._inner)[:, : game.rows]
        if self._wide is not None:
            lines = lines + self._wide.families()[0]
        values = np.exp(np.minimum(lines, self._ready.cap))
        whole, players = game.explainer.whole, len(game.explainer.players)
        own = game.values(whole, rows, np.zeros_like(rows), np.ones((1, players), dtype=bool))
        typical = game.values(whole, rows[:1], rows[:1] * 0, np.zeros((1, players), dtype=bool))
        is_same = np.abs(values[-1] - own) <= ROUNDING * np.abs(own)
        is_same &= np.abs(values[0] - typical) <= ROUNDING * np.abs(typical)
        self.is_sum = is_same & (lines < self._ready.cap).all(axis=0)
        values[0], values[-1] = typical, own
        return lines, values

    def shares(self, family: int, context: Codes) -> tuple[Floats, Floats]:
        """See `WholePlay`: what is exact, and what is sampled of curves and of large graphs."""
        game = self.game
        orders = permutations_by_family(game.explainer.family_of)[family]
        links, drawn = self._part_shares(family, context, orders)
        if self._wide is not None and len(orders[0]) <= ENUMERATED:
            links = links + self._wide.enumerate(orders[0], context)
        elif self._wide is not None:
            drawn = [
                pair + self._wide.pair(order, context)
                for pair, order in zip(drawn, orders, strict=True)
            ]
        mean, error = sampled(drawn)
        # Rounding leaves something where nothing differs.
        return np.where(game.differs, links + mean, 0.0), error

    def _part_shares(
        self, family: int, context: Codes, orders: Sequence[Codes]
    ) -> tuple[Floats, list[Floats]]:
        """(what is exact, what each pair of orders says of the rest), (rows, players)."""
        total, rows = self._ready.total, self.game.rows
        filled = np.full(self.parts.rows, (1 << len(self.game.explainer.families)) - 1)
        filled[:rows] = context
        walk = FamilyWalk(self.parts, total, family, filled)
        links = walk.exact(total)
        pairs = [np.zeros_like(links) for _ in orders]
        for (curve, weight), lines in zip(total.curves, self._inner, strict=True):
            start = lines[filled & ~(1 << family), np.arange(self.parts.rows)]
            if len(walk.moving(curve, orders[0])) <= ENUMERATED:
                links += weight * walk.enumerate(curve, start, orders[0])
                continue
            for pair, order in zip(pairs, orders, strict=True):
                both = walk.walk(curve, start, order) + walk.walk(curve, start, order[::-1])
                pair += weight / 2 * both
        return links[:, :rows].T, [pair[:, :rows].T for pair in pairs]


def sampled(pairs: Sequence[Floats]) -> tuple[Floats, Floats]:
    """(mean, its standard error) of what pairs of permutations say."""
    count = len(pairs)
    mean = np.asarray(sum(pairs) / count)
    variance = np.maximum(sum(pair**2 for pair in pairs) / count - mean**2, 0.0)
    variance *= count / (count - 1)
    # What rounding left in the difference of two squares is no error of sampling.
    variance[variance < 1e-14 * mean**2] = 0.0
    return mean, np.sqrt(variance / count)
