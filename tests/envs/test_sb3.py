from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from stackroute import Commitment, Game
from stackroute.agents import FixedPatienceUser, RandomProvider, RationalUser
from stackroute.envs import (
    PATIENCE_LEVELS,
    PassBatch,
    PatienceBatch,
    ProviderBatch,
    ProviderVectorEnv,
    UserBatch,
    UserVectorEnv,
)
from stackroute.envs.encoding import from_symmetric
from stackroute.envs.sb3 import PassVecEnv, PatienceVecEnv, ProviderVecEnv, UserVecEnv

SIZE = 16


def make(face: str, game: Any, **options: Any) -> Any:
    """One of the four faces, its sampled actions seeded; a word behind a dash is its kind of action."""
    env = unseeded(face, game, **options)
    env.action_space.seed(0)
    return env


def unseeded(face: str, game: Any, **options: Any) -> Any:
    kind, _, action = face.partition("-")
    provider = RandomProvider(throttling=True)
    if kind == "provider":
        options = {"throttling": True, "action": action or "box", **options}
        return ProviderVecEnv(ProviderBatch(game, RationalUser(), SIZE, **options), seed=4)
    if kind == "pass":
        options = {"throttling": True, "action": action or "box", **options}
        return PassVecEnv(PassBatch(game, FixedPatienceUser(0.7), SIZE, **options), seed=4)
    if kind == "patience":
        return PatienceVecEnv(PatienceBatch(game, provider, SIZE, action=action or "grid", **options), seed=4)
    return UserVecEnv(UserBatch(game, provider, SIZE, **options), seed=4)


BOXES = ["provider", "pass", "patience-box"]
NUMBERS = ["provider-grid", "pass-grid", "patience", "user"]
FACES = pytest.mark.parametrize("face", BOXES + NUMBERS)
ONE_STEP = ("provider", "provider-grid", "patience", "patience-box")
SEVERAL = [
    Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5),
    Game([0.3, 0.6], [10.0, 40.0], [20.0, 30.0], value=150, churn_penalty=20),
]
VARIANTS = pytest.mark.parametrize(
    "options",
    [
        {},
        {"observe": "history"},
        {"reward_unit": "relative", "game": SEVERAL},
        {"reward_unit": "relative", "observe": "history", "game": SEVERAL, "max_passes": 3},
    ],
    ids=["default", "history", "several", "several-history"],
)


def sampled(env: Any) -> np.ndarray:
    return np.array([env.action_space.sample() for _ in range(SIZE)])


@FACES
def test_steps_have_the_shapes_types_and_infos_that_sb3_expects(cascade_game: Game, face: str) -> None:
    env = make(face, cascade_game)
    observation = env.reset()
    for _ in range(50):
        assert observation.shape == (SIZE, 11)
        assert all(env.observation_space.contains(row) for row in observation)
        before = observation.copy()
        observation, rewards, done, infos = env.step(sampled(env))
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
        plays.append(np.concatenate([env.step(sampled(env))[1] for _ in range(20)]))
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
        _, rewards, _, infos = env.step(np.full(SIZE, int(step >= 199)))
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
    actions = sampled(env)
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
@VARIANTS
def test_invariants_hold_in_every_variant(cascade_game: Game, face: str, options: dict[str, Any]) -> None:
    env = make(face, **{"game": cascade_game, **options})
    width = 13 if options.get("observe") == "history" else 11
    assert env.num_envs == SIZE
    assert env.observation_space == spaces.Box(0, env.observation_space.high, (width,), dtype=np.float32)
    if face in BOXES:
        shape = {"provider": (4,), "pass": (2,), "patience-box": (1,)}[face]
        assert env.action_space == spaces.Box(-1, 1, shape, dtype=np.float32)
    else:
        count = {"patience": len(PATIENCE_LEVELS), "user": 2}.get(face)
        assert env.action_space.n == (count or len(env.batch.variant.grid))
    env.action_space.seed(1)
    observation = env.reset()
    returns, lengths, differs, games = np.zeros(SIZE), np.zeros(SIZE, dtype=int), 0, set()
    handed_out = []
    for _ in range(40):
        before, then = observation, observation.copy()
        assert (before.shape, before.dtype) == ((SIZE, width), np.float32)
        assert all(env.observation_space.contains(row) for row in before)
        games |= {float(row[0]) for row in before}
        env.step_async(sampled(env))
        observation, rewards, done, infos = env.step_wait()
        np.testing.assert_array_equal(before, then)
        handed_out.append((infos, [info.get("terminal_observation", np.zeros(0)).copy() for info in infos]))
        assert (rewards.shape, rewards.dtype, done.shape, done.dtype) == ((SIZE,), np.float32, (SIZE,), np.bool_)
        assert np.isfinite(rewards).all()
        assert isinstance(infos, list)
        returns += rewards
        lengths += 1
        for slot, info in enumerate(infos):
            if not done[slot]:
                assert info == {}
                continue
            assert sorted(info) == ["TimeLimit.truncated", "episode", "terminal_observation"]
            assert isinstance(info["TimeLimit.truncated"], bool)
            assert env.observation_space.contains(info["terminal_observation"])
            differs += not np.array_equal(info["terminal_observation"], observation[slot])
            assert info["episode"]["r"] == pytest.approx(returns[slot], abs=1e-4, rel=1e-5)
            assert info["episode"]["l"] == lengths[slot]
            assert info["episode"]["t"] >= 0
        returns[done], lengths[done] = 0, 0
        assert done.all() or face not in ONE_STEP
    for infos, then in handed_out:
        for info, row in zip(infos, then, strict=True):
            np.testing.assert_array_equal(info.get("terminal_observation", np.zeros(0)), row)
    assert len(games) == (2 if "game" in options else 1)
    assert differs > 0 or (face in ("provider", "provider-grid", "pass", "pass-grid") and "game" not in options)


