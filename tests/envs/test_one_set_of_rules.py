"""The same seed and actions give the same episode in every face."""

import copy
import pickle

import gymnasium
import numpy as np
import pytest

from stackroute import Game
from stackroute.agents import FixedPatienceUser, RandomProvider
from stackroute.envs import (
    ABANDON,
    RE_PROMPT,
    ProviderBatch,
    UserBatch,
    UserEnv,
    action_from_commitment,
    raw_env,
    rules,
)
from stackroute.envs.task import Task


def user_episode(env: UserEnv, actions: list[int]) -> list[tuple[float, bool, bool]]:
    steps = []
    for action in actions:
        _, reward, terminated, truncated, _ = env.step(action)
        steps.append((reward, terminated, truncated))
        if terminated or truncated:
            break
    return steps


def pettingzoo_episode(game: Game, task: Task, actions: list[int], throttling: bool) -> list[tuple[float, bool, bool]]:
    env = raw_env(game=game, throttling=throttling, max_passes=task.max_passes)
    env.reset(seed=task.seed)
    for _ in range(task.number):
        env.reset()
    assert task.commitment is not None
    env.step(action_from_commitment(game, task.commitment, throttling))
    steps = []
    for action in actions:
        env.step(action)
        steps.append((env.rewards["user_0"], env.terminations["user_0"], env.truncations["user_0"]))
        if not env.agents or any(steps[-1][1:]):
            break
    return steps


@pytest.mark.parametrize("throttling", [False, True])
def test_user_view_pettingzoo_and_batch_play_the_same_episodes(cascade_game: Game, throttling: bool) -> None:
    size, episodes = 5, 12
    provider = RandomProvider(throttling)
    generator = np.random.default_rng(0)
    plans = [[[int(generator.random() < 0.2) for _ in range(40)] for _ in range(episodes)] for _ in range(size)]

    expected: list[list[tuple[float, bool, bool]]] = []
    for slot in range(size):
        env = UserEnv(cascade_game, provider, max_passes=6)
        flat = []
        for episode in range(episodes):
            env.reset(seed=100 + slot if episode == 0 else None)
            task = copy.deepcopy(env.task)
            steps = user_episode(env, plans[slot][episode])
            assert pettingzoo_episode(cascade_game, task, plans[slot][episode], throttling) == steps
            flat += steps
        expected.append(flat)

    batch = UserBatch(cascade_game, provider, size, seed=100, max_passes=6)
    cursor = np.zeros((size, 2), dtype=int)
    played: list[list[tuple[float, bool, bool]]] = [[] for _ in range(size)]
    while any(len(played[slot]) < len(expected[slot]) for slot in range(size)):
        actions = np.array(
            [
                plans[slot][episode][step] if episode < episodes else ABANDON
                for slot, (episode, step) in enumerate(cursor)
            ]
        )
        utility, ended, truncated, _ = batch.step(actions)
        for slot in range(size):
            played[slot].append((float(utility[slot]), bool(ended[slot]), bool(truncated[slot])))
            over = ended[slot] or truncated[slot]
            cursor[slot] = (cursor[slot, 0] + 1, 0) if over else (cursor[slot, 0], cursor[slot, 1] + 1)
    for slot in range(size):
        assert played[slot][: len(expected[slot])] == expected[slot]


def test_provider_view_serves_the_tasks_that_pettingzoo_plays(cascade_game: Game) -> None:
    patience, tasks, action = 0.6, 200, [0.0, 0.35, 0.1, 0.2]
    env = gymnasium.make(
        "stackroute/Provider-v0",
        game=cascade_game,
        user=FixedPatienceUser(patience),
        throttling=True,
        tasks_per_commitment=tasks,
    )
    env.reset(seed=9)
    _, reward, *_ = env.step(np.array(action))

    costs = 0.0
    alone = raw_env(game=cascade_game, throttling=True)
    for number in range(tasks):
        alone.reset(seed=9 if number == 0 else None)
        alone.step(np.array(action))
        costs -= alone.rewards["provider_0"]
        while not (alone.terminations["user_0"] or alone.truncations["user_0"]):
            key = rules.task_key(9, number)
            alone.step(RE_PROMPT if rules.user_stays(key, alone.task.passes, patience) else ABANDON)
            costs -= alone.rewards["provider_0"]
    assert -float(reward) == pytest.approx(costs / tasks, rel=1e-12)


def test_a_slot_of_a_batch_does_not_depend_on_the_batch_size(cascade_game: Game) -> None:
    action = np.array([0.0, 0.35])
    user = FixedPatienceUser(0.5)
    large = ProviderBatch(cascade_game, user, 8, tasks_per_commitment=50, seed=3).step(np.tile(action, (8, 1)))
    small = ProviderBatch(cascade_game, user, 2, tasks_per_commitment=50, seed=7).step(np.tile(action, (2, 1)))
    for name, mean in small.items():
        np.testing.assert_array_equal(mean, large[name][4:6])


def test_a_seeded_episode_has_a_golden_transcript(cascade_game: Game) -> None:
    env = raw_env(game=cascade_game, throttling=True, render_mode="ansi")
    env.reset(seed=5)
    lines = [env.render()]
    env.step(np.array([0.0, 0.3, 0.0, 0.1]))
    while env.agents and not env.terminations["user_0"]:
        lines.append(env.render())
        env.step(RE_PROMPT)
    lines.append(env.render())
    assert lines == [
        "task 0: the provider is to commit",
        "task 0, cascade 0.300: pass 1 on model 1 failed",
        "task 0, cascade 0.300: pass 2 on model 1 failed",
        "task 0, cascade 0.300: pass 3 on model 2 failed",
        "task 0, cascade 0.300: pass 4 on model 2 failed",
        "task 0, cascade 0.300: pass 5 on model 2 solved",
    ]


def test_environments_are_copied_and_pickled_mid_episode(cascade_game: Game) -> None:
    env = raw_env(game=cascade_game, throttling=True)
    env.reset(seed=5)
    env.step(np.array([0.0, 0.3, 0.0, 0.1]))
    for twin in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        original = copy.deepcopy(env)
        for side in (twin, original):
            side.step(RE_PROMPT)
        assert twin.rewards == original.rewards
        assert twin.infos == original.infos
