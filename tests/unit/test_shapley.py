"""Shapley values against their definition, and how they become money."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from cva_sql.udfs.shapley import enumerate_rates, enumerate_shapley, logarithmic_mean, share_out

Floats = NDArray[np.float64]
ROWS = 7


def by_permutations(
    values: Floats, measure: Callable[[Floats, Floats], Floats] = np.subtract
) -> Floats:
    """(players, rows): the mean over all orders of what a player adds when it comes."""
    players = len(values).bit_length() - 1
    orders = list(permutations(range(players)))
    total = np.zeros((players, values.shape[1]))
    for order in orders:
        code = 0
        for player in order:
            total[player] += measure(values[code | 1 << player], values[code])
            code |= 1 << player
    return total / len(orders)


def random_game(players: int) -> Floats:
    return np.exp(np.random.default_rng(players).normal(3, 2, (1 << players, ROWS)))


@pytest.mark.parametrize("players", [1, 2, 3, 4, 5])
def test_shapley_values_are_the_mean_over_all_orders(players: int) -> None:
    values = random_game(players)
    # Both add up the same at most 120 differences, in another order.
    np.testing.assert_allclose(
        enumerate_shapley(values), by_permutations(values), rtol=1e-12, atol=1e-12 * values.max()
    )


@pytest.mark.parametrize("players", [1, 3, 5])
def test_shapley_values_add_up_to_what_all_players_make(players: int) -> None:
    values = random_game(players)
    total = enumerate_shapley(values).sum(axis=0)
    np.testing.assert_allclose(total, values[-1] - values[0], atol=1e-12 * values.max())


def test_a_player_that_never_changes_anything_gets_exactly_nothing() -> None:
    three = random_game(3)
    values = np.concatenate([three, three])  # the fourth player is the highest bit
    found = enumerate_shapley(values)
    assert not found[3].any()
    np.testing.assert_allclose(found[:3], enumerate_shapley(three), rtol=1e-12)


def test_players_that_can_be_exchanged_get_the_same() -> None:
    by_size = random_game(2)[:, 0]
    sizes = [code.bit_count() for code in range(8)]
    found = enumerate_shapley(by_size[sizes][:, None])
    np.testing.assert_allclose(found, (by_size[3] - by_size[0]) / 3, rtol=1e-12)


@pytest.mark.parametrize("players", [1, 3, 4])
def test_rates_are_logarithmic_means_over_all_orders(players: int) -> None:
    values = random_game(players)
    expected = by_permutations(values, lambda a, b: (a - b) / (np.log(a) - np.log(b)))
    # Where two of the values are near, the plain quotient here loses some digits.
    np.testing.assert_allclose(enumerate_rates(values), expected, rtol=1e-9)


def test_rates_turn_shares_in_logs_of_one_player_into_its_money() -> None:
    values = random_game(1)
    money = enumerate_rates(values)[0] * (np.log(values[1]) - np.log(values[0]))
    np.testing.assert_allclose(money, values[1] - values[0], rtol=1e-12)


@pytest.mark.parametrize("distance", [0.0, 1e-15, 1e-9, 9e-7, 1.1e-6, 1e-5, 1e-3])
def test_logarithmic_mean_of_near_equals_is_their_mean(distance: float) -> None:
    a, b = np.array([40.0]), np.array([40.0]) * np.exp(distance)
    # Its series: the mean of logs times sinh(d/2)/(d/2) = 1 + d²/24 + …; a quotient of differences
    # of 1e-6 keeps ten digits.
    expected = np.sqrt(a * b) * (1 + distance**2 / 24)
    np.testing.assert_allclose(logarithmic_mean(a, b), expected, rtol=1e-9)


def test_logarithmic_mean_far_from_equality() -> None:
    a, b = np.array([1.0, np.e, 3.0, 0.0, 0.0]), np.array([np.e, 1.0, 300.0, 0.0, 5.0])
    found = logarithmic_mean(a, b)
    np.testing.assert_allclose(found[:3], [np.e - 1, np.e - 1, 297 / np.log(100)], rtol=1e-12)
    assert 0 <= found[3] < 1e-299
    assert 0 < found[4] < 5 / 600  # 0 stands for 1e-300, whose log is −690
    np.testing.assert_array_equal(found, logarithmic_mean(b, a))


def test_rows_are_shared_out_apart_from_each_other_to_the_last_bit() -> None:
    random = np.random.default_rng(9)
    total, links, rate = random.normal(size=64), random.normal(size=(64, 30)), random.random(64)
    whole = share_out(total, links, rate)
    for row in range(64):
        alone = slice(row, row + 1)
        assert np.array_equal(share_out(total[alone], links[alone], rate[alone])[0], whole[row])


LINKS = arrays(np.float64, (4, 5), elements=st.sampled_from([0.0, 0.0, 0.3, -0.2, 1.5, -2.0]))
TOTALS = arrays(np.float64, 4, elements=st.floats(-100, 100))
RATES = arrays(np.float64, 4, elements=st.floats(0.1, 100))


@given(links=LINKS, total=TOTALS, rate=RATES)
@settings(max_examples=200, deadline=None)
def test_what_is_shared_out_adds_up_and_goes_to_features_with_a_share(
    links: Floats, total: Floats, rate: Floats
) -> None:
    money = share_out(total, links, rate)
    assert not money[links == 0].any()
    somebody = links.any(axis=1)
    scale = np.abs(rate[:, None] * links).sum(axis=1) + np.abs(total)
    missed = np.abs(money.sum(axis=1) - total)
    assert (missed <= 1e-12 * scale)[somebody].all()


@given(links=LINKS, total=TOTALS, rate=RATES)
@settings(max_examples=200, deadline=None)
def test_no_share_changes_its_sign_where_features_can_take_the_rest(
    links: Floats, total: Floats, rate: Floats
) -> None:
    money = share_out(total, links, rate)
    rest = total - (rate[:, None] * links).sum(axis=1)
    takers = (np.sign(links) == np.sign(rest)[:, None]).any(axis=1)
    kept = np.sign(money) == np.sign(links)
    assert kept[takers].all()
    # Those that pull the other way keep what their own share is worth.
    others = takers[:, None] & (np.sign(links) == -np.sign(rest)[:, None])
    np.testing.assert_array_equal(money[others], (rate[:, None] * links)[others])


def test_where_no_feature_pulls_the_way_of_the_rest_all_share_it_by_size() -> None:
    money = share_out(np.array([-2.0]), np.array([[1.0, 0.0, 3.0]]), np.array([2.0]))
    # 2 and 6 are 8, so −10 are left over, of which a quarter and three quarters are taken.
    np.testing.assert_allclose(money, [[2 - 2.5, 0, 6 - 7.5]], rtol=1e-12)
