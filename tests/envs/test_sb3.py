"""The vector environments as stable-baselines3's `VecEnv`: what it plays, its infos, its wrappers and learners."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from stackroute import Game
from stackroute.agents import CountingUser, FixedPatienceUser
from stackroute.envs import ProviderVectorEnv, UserVectorEnv
from stackroute.envs.actions import from_symmetric
from stackroute.envs.sb3 import VecEnv

SIZE = 16
ALL = {"provider": ["game", "commitment", "history"], "user": ["game", "commitment", "history"]}
SEVERAL = [
    Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5),
    Game([0.3, 0.6], [10.0, 40.0], [20.0, 30.0], value=150, churn_penalty=20),
]
THREE = Game([0.3, 0.5, 0.8], [0.1, 0.3, 0.8], [0.2, 0.4, 0.7], value=2, churn_penalty=3)
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "provider": (ProviderVectorEnv, {}),
    "provider of counting users": (ProviderVectorEnv, {"user": CountingUser(2), "tasks_per_commitment": 5}),
    "provider grid": (ProviderVectorEnv, {"action": "grid"}),
    "pass": (ProviderVectorEnv, {"user": FixedPatienceUser(0.7), "routing": "pass"}),
    "pass grid": (ProviderVectorEnv, {"user": FixedPatienceUser(0.7), "routing": "pass", "action": "grid"}),
    "patience": (UserVectorEnv, {"decision": "task"}),
    "patience grid": (UserVectorEnv, {"decision": "task", "action": "grid"}),
    "user": (UserVectorEnv, {}),
}
WIDTHS = {"provider": 4, "provider of counting users": 4, "pass": 2, "patience": 1}
"""Lengths of the actions that are numbers, for two models."""

EVERY_KIND = pytest.mark.parametrize("kind", KINDS)
VARIANTS = pytest.mark.parametrize(
    "options",
    [
        {"game": SEVERAL[0]},
        {"game": SEVERAL[0], "observe": ALL, "max_passes": 1},
        {"game": SEVERAL, "reward_unit": "relative", "observe": ALL, "max_passes": 3},
        {"game": THREE, "observe": ALL},
    ],
    ids=["default", "one pass", "several", "three models"],
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Networks as small as these only lose time by more."""
    torch.set_num_threads(1)


def vector(kind: str, **options: Any) -> Any:
    make, others = KINDS[kind]
    return make(SIZE, **{"game": SEVERAL[0], **others, **options})


def made_of(kind: str, **options: Any) -> VecEnv:
    """One of the kinds, its sampled actions seeded."""
    env = VecEnv(vector(kind, **options), seed=4)
    env.action_space.seed(0)
    return env


def sampled(env: Any) -> np.ndarray:
    return np.array([env.action_space.sample() for _ in range(SIZE)])


@EVERY_KIND
@VARIANTS
def test_it_plays_what_the_vector_environment_plays(kind: str, options: dict[str, Any]) -> None:
    env, plain = made_of(kind, **options), vector(kind, **options)
    delays = plain.variant.actions.delays if isinstance(plain, ProviderVectorEnv) else 0
    env.seed(30)
    observation = env.reset()
    np.testing.assert_array_equal(observation, plain.reset(seed=30)[0])
    returns, lengths = np.zeros(SIZE), np.zeros(SIZE, dtype=int)
    for _ in range(40):
        actions = sampled(env)
        before, then = observation, observation.copy()
        observation, rewards, done, infos = env.step(actions)
        expected = plain.step(from_symmetric(actions, delays) if actions.dtype == np.float32 else actions)
        np.testing.assert_array_equal(before, then)
        np.testing.assert_array_equal(observation, expected[0])
        np.testing.assert_array_equal(rewards, expected[1].astype(np.float32))
        np.testing.assert_array_equal(done, expected[2] | expected[3])
        assert (rewards.dtype, done.dtype, len(infos)) == (np.float32, np.bool_, SIZE)
        returns += rewards
        lengths += 1
        for slot, info in enumerate(infos):
            if not done[slot]:
                assert info == {}
                continue
            assert info["TimeLimit.truncated"] is bool(expected[3][slot])
            np.testing.assert_array_equal(info["terminal_observation"], expected[4]["final_obs"][slot])
            episode = {"r": pytest.approx(returns[slot], abs=1e-4, rel=1e-5), "l": lengths[slot]}
            assert info["episode"] == {**episode, "t": pytest.approx(0, abs=1e3)}
        returns[done], lengths[done] = 0, 0
        assert done.all() or kind in ("user", "pass", "pass grid")