@pytest.mark.parametrize("face", ["pass", "pass-grid", "user"])
@VARIANTS
def test_faces_of_many_steps_play_what_the_vector_environments_play(face: str, options: dict[str, Any]) -> None:
    options = {"game": SEVERAL[0], **options}
    env = make(face, **options)
    if face == "user":
        vector: Any = UserVectorEnv(SIZE, provider=RandomProvider(throttling=True), **options)
    else:
        action = "grid" if face == "pass-grid" else "box"
        options |= {"throttling": True, "commitment": "pass", "action": action}
        vector = ProviderVectorEnv(SIZE, user=FixedPatienceUser(0.7), **options)
    env.seed(30)
    env.action_space.seed(2)
    np.testing.assert_array_equal(env.reset(), vector.reset(seed=30)[0])
    played_on = 0
    for _ in range(40):
        actions = sampled(env)
        observation, rewards, done, infos = env.step(actions)
        told = vector.step(from_symmetric(actions) if face == "pass" else actions)
        np.testing.assert_array_equal(observation, told[0])
        np.testing.assert_array_equal(rewards, told[1].astype(np.float32))
        np.testing.assert_array_equal(done, told[2] | told[3])
        for slot in np.flatnonzero(done):
            last = infos[slot]["terminal_observation"]
            np.testing.assert_array_equal(last, told[4]["final_obs"][slot])
            assert infos[slot]["TimeLimit.truncated"] == told[3][slot]
            # An episode that played on ends on another pass than the next one starts on.
            played_on += bool(len(last) == 13 and infos[slot]["episode"]["l"] > 1 and last[12] != observation[slot][12])
    assert (played_on > 0) == (options.get("observe") == "history")


@pytest.mark.parametrize("face", ["pass", "pass-grid", "user"])
def test_truncations_are_time_limits(cascade_game: Game, face: str) -> None:
    env = make(face, cascade_game, max_passes=1)
    env.action_space.seed(0)
    env.reset()
    truncated = 0
    for _ in range(20):
        *_, done, infos = env.step(np.zeros(SIZE, dtype=int) if face == "user" else sampled(env))
        assert done.all()
        truncated += sum(info["TimeLimit.truncated"] for info in infos)
    assert truncated == 20 * SIZE if face == "user" else 0 < truncated < 20 * SIZE


