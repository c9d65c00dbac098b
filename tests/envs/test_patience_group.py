"""Slots of `PatienceVecEnv` that answer the same commitment on the same tasks."""

from typing import Any

import numpy as np
import pytest

from stackroute import Game
from stackroute.agents import RandomProvider
from stackroute.envs import PatienceBatch
from stackroute.envs.encoding import from_symmetric
from stackroute.envs.sb3 import PatienceVecEnv

SIZE, GROUP = 12, 4
GAMES = [
    Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5),
    Game([0.3, 0.6], [10.0, 40.0], [20.0, 30.0], value=150, churn_penalty=20),
]


def batch(game: Any = GAMES, **options: Any) -> PatienceBatch:
    options = {"action": "box", "tasks_per_commitment": 20, **options}
    return PatienceBatch(game, RandomProvider(throttling=True), SIZE, **options)


def distinct(observation: np.ndarray) -> tuple[int, int]:
    """The most different observations within a group, and the number of different ones in all."""
    groups = observation.reshape(-1, GROUP, observation.shape[-1])
    return max(len(np.unique(group, axis=0)) for group in groups), len(np.unique(observation, axis=0))


@pytest.mark.parametrize("seed", [None, 7])
def test_a_group_shares_its_commitments_and_groups_differ(seed: int | None) -> None:
    venv = PatienceVecEnv(batch(), group=GROUP, seed=seed)
    observation = venv.reset()
    for _ in range(3):
        assert distinct(observation) == (1, SIZE // GROUP)
        observation = venv.step(np.zeros((SIZE, 1)))[0]
    # A reset without a seed goes on to other commitments, still shared.
    assert distinct(venv.reset()) == (1, SIZE // GROUP)
    venv.seed(8)
    assert distinct(venv.reset()) == (1, SIZE // GROUP)


def test_rewards_are_relative_to_the_group_on_the_same_coins() -> None:
    venv, alone = PatienceVecEnv(batch(), group=GROUP, seed=7), batch()
    venv.reset()
    alone.reset(np.repeat([7, 8, 9], GROUP))
    actions = np.linspace(-1, 1, SIZE).reshape(-1, 3).T.reshape(SIZE, 1)
    for _ in range(2):
        value = alone.value
        gain = (alone.step(from_symmetric(actions[:, 0])) / value).reshape(-1, GROUP)
        expected = (gain - gain.mean(axis=1, keepdims=True)) / (gain.std(axis=1, keepdims=True) + 0.01)
        rewards = venv.step(actions)[1]
        np.testing.assert_allclose(rewards, expected.ravel(), rtol=1e-6, atol=1e-6)
        assert (expected.std(axis=1) > 0.3).any()


def test_nobody_is_better_than_a_group_of_equals() -> None:
    venv = PatienceVecEnv(batch(), group=GROUP, seed=3)
    venv.reset()
    rewards = venv.step(np.repeat([[-0.5], [0.1], [1.0]], GROUP, axis=0))[1]
    np.testing.assert_allclose(rewards, 0, atol=1e-9)


def test_groups_also_choose_from_the_list_of_patiences() -> None:
    venv = PatienceVecEnv(batch(GAMES[0], action="grid"), group=GROUP, seed=3)
    venv.reset()
    rewards = venv.step(np.tile([0, 3, 6, 9], SIZE // GROUP))[1]
    np.testing.assert_allclose(rewards.reshape(-1, GROUP).sum(axis=1), 0, atol=1e-6)


@pytest.mark.parametrize("group", [0, 1, 5, 24])
def test_a_group_must_divide_the_slots(group: int) -> None:
    with pytest.raises(ValueError, match=f"group: {group} is not allowed"):
        PatienceVecEnv(batch(), group=group)


def test_groups_are_not_paired_as_well() -> None:
    with pytest.raises(ValueError, match="group: is not possible with paired rewards"):
        PatienceVecEnv(batch(), group=GROUP, paired=True)
