"""Shapley values of a few players by full enumeration; how a family's money becomes its features'.

Source of the values: L. S. Shapley, A Value for n-Person Games (1953). The logarithmic mean as the
rate from a share in logs to one in money: B. W. Ang, The LMDI approach to decomposition analysis,
Energy Policy 33 (2005), eq. 6.
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SMALLEST = 1e-300  # a value below has no logarithm


def enumerate_shapley(values: Floats) -> Floats:
    """The Shapley values, (players, rows), of games given by all coalitions, (2^players, rows).

    Bit p of a row's place says whether player p takes part. The values of a game add up to the
    difference between its last row and its first.
    """
    return _weighted(
        len(values), values.shape[1], lambda after, before: values[after] - values[before]
    )


def enumerate_rates(values: Floats) -> Floats:
    """What one unit in logs is worth to a player, (players, rows).

    It is the mean over coalitions, by Shapley's weights, of the logarithmic mean of the value with
    and without the player.
    """
    values = np.maximum(values, SMALLEST)
    logs = np.log(values)

    def rate(after: int, before: int) -> Floats:
        return _mean_by_logs(values[after], values[before], logs[after] - logs[before])

    return _weighted(len(values), values.shape[1], rate)


def _weighted(coalitions: int, rows: int, measure: Callable[[int, int], Floats]) -> Floats:
    """The mean of a measure of (with the player, without), by Shapley's weights."""
    players = coalitions.bit_length() - 1
    result = np.zeros((players, rows))
    for player in range(players):
        for code in range(coalitions):
            if code >> player & 1:
                continue
            size = code.bit_count()
            weight = factorial(size) * factorial(players - size - 1) / factorial(players)
            result[player] += weight * measure(code | (1 << player), code)
    return result


def logarithmic_mean(a: Floats, b: Floats) -> Floats:
    """(a − b) / (log a − log b), and their mean where they are next to equal."""
    a, b = np.maximum(a, SMALLEST), np.maximum(b, SMALLEST)
    return _mean_by_logs(a, b, np.log(a) - np.log(b))


def _mean_by_logs(a: Floats, b: Floats, distance: Floats) -> Floats:
    near = np.abs(distance) < 1e-6  # the quotient has lost half its digits by here
    return np.where(near, (a + b) / 2, (a - b) / np.where(near, 1.0, distance))


def share_out(total: Floats, links: Floats, rate: Floats) -> Floats:
    """What each feature of a family moved, (rows, features), adding up to `total`, (rows,).

    `links` are the features' shares in link space, (rows, features); `rate`, (rows,), is what one
    unit there is worth in money. What rate · links leave over of the total goes to the features
    that pull its way, in proportion; where none does, to all. A feature without a share gets none.
    """
    money = rate[:, None] * links
    rest = total - _add_columns(money)
    weights = np.where(np.sign(links) == np.sign(rest)[:, None], np.abs(links), 0.0)
    nobody = _add_columns(weights) == 0
    weights[nobody] = np.abs(links[nobody])
    whole = _add_columns(weights)
    return np.asarray(money + weights * (rest / np.where(whole > 0, whole, 1.0))[:, None])


def _add_columns(matrix: Floats) -> Floats:
    """Sums along the rows, (rows,), column by column: `sum` adds in another order for few rows, and
    the last digit of a row would depend on its company."""
    total = np.zeros(len(matrix))
    for column in matrix.T:
        total = total + column
    return total
