import numpy as np
import pytest
from scipy import stats

from stackroute import load_game
from stackroute.configs import game_names
from stackroute.envs import rules
from stackroute.envs.variant import DEFAULT_MAX_PASSES


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
