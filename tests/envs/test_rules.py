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


@pytest.mark.parametrize(("seed", "task"), [(0, 0), (7, 11), (2**63 - 1, 2**40)])
def test_coins_equal_the_hash_in_exact_integers(seed: int, task: int) -> None:
    key = splitmix64(splitmix64((seed + GOLDEN) & MASK) ^ ((task * GOLDEN) & MASK)) >> 1
    assert rules.task_key(seed, task) == key
    for pass_index, stream in [(0, 0), (1, 2), (1000, 15)]:
        counter = 16 * pass_index + stream + 1
        word = splitmix64((key + counter * GOLDEN) & MASK)
        assert rules.coin(key, pass_index, stream) == (word >> 11) / 2**53


def test_keys_and_coins_accept_every_seed() -> None:
    for seed in (0, 1, 2**31 - 1, 2**32, 2**63 - 1):
        key = rules.task_key(seed, 2**40)
        assert 0 <= key < 2**63
        assert 0 <= rules.coin(key, DEFAULT_MAX_PASSES, 15) < 1


@pytest.mark.parametrize("vary", ["seed", "task", "pass", "stream"])
def test_coins_are_uniform_and_uncorrelated_along_every_counter(vary: str) -> None:
    # Two tests for each of four counters with fixed seeds; a correct generator fails one of them w.p. 8e-4.
    n = 20_000
    index = range(n)
    coins = np.array(
        {
            "seed": lambda: [rules.coin(rules.task_key(i, 3), 1, 0) for i in index],
            "task": lambda: [rules.coin(rules.task_key(3, i), 1, 0) for i in index],
            "pass": lambda: [rules.coin(rules.task_key(3, 3), i, 0) for i in index],
            "stream": lambda: [rules.coin(rules.task_key(3, i // 16), 1, i % 16) for i in index],
        }[vary]()
    )
    assert stats.kstest(coins, "uniform").pvalue > 1e-4
    assert stats.pearsonr(coins[1:], coins[:-1]).pvalue > 1e-4


def test_a_task_on_model_2_stays_there() -> None:
    assert all(rules.next_model(rules.task_key(0, i), 1, 2, 0.0) == 2 for i in range(100))


@pytest.mark.parametrize(("cascade", "expected"), [(0.0, 1), (1.0, 2)])
def test_cascade_probabilities_of_0_and_1_are_exact(cascade: float, expected: int) -> None:
    assert {rules.next_model(rules.task_key(0, i), 1, 1, cascade) for i in range(1000)} == {expected}


@pytest.mark.parametrize(("patience", "stays"), [(0.0, False), (1.0, True)])
def test_patiences_of_0_and_1_are_exact(patience: float, stays: bool) -> None:
    assert {rules.user_stays(rules.task_key(0, i), 1, patience) for i in range(1000)} == {stays}


def test_truncation_is_rarer_than_one_in_a_million_on_the_packaged_games() -> None:
    for name in game_names():
        # The most patient user on the worst model: every pass fails.
        assert (1 - load_game(name).game.success.min()) ** DEFAULT_MAX_PASSES < 1e-6, name
