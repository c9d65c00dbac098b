import numpy as np
import pytest
from scipy import stats

from stackroute import load_game
from stackroute.configs import game_names
from stackroute.envs import rules
from stackroute.envs.variant import DEFAULT_MAX_PASSES

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def splitmix64(word: int) -> int:
    """The published finaliser in exact integers."""
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


@pytest.mark.parametrize(("seed", "task"), [(0, 0), (7, 11), (2**32, 1), (2**63 - 1, 2**40)])
def test_random_numbers_equal_the_hash_in_exact_integers(seed: int, task: int) -> None:
    key = splitmix64(splitmix64((seed + GOLDEN) & MASK) ^ ((task * GOLDEN) & MASK)) >> 1
    assert rules.task_key(seed, task) == key < 2**63
    for pass_index, stream in [(0, 0), (1, 2), (-2, 3), (DEFAULT_MAX_PASSES, 15)]:
        counter = 16 * pass_index + stream + 1
        word = splitmix64((key + counter * GOLDEN) & MASK)
        assert rules.random_number(key, pass_index, stream) == (word >> 11) / 2**53


@pytest.mark.parametrize("vary", ["seed", "task", "pass", "stream"])
def test_random_numbers_are_uniform_and_uncorrelated_along_every_counter(vary: str) -> None:
    # Two tests for each of four counters with fixed seeds; a correct generator fails one of them w.p. 8e-4.
    n = 20_000
    index = range(n)
    numbers = np.array(
        {
            "seed": lambda: [rules.random_number(rules.task_key(i, 3), 1, 0) for i in index],
            "task": lambda: [rules.random_number(rules.task_key(3, i), 1, 0) for i in index],
            "pass": lambda: [rules.random_number(rules.task_key(3, 3), i, 0) for i in index],
            "stream": lambda: [rules.random_number(rules.task_key(3, i // 16), 1, i % 16) for i in index],
        }[vary]()
    )
    assert stats.kstest(numbers, "uniform").pvalue > 1e-4
    assert stats.pearsonr(numbers[1:], numbers[:-1]).pvalue > 1e-4


def test_the_streams_of_a_pass_are_independent() -> None:
    # Twelve correlations with fixed seeds; a correct generator fails one w.p. 1.2e-3.
    keys = [rules.task_key(9, i) for i in range(10_000)]
    first, second = (
        np.array([[rules.random_number(key, index, stream) for stream in range(4)] for key in keys]) for index in (1, 2)
    )
    for one in range(4):
        for other in range(one):
            assert stats.pearsonr(first[:, one], first[:, other]).pvalue > 1e-4
            assert stats.pearsonr(first[:, one], second[:, other]).pvalue > 1e-4


def test_no_two_random_numbers_of_a_task_share_a_counter() -> None:
    played = [rules.SUCCESS_STREAM, rules.ROUTE_STREAM, rules.USER_STREAM, rules.START_STREAM]
    key, passes = rules.task_key(4, 4), range(1, 1001)
    used = [rules.random_number(key, index, stream) for index in passes for stream in played]
    provider, user, game = rules.draw_before_play(np.array([4]), np.array([4]), 41)
    assert (user[0], game[0]) == tuple(rules.random_number(key, 0, stream) for stream in (4, 5))
    assert len({*used, *provider[0], user[0], game[0]}) == 4000 + 41 + 2


def test_truncation_is_rarer_than_one_in_a_million_on_the_packaged_games() -> None:
    for name in game_names():
        # The most patient user on the worst model: every pass fails.
        assert (1 - load_game(name).game.success.min()) ** DEFAULT_MAX_PASSES < 1e-6, name