@FACES
def test_attributes_and_methods_of_every_face(cascade_game: Game, face: str) -> None:
    env = make(face, cascade_game)
    assert env.get_attr("variant") == [env.batch.variant] * SIZE
    assert env.get_attr("size", indices=2) == [SIZE]
    assert env.get_attr("render_mode", indices=[1]) == [None]
    assert env.has_attr("observation")
    assert not env.has_attr("nonsense")
    with pytest.raises(AttributeError, match="nonsense"):
        env.get_attr("nonsense")
    env.set_attr("name_of_mine", 3, indices=[0])
    assert env.get_attr("name_of_mine", indices=[0, 1]) == [3, 3]
    first = env.reset()
    assert env.env_method("reset", 4, indices=[0, 5]) == [None, None]
    np.testing.assert_array_equal(env.get_attr("observation")[0], first)
    assert env.env_is_wrapped(VecMonitor, indices=[0]) == [False]
    assert env.unwrapped is env
    env.close()


@FACES
def test_seeds_are_those_of_slots(cascade_game: Game, face: str) -> None:
    env = make(face, cascade_game)
    assert env.seed(10) == list(range(10, 10 + SIZE))
    actions = sampled(env)
    env.reset()
    rewards = env.step(actions)[1]
    env.seed(11)
    env.reset()
    np.testing.assert_array_equal(env.step(np.roll(actions, -1, axis=0))[1][:-1], rewards[1:])
    drawn = env.seed()
    assert drawn != env.seed()


@FACES
def test_wrappers_of_sb3(cascade_game: Game, face: str) -> None:
    options = {"observe": "history", "reward_unit": "relative"}
    plain, monitored = make(face, SEVERAL, **options), VecMonitor(make(face, SEVERAL, **options))
    # Clipped observations could not be turned back.
    normal = VecNormalize(make(face, SEVERAL, **options), clip_obs=1e6)
    for env in (plain, monitored, normal):
        env.seed(3)
    first = plain.reset()
    np.testing.assert_array_equal(monitored.reset(), first)
    normal.reset()
    np.testing.assert_array_equal(normal.get_original_obs(), first)
    for _ in range(20):
        actions = sampled(plain)
        observation, rewards, done, infos = plain.step(actions)
        told = monitored.step(actions)
        np.testing.assert_array_equal(told[0], observation)
        for slot in np.flatnonzero(done):
            mine, theirs = infos[slot]["episode"], told[3][slot]["episode"]
            assert theirs["r"] == pytest.approx(mine["r"], rel=1e-4, abs=1e-4)
            assert theirs["l"] == mine["l"]
        scaled = normal.step(actions)
        assert np.isfinite(scaled[0]).all()
        np.testing.assert_array_equal(normal.get_original_obs(), observation)
        np.testing.assert_array_equal(normal.get_original_reward(), rewards)
        for slot in np.flatnonzero(done):
            last = normal.unnormalize_obs(scaled[3][slot]["terminal_observation"])
            np.testing.assert_allclose(last, infos[slot]["terminal_observation"], atol=1e-3)


@FACES
def test_ppo_trains_on_every_face(cascade_game: Game, face: str) -> None:
    model = PPO("MlpPolicy", make(face, cascade_game), n_steps=4, batch_size=32, n_epochs=1, seed=0, device="cpu")
    model.learn(256)
    assert model.num_timesteps == 256


@pytest.mark.parametrize("face", ["provider", "pass-grid", "patience", "user"])
def test_ppo_trains_with_a_history_and_several_games(face: str) -> None:
    env = VecNormalize(make(face, SEVERAL, observe="history", reward_unit="relative"))
    model = PPO("MlpPolicy", env, n_steps=4, batch_size=32, n_epochs=1, seed=0, device="cpu")
    model.learn(128)
    assert model.num_timesteps == 128
    assert len(model.ep_info_buffer) > 0


SMALL: dict[str, Any] = {
    "learning_starts": 32,
    "batch_size": 16,
    "policy_kwargs": {"net_arch": [8]},
    "buffer_size": 500,
}


@pytest.mark.parametrize("face", NUMBERS)
def test_dqn_trains_on_numbered_actions(cascade_game: Game, face: str) -> None:
    model = DQN("MlpPolicy", make(face, cascade_game, observe="history"), seed=0, device="cpu", **SMALL)
    model.learn(128)
    assert model.num_timesteps == 128
    assert model._n_updates > 0


@pytest.mark.parametrize("face", BOXES)
def test_sac_trains_on_boxes(cascade_game: Game, face: str) -> None:
    model = SAC("MlpPolicy", make(face, cascade_game, observe="history"), seed=0, device="cpu", **SMALL)
    model.learn(128)
    assert model.num_timesteps == 128
    assert model._n_updates > 0