@EVERY_KIND
def test_spaces(kind: str) -> None:
    env, plain = made_of(kind), vector(kind)
    assert (env.num_envs, env.observation_space) == (SIZE, plain.single_observation_space)
    if kind in WIDTHS:
        assert env.action_space == spaces.Box(-1, 1, (WIDTHS[kind],), dtype=np.float32)
    else:
        assert env.action_space == plain.single_action_space


def test_seeds_are_those_of_slots() -> None:
    env = made_of("user")
    assert env.seed(10) == list(range(10, 10 + SIZE))
    assert env.seed() != env.seed()


def test_attributes_and_methods_are_those_of_the_vector_environment() -> None:
    env = made_of("user")
    assert env.get_attr("variant") == [env.env.variant] * SIZE
    assert env.get_attr("num_envs", indices=2) == [SIZE]
    assert env.get_attr("render_mode", indices=[1]) == [None]
    assert env.has_attr("observation")
    assert not env.has_attr("nonsense")
    with pytest.raises(AttributeError, match="nonsense"):
        env.get_attr("nonsense")
    env.set_attr("name_of_mine", 3, indices=[0])
    assert env.get_attr("name_of_mine", indices=[0, 1]) == [3, 3]
    first = env.reset()
    assert env.env_method("_ends", indices=[0, 5])[0][0].tolist() == [False] * SIZE
    np.testing.assert_array_equal(env.get_attr("observation")[0], first)
    assert env.env_is_wrapped(VecMonitor, indices=[0]) == [False]
    assert env.unwrapped is env
    env.close()


def test_other_environments_are_errors() -> None:
    with pytest.raises(TypeError, match=r"env: .* is not allowed; expected a ProviderVectorEnv or a UserVectorEnv"):
        VecEnv("g4b")  # type: ignore[arg-type]


@EVERY_KIND
def test_ppo_trains(kind: str) -> None:
    env = VecNormalize(made_of(kind, game=SEVERAL, observe=ALL, reward_unit="relative"))
    model = PPO("MlpPolicy", env, n_steps=4, batch_size=32, n_epochs=1, seed=0, device="cpu")
    model.learn(128)
    assert model.num_timesteps == 128
    assert len(model.ep_info_buffer) > 0


@EVERY_KIND
def test_learners_with_replay_train(kind: str) -> None:
    small: dict[str, Any] = {"learning_starts": 32, "batch_size": 16, "policy_kwargs": {"net_arch": [8]}}
    learner = SAC if kind in WIDTHS else DQN
    model = learner("MlpPolicy", made_of(kind, game=THREE), seed=0, device="cpu", buffer_size=500, **small)
    model.learn(128)
    assert model.num_timesteps == 128
    assert model._n_updates > 0


@pytest.mark.parametrize(("kind", "learner"), [("user", PPO), ("patience grid", DQN)])
def test_learners_learn_to_leave_a_hopeless_task(hopeless: Game, kind: str, learner: Any) -> None:
    """Every re-prompt costs something and nothing is ever solved."""
    env = made_of(kind, game=hopeless, max_passes=20)
    faster: dict[str, Any] = {"n_steps": 16, "batch_size": 64, "gamma": 1.0}
    if learner is DQN:
        faster = {"learning_starts": 64, "exploration_fraction": 0.5}
    model = learner("MlpPolicy", env, seed=0, device="cpu", learning_rate=3e-3, **faster)
    model.learn(2_000)
    env.seed(5)
    actions, _ = model.predict(env.reset(), deterministic=True)
    assert (actions == (1 if kind == "user" else 0)).mean() > 0.9
