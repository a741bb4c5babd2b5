"""`cva_explain`: what each feature of a row added to predicted_value, in money.

Families of features are the players of an exact game: every coalition of them gets what the
deployed file predicts, a feature outside the coalition having the typical customer's value. Within
a family the features share in link space, all other families being the row's own (or where the
family then changes nothing, those in which it changes most): Shapley values of that game.
(Averaged over the other families' coalitions as well, as in G. Owen's values, the shares of
features that say nothing without another family run against each other, and their error is twenty
times as large.) `shapley.share_out` turns them into money that adds up to the family's. How the
game is evaluated is in `play.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.coalitions import Explainer, Floats, Game
from cva_sql.udfs.manifest import inputs_from_columns
from cva_sql.udfs.play import FormulaPlay, WholePlay
from cva_sql.udfs.shapley import enumerate_rates, enumerate_shapley, share_out
from cva_sql.udfs.threads import in_slices

IDLE = 1e-9  # in link space: what rounding may leave of no effect
PART = 4096  # rows explained at a time by one thread


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
        own = {name: column[part].reshape(-1) for name, column in inputs.items()}
        return explain_game(Game(explainer, own, part.stop - part.start))

    return _joined(in_slices(run, rows, smallest=1, largest=PART))


def _joined(parts: list[Attributions]) -> Attributions:
    names = Attributions.__dataclass_fields__
    return Attributions(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in names})


def explain_game(game: Game) -> Attributions:
    """Attributions of a game's rows: by the model's formula where it has one.

    Rows at the formula's cap are no sum of parts; these, and any that the formula should miss, are
    evaluated by the whole file.
    """
    explainer = game.explainer
    if explainer.ready is None:
        return _attribute(WholePlay(game))
    play = FormulaPlay(game)
    found = _attribute(play)
    others = np.flatnonzero(~play.is_sum)
    if len(others):
        again = _attribute(WholePlay(game.take(others)))
        for name in Attributions.__dataclass_fields__:
            getattr(found, name)[others] = getattr(again, name)
    return found


def _attribute(play: WholePlay | FormulaPlay) -> Attributions:
    game = play.game
    explainer = game.explainer
    is_log = explainer.explanation.link == "log"
    lines, values = play.families()
    family_money = enumerate_shapley(values)
    rates = enumerate_rates(values) if is_log else np.ones_like(family_money)
    money, errors = np.zeros(game.differs.shape), np.zeros(game.differs.shape)
    for family in range(len(explainer.families)):
        mine = explainer.family_of == family
        links, error = play.shares(family, find_context(lines, family))
        money[:, mine] = share_out(family_money[family], links[:, mine], rates[family])
        errors[:, mine] = error[:, mine] * rates[family][:, None]
    return Attributions(values[0], values[-1], money, errors, np.ascontiguousarray(family_money.T))


def find_context(lines: Floats, family: int) -> NDArray[np.int64]:
    """The coalition of other families in which a family's features share, (rows,).

    All the others, as the customer is; but where the family then changes nothing (a leaf that
    others decide, a customer without an order), the one in which it changes most. `lines` are the
    values of all coalitions in link space, (2^families, rows).
    """
    codes = np.arange(len(lines))
    without = codes[(codes >> family) & 1 == 0]
    effects = np.abs(lines[without | (1 << family)] - lines[without])
    strongest = without[effects.argmax(axis=0)]
    is_idle = effects[-1] <= IDLE * np.maximum(effects.max(axis=0), 1.0)
    return np.asarray(np.where(is_idle, strongest, without[-1]))
