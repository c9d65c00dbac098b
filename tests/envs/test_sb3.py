from typing import Any

import numpy as np
import pytest
from stable_baselines3 import PPO

from stackroute import Commitment, Game
from stackroute.agents import RandomProvider, RationalUser
from stackroute.envs import PATIENCE_LEVELS, PatienceBatch, ProviderBatch, UserBatch
from stackroute.envs.sb3 import PatienceVecEnv, ProviderVecEnv, UserVecEnv

SIZE = 16


def make(face: str, game: Game, **options: Any) -> Any:
    if face == "provider":
        return ProviderVecEnv(ProviderBatch(game, RationalUser(), SIZE, throttling=True, **options), seed=4)
    provider = RandomProvider(throttling=True)
    if face == "patience":
        return PatienceVecEnv(PatienceBatch(game, provider, SIZE, **options), seed=4)
    return UserVecEnv(UserBatch(game, provider, SIZE, **options), seed=4)


FACES = pytest.mark.parametrize("face", ["provider", "patience", "user"])


@FACES
def test_steps_have_the_shapes_types_and_infos_that_sb3_expects(cascade_game: Game, face: str) -> None:
    env = make(face, cascade_game)
    observation = env.reset()
    for _ in range(50):
        assert observation.shape == (SIZE, 11)
        assert all(env.observation_space.contains(row) for row in observation)
        before = observation.copy()
        observation, rewards, done, infos = env.step(np.array([env.action_space.sample() for _ in range(SIZE)]))
        assert rewards.shape == done.shape == (SIZE,)
        assert (rewards.dtype, done.dtype, len(infos)) == (np.float32, np.bool_, SIZE)
        for slot in range(SIZE):
            assert ("terminal_observation" in infos[slot]) == done[slot] == ("episode" in infos[slot])
            if done[slot]:
                # The observation is the game and the commitment, which do not change within an episode.
                np.testing.assert_array_equal(infos[slot]["terminal_observation"], before[slot])


@FACES
def test_the_same_seed_gives_the_same_play(cascade_game: Game, face: str) -> None:
    env = make(face, cascade_game)
    plays = []
    for seed in (8, 8, 9):
        env.seed(seed)
        env.action_space.seed(0)
        env.reset()
        plays.append(
            np.concatenate([env.step(np.array([env.action_space.sample() for _ in range(SIZE)]))[1] for _ in range(20)])
        )
    np.testing.assert_array_equal(plays[0], plays[1])
    assert not np.array_equal(plays[0], plays[2])


def test_truncation_is_told_apart_from_termination(cascade_game: Game) -> None:
    env = make("user", cascade_game, max_passes=1)
    env.reset()
    _, rewards, done, infos = env.step(np.zeros(SIZE, dtype=int))
    assert done.all()
    assert all(info["TimeLimit.truncated"] for info in infos)
    assert (rewards == 0).all()
    _, _, done, infos = env.step(np.ones(SIZE, dtype=int))
    assert done.all()
    assert not any(info["TimeLimit.truncated"] for info in infos)


def test_episode_returns_add_up(cascade_game: Game) -> None:
    env = make("user", cascade_game)
    env.reset()
    total, told = 0.0, 0.0
    for step in range(200):
        _, rewards, _, infos = env.step(np.full(SIZE, step >= 199))
        total += float(rewards.sum())
        told += sum(info["episode"]["r"] for info in infos if "episode" in info)
    assert told == pytest.approx(total, abs=1e-3)


def test_attributes_and_methods_reach_the_batch(cascade_game: Game) -> None:
    env = make("patience", cascade_game)
    assert env.get_attr("size", indices=[0, 3]) == [SIZE, SIZE]
    assert env.get_attr("render_mode") == [None] * SIZE
    env.set_attr("tasks_per_commitment", 7)
    assert env.batch.tasks_per_commitment == 7
    assert env.env_method("reset", 3, indices=0) == [None]
    assert env.env_is_wrapped(object) == [False] * SIZE


def test_bad_actions_of_a_batch_are_errors(cascade_game: Game) -> None:
    users = make("user", cascade_game).batch
    for actions in (np.zeros(3, dtype=int), np.full(SIZE, 2), np.full(SIZE, 0.5)):
        with pytest.raises(ValueError, match="actions: "):
            users.step(actions)
    patiences = make("patience", cascade_game).batch
    for patience in (np.zeros(3), np.full(SIZE, 1.5), np.full(SIZE, np.nan)):
        with pytest.raises(ValueError, match="patience"):
            patiences.step(patience)
    with pytest.raises(ValueError, match="actions: "):
        make("provider", cascade_game).batch.step(np.zeros((3, 4)))


class Impossible:
    def patience(self, game: Game, commitment: Commitment, draws: np.ndarray) -> float:
        return 7.0


def test_an_impossible_patience_of_a_policy_is_an_error(cascade_game: Game) -> None:
    with pytest.raises(ValueError, match=r"patience: 7\.0 is not allowed"):
        ProviderBatch(cascade_game, Impossible(), 2).step(np.zeros((2, 2)))


@FACES
def test_a_reset_without_a_seed_goes_on_to_other_tasks(cascade_game: Game, face: str) -> None:
    env = make(face, cascade_game)
    actions = np.array([env.action_space.sample() for _ in range(SIZE)])
    env.reset()
    first = env.step(actions)[1]
    env.reset()
    second = env.step(actions)[1]
    env.seed(4)
    env.reset()
    np.testing.assert_array_equal(env.step(actions)[1], first)
    assert not np.array_equal(first, second)


def test_a_patience_of_0_gains_nothing_and_rewards_keep_the_order(cascade_game: Game) -> None:
    env = make("patience", cascade_game, tasks_per_commitment=500)
    rewards = []
    for level in range(len(PATIENCE_LEVELS)):
        env.seed(1)
        env.reset()
        rewards.append(env.step(np.full(SIZE, level))[1])
    assert (rewards[0] == 0).all()
    batch = PatienceBatch(cascade_game, RandomProvider(throttling=True), SIZE, tasks_per_commitment=500, seed=1)
    gain = batch.step(np.ones(SIZE))
    np.testing.assert_array_equal(np.argsort(gain), np.argsort(rewards[-1]))


@FACES
def test_ppo_trains_on_every_face(cascade_game: Game, face: str) -> None:
    model = PPO("MlpPolicy", make(face, cascade_game), n_steps=4, batch_size=32, n_epochs=1, seed=0, device="cpu")
    model.learn(256)
    assert model.num_timesteps == 256
