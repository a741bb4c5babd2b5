"""`cva_explain`: what each feature of a row added to predicted_value, in money.

Families of features are the players of an exact game: every coalition of them goes through the
deployed file, a feature outside the coalition having the typical customer's value. Within a family
the features share in link space, all other families being the row's own (or where the family then
changes nothing, those in which it changes most): Shapley values of that game, found exactly where
the family is small or the model a tree ensemble, else by permutations, each with its reverse, so
that all but interactions of three and more features cancel out. (Averaged over the other families'
coalitions as well, as in G. Owen's values, the shares of features that say nothing without another
family run against each other, and their error is twenty times as large.) `shapley.share_out` turns
them into money that adds up to the family's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.coalitions import Explainer, Floats, Game
from cva_sql.udfs.manifest import inputs_from_columns
from cva_sql.udfs.shapley import SMALLEST, enumerate_rates, enumerate_shapley, share_out
from cva_sql.udfs.threads import in_slices
from cva_sql.udfs.tree_attributions import attribute_leaves

PAIRS = 3  # permutations of a larger family, each with its reverse; two would not tell their error
ENUMERATED = (
    6  # players of a family whose coalitions are all sent: 64, about as many as PAIRS sends
)
SEED = 8  # any; the same permutations for every row, run and machine
IDLE = 1e-9  # in link space: what rounding may leave of no effect
PART = 1024  # rows explained at a time by one thread


@dataclass(frozen=True)
class Attributions:
    """Explained rows: `baseline` + the sum of a row of `money` = `predicted`.

    `baseline` and `predicted` are (rows,), `money` and `standard_error` (rows, players),
    `family_money` (rows, families), all in the shop's currency. The error is that of sampling
    permutations, told by PAIRS of them and so a rough one; 0 where nothing was sampled.
    """

    baseline: Floats
    predicted: Floats
    money: Floats
    standard_error: Floats
    family_money: Floats


def explain(explainer: Explainer, columns: Mapping[str, Any], rows: int) -> Attributions:
    """Attributions of the rows of Arrow columns by name; a row's do not depend on its company."""
    inputs = inputs_from_columns(explainer.manifest, columns, rows)

    def run(part: slice) -> Attributions:
        own = {name: column[part] for name, column in inputs.items()}
        return _explain_part(Game(explainer, own, part.stop - part.start))

    return _joined(in_slices(run, rows, smallest=1, largest=PART))


def _joined(parts: list[Attributions]) -> Attributions:
    names = Attributions.__dataclass_fields__
    return Attributions(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in names})


def _explain_part(game: Game) -> Attributions:
    explainer = game.explainer
    values = _family_coalitions(game)
    is_log = explainer.explanation.link == "log"
    family_money = enumerate_shapley(values)
    rates = enumerate_rates(values) if is_log else np.ones_like(family_money)
    money, errors = np.zeros(game.differs.shape), np.zeros(game.differs.shape)
    for place, orders in enumerate(permutations_by_family(explainer.family_of)):
        mine = explainer.family_of == place
        context = _contexts(values, place, is_log)
        if explainer.leaves:
            links, error = _tree_links(game, mine, context), np.zeros_like(money)
        elif mine.sum() <= ENUMERATED:
            links, error = _enumerate_links(game, orders[0], context, is_log), np.zeros_like(money)
        else:
            links, error = _sample_links(game, orders, values, context, is_log)
        money[:, mine] = share_out(family_money[place], links[:, mine], rates[place])
        errors[:, mine] = error[:, mine] * rates[place][:, None]
    return Attributions(values[0], values[-1], money, errors, family_money.T)


def _family_table(explainer: Explainer) -> NDArray[np.bool_]:
    """Which players are in which coalition of families, (2^families, players)."""
    codes = np.arange(1 << len(explainer.families))
    return np.asarray((codes[:, None] >> explainer.family_of) & 1 == 1)


def _family_coalitions(game: Game) -> Floats:
    """predicted_value of every coalition of families, (2^families, rows).

    A family that is the typical customer's in a row changes nothing there and is not sent.
    """
    explainer = game.explainer
    present = np.zeros(game.rows, dtype=np.int64)
    for family in range(len(explainer.families)):
        has = game.differs[:, explainer.family_of == family].any(axis=1)
        present |= has.astype(np.int64) << family
    table = _family_table(explainer)
    codes = np.arange(len(table))
    is_sent = (codes[:, None] & present) == codes[:, None]
    sent_rows, sent_codes = np.nonzero(is_sent.T)
    values = np.empty((len(codes), game.rows))
    values[sent_codes, sent_rows] = game.values(sent_rows, sent_codes, table)
    rows = np.arange(game.rows)
    for code in codes:
        absent = ~is_sent[code]
        values[code, absent] = values[code & present[absent], rows[absent]]
    return values


