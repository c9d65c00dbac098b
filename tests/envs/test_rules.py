import numpy as np
import pytest
from scipy import stats

from stackroute import Commitment, load_game
from stackroute.configs import game_names
from stackroute.envs import ProviderVectorEnv, Tasks, Variant, raw_env, rules
from stackroute.envs.tasks import roll_out
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


def test_probabilities_of_0_and_1_are_exact() -> None:
    variant = Variant.of("g4b")
    seeds, numbers = np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64)
    game = np.zeros(2, dtype=np.int64)
    patience = np.array([[0.0, 0.0], [1.0, 1.0]])
    played = roll_out(variant, seeds, numbers, 2000, game, Commitment.cascade([0, 0], [0.5, 0.0]), patience)
    assert played["passes"][0] == 1
    assert played["abandoned"].tolist() == [pytest.approx(1 - played["solved"][0], abs=1e-12), 0]
    # Every pass is on the first model, or with the other cascade only the first.
    assert played["service_cost"][1] == pytest.approx(0.1 * played["passes"][1], rel=1e-9)
    moved = roll_out(variant, seeds, numbers, 2000, game, Commitment.cascade(0, [1.0, 1.0]), np.ones((2, 2)))
    np.testing.assert_allclose(moved["service_cost"], 0.1 + 0.8 * (moved["passes"] - 1), rtol=1e-9)


def test_truncation_is_rarer_than_one_in_a_million_on_the_packaged_games() -> None:
    for name in game_names():
        # The most patient user on the worst model: every pass fails.
        assert (1 - load_game(name).game.success.min()) ** DEFAULT_MAX_PASSES < 1e-6, name


@pytest.mark.parametrize(("start", "model"), [(0.0, 0), (np.nextafter(0.5, 0), 0), (0.5, 1), (1.0, 1)])
def test_the_start_is_on_the_second_model_from_one_half_upwards(start: float, model: int) -> None:
    for routing, action in (("cascade", [start, 0.0]), ("lottery", [start, 1.0, 0.0]), ("pass", [start])):
        env = raw_env("g4b", routing=routing, throttling=False)
        env.reset(seed=0)
        env.step(np.array(action))
        assert env.infos["user_0"]["model"] == model
    vector = ProviderVectorEnv(1, "g4b", routing="pass", throttling=False)
    vector.reset(seed=0)
    vector.advance([[start]])
    assert vector.step_infos["model"].tolist() == [model]


def test_a_random_start_is_drawn_as_often_as_it_says() -> None:
    # Chi-square with fixed seeds: a correct program fails w.p. 1e-3.
    variant = Variant.of("g4b")
    game, ones = np.zeros(1, dtype=np.int64), np.ones((1, 2))
    start = Commitment.lottery([[0.7, 0.3]], [[1, 0]])
    played = roll_out(variant, game, game, 20_000, game, start, 0 * ones)
    second = (played["service_cost"][0] - 0.1) / 0.7 * 20_000
    assert stats.binomtest(round(second), 20_000, 0.3).pvalue > 1e-3


def test_a_slot_that_is_used_again_has_forgotten_everything() -> None:
    variant = Variant.of(["g1", "g2"])
    fresh, used = Tasks(variant, 1), Tasks(variant, 1)
    for tasks in (fresh, used):
        tasks.seed(3)
    used.begin(numbers=np.array([5]))
    used.step(np.array([[0.9, 0.5, 0.1, 0.2]]))
    while not len(used.over):
        used.step(answers=np.array([rules.RE_PROMPT]))
    for tasks in (fresh, used):
        tasks.begin(numbers=np.array([6]))
    np.testing.assert_array_equal(fresh.observation, used.observation)
    for tasks in (fresh, used):
        tasks.step(np.array([[0.0, 0.0, 0.0, 0.0]]))
    for name in fresh.rows.dtype.names:
        np.testing.assert_array_equal(fresh.rows[name], used.rows[name])
