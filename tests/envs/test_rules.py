import numpy as np
import pytest
from scipy import stats

from stackroute import load_game
from stackroute.configs import game_names
from stackroute.envs import kernels, rules
from stackroute.envs.task import Task
from stackroute.envs.variant import DEFAULT_MAX_PASSES, Variant

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


def test_no_two_coins_of_a_task_share_a_counter() -> None:
    streams = [rules.SUCCESS_STREAM, rules.ROUTE_STREAM, rules.USER_STREAM]
    assert len(set(streams)) == 3
    assert rules.GAME_STREAM == rules.DRAWS == 5
    before = {rules.coin(rules.task_key(4, 4), 0, stream) for stream in range(rules.GAME_STREAM + 1)}
    played = {rules.coin(rules.task_key(4, 4), index, stream) for index in range(1, 1001) for stream in streams}
    assert len(before | played) == 6 + 3000


def test_what_is_drawn_before_the_first_pass_are_the_coins_of_pass_0() -> None:
    seeds, numbers = np.array([0, 7, 2**63 - 1]), np.array([0, 11, 2**40])
    draws, game = kernels.draw_tasks(seeds, numbers, 7)
    keys = [rules.task_key(int(seed), int(number)) for seed, number in zip(seeds, numbers, strict=True)]
    assert draws.tolist() == [[rules.coin(key, 0, stream) for stream in range(5)] for key in keys]
    assert game.tolist() == [int(7 * rules.coin(key, 0, 5)) for key in keys]


def test_the_streams_of_a_pass_are_independent() -> None:
    # Six correlations with fixed seeds; a correct generator fails one w.p. 6e-4.
    keys = [rules.task_key(9, i) for i in range(10_000)]
    coins = np.array([[rules.coin(key, 1, stream) for stream in (0, 1, 2)] for key in keys])
    following = np.array([[rules.coin(key, 2, stream) for stream in (0, 1, 2)] for key in keys])
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert stats.pearsonr(coins[:, one], coins[:, other]).pvalue > 1e-4
        assert stats.pearsonr(coins[:, one], following[:, other]).pvalue > 1e-4


@pytest.mark.parametrize(("start", "model"), [(0.0, 1), (np.nextafter(0.5, 0), 1), (0.5, 2), (1.0, 2)])
def test_the_start_is_on_model_2_from_one_half_upwards(start: float, model: int) -> None:
    for lasts, action in (("task", [start, 0.0]), ("pass", [start])):
        task = Task(Variant.of("g4b", commitment=lasts), 0, 0)
        task.act(action)
        assert task.model == model
    batch = np.zeros(1, rules.TASK)
    games = Variant.of("g4b").table
    kernels.begin_tasks(batch, np.array([0]), games)
    kernels.serve_and_answer(batch, games, np.array([[start]]), np.ones((1, 2)), 1000, np.zeros((1, 4)))
    assert batch["model"].tolist() == [model]


def test_a_task_that_is_taken_up_again_has_forgotten_everything() -> None:
    games = Variant.of(["g1", "g2"]).table
    fresh, used = np.zeros(1, rules.TASK), np.zeros(1, rules.TASK)
    fresh["seed"] = used["seed"] = 3
    kernels.begin_tasks(used, np.array([5]), games)
    parts = np.zeros((1, 4))
    kernels.commit_and_serve(used, games, np.array([2]), np.array([0.5]), np.array([[0.1, 0.2]]), parts)
    kernels.play_rest(used, games, np.ones((1, 2)), 1000, parts)
    assert used["end"].tolist() == [rules.SOLVED]
    for tasks in (fresh, used):
        kernels.begin_tasks(tasks, np.array([6]), games)
    assert fresh.tolist() == used.tolist()