def _contexts(values: Floats, family: int, is_log: bool) -> NDArray[np.int64]:
    """The coalition of other families in which a family's features share, (rows,).

    All the others, as the customer is; but where the family then changes nothing (a leaf that
    others decide, a customer without an order), the one in which it changes most.
    """
    lines = np.log(np.maximum(values, SMALLEST)) if is_log else values
    codes = np.arange(len(values))
    without = codes[(codes >> family) & 1 == 0]
    effects = np.abs(lines[without | (1 << family)] - lines[without])
    strongest = without[effects.argmax(axis=0)]
    is_idle = effects[-1] <= IDLE * np.maximum(effects.max(axis=0), 1.0)
    return np.asarray(np.where(is_idle, strongest, without[-1]))


def _tree_links(game: Game, mine: NDArray[np.bool_], context: NDArray[np.int64]) -> Floats:
    """Exact shares in link space of the players of one family, (rows, players)."""
    explainer = game.explainer
    matrix, typical, player_of = game.tree_matrix()
    others = _family_table(explainer)[context][:, player_of]
    without = np.where(others, matrix, typical)
    own = np.where(others | mine[player_of], matrix, typical)
    links = np.zeros(game.differs.shape)
    found = attribute_leaves(explainer.leaves, own, without, player_of)
    links[:, : found.shape[1]] = explainer.explanation.tree_scale * found
    return links


def _enumerate_links(
    game: Game, players: NDArray[np.int64], context: NDArray[np.int64], is_log: bool
) -> Floats:
    """Exact shares in link space of a family of few players, (rows, players), by all coalitions."""
    codes = np.arange(1 << len(players))
    came = np.zeros((len(codes), game.differs.shape[1]), dtype=bool)
    came[:, players] = (codes[:, None] >> np.arange(len(players))) & 1 == 1
    table = (_family_table(game.explainer)[:, None, :] | came).reshape(-1, came.shape[1])
    rows = np.repeat(np.arange(game.rows), len(codes))
    lines = game.values(rows, context[rows] * len(codes) + np.tile(codes, game.rows), table)
    lines = lines.reshape(game.rows, len(codes)).T
    if is_log:
        lines = np.log(np.maximum(lines, SMALLEST))
    links = np.zeros(game.differs.shape)
    # Rounding leaves something where nothing differs.
    links[:, players] = np.where(game.differs[:, players], enumerate_shapley(lines).T, 0.0)
    return links


def _sample_links(
    game: Game,
    orders: Sequence[NDArray[np.int64]],
    values: Floats,
    context: NDArray[np.int64],
    is_log: bool,
) -> tuple[Floats, Floats]:
    """Shares in link space of one family's players and their standard errors, (rows, players).

    `orders` are permutations of the family's players, `values` those of all coalitions of families,
    `context` says which other families are the row's own.
    """
    total, squares = np.zeros(game.differs.shape), np.zeros(game.differs.shape)
    for order in orders:
        pair = [_walk(game, way, values, context, is_log) for way in (order, order[::-1])]
        mean = (pair[0] + pair[1]) / 2
        total += mean
        squares += mean**2
    count = len(orders)
    mean = total / count
    variance = np.maximum(squares / count - mean**2, 0.0) * (count / (count - 1))
    # What rounding left in the difference of two squares is no error of sampling.
    variance[variance < 1e-14 * mean**2] = 0.0
    return mean, np.sqrt(variance / count)


def permutations_by_family(family_of: NDArray[np.int64]) -> list[list[NDArray[np.int64]]]:
    """PAIRS orders of each family's players, by the family's place."""
    random = np.random.default_rng(SEED)
    families = range(int(family_of.max(initial=-1)) + 1)
    return [
        [random.permutation(np.flatnonzero(family_of == family)) for _ in range(PAIRS)]
        for family in families
    ]


def _walk(
    game: Game,
    order: NDArray[np.int64],
    values: Floats,
    context: NDArray[np.int64],
    is_log: bool,
) -> Floats:
    """What a family's players add in link space when they come in this order, (rows, players).

    A player that is the typical customer's changes nothing and is not sent.
    """
    steps = len(order) + 1
    place = np.full(game.differs.shape[1], steps)
    place[order] = np.arange(len(order))
    came = place[None, :] < np.arange(steps)[:, None]
    table = (_family_table(game.explainer)[:, None, :] | came).reshape(-1, len(place))
    row, step = np.nonzero(game.differs[:, order])
    lines = np.tile(values[context, np.arange(game.rows)], (steps, 1))
    lines[step + 1, row] = game.values(row, context[row] * steps + step + 1, table)
    if is_log:
        lines = np.log(np.maximum(lines, SMALLEST))
    gains = np.zeros(game.differs.shape)
    before = lines[0].copy()
    for at, player in enumerate(order):
        is_new = game.differs[:, player]
        gains[is_new, player] = lines[at + 1, is_new] - before[is_new]
        before[is_new] = lines[at + 1, is_new]
    return gains
