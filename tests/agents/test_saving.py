"""Players in files: every class of network, and files that somebody else made."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from sb3_contrib import TQC
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm

from stackroute import Commitment, Game
from stackroute.agents import (
    LearnedProvider,
    LearnedUser,
    RandomProvider,
    RationalUser,
    StaticProvider,
    load_policy,
    load_provider,
    load_user,
    save_policy,
)
from stackroute.agents.errors import PolicyFileError, UntrustedFileError
from stackroute.envs import PATIENCE_LEVELS, ProviderVectorEnv, UserEnv, UserVectorEnv
from stackroute.envs.sb3 import VecEnv

COMMITMENTS = Commitment.cascade([0, 0, 1], [0.0, 0.7, 0.0], [[0, 0], [0.1, 0.5], [0, 0.2]])
TRUSTED = pytest.mark.filterwarnings("ignore:.*runs code of whoever made this file")


PROVIDERS = {"ppo": PPO, "a2c": A2C, "sac": SAC, "td3": TD3, "tqc": TQC, "dqn": DQN}


def provider_model(game: Game, name: str, **options: Any) -> BaseAlgorithm:
    env = ProviderVectorEnv(2, game, RationalUser(), action="grid" if name == "dqn" else "box")
    if name not in ("ppo", "a2c"):
        options |= {"buffer_size": 10}
    return PROVIDERS[name]("MlpPolicy", VecEnv(env), seed=6, device="cpu", **options)


def assert_commits_alike(one: Any, other: Any, games: Game) -> None:
    numbers = np.zeros((*games.shape, 5))
    for name in ("start", "transition", "delay"):
        expected = getattr(one.commit(games, numbers), name)
        np.testing.assert_array_equal(getattr(other.commit(games, numbers), name), expected)


def choosing(game: Game, **options: Any) -> VecEnv:
    return VecEnv(UserVectorEnv(4, game, RandomProvider(), decision="task", **options))


@TRUSTED
@pytest.mark.parametrize("name", PROVIDERS)
def test_every_class_of_network_survives_saving(random_games: Game, tmp_path: Path, name: str) -> None:
    model = provider_model(random_games[0], name, policy_kwargs={"net_arch": [7, 5]})
    provider = LearnedProvider(model.policy)
    model.save(tmp_path / "model.zip")
    save_policy(provider, tmp_path / "provider.npz")
    for loaded in (load_provider(tmp_path / "provider.npz"), load_provider(tmp_path / "model.zip", trust=True)):
        assert isinstance(loaded, LearnedProvider)
        assert type(loaded.policy) is type(provider.policy)
        assert not loaded.policy.training
        assert_commits_alike(provider, loaded, random_games)


USERS: dict[str, Callable[[Game], Any]] = {
    "grid": lambda game: choosing(game, action="grid"),
    "box": choosing,
    "blind": lambda game: choosing(game, observe={"user": ["game"]}),
    "pass by pass": UserEnv,
}


@TRUSTED
@pytest.mark.parametrize("kind", USERS)
def test_users_of_every_kind_survive_saving(cascade_game: Game, tmp_path: Path, kind: str) -> None:
    model = PPO("MlpPolicy", USERS[kind](cascade_game), seed=1, device="cpu")
    user = LearnedUser(model.policy)
    model.save(tmp_path / "model.zip")
    save_policy(user, tmp_path / "user.npz")
    patience = user.patience(cascade_game, COMMITMENTS, np.zeros(3))
    for loaded in (load_user(tmp_path / "user.npz"), load_user(tmp_path / "model.zip", trust=True)):
        assert (loaded.view, loaded.policy.action_space) == (user.view, user.policy.action_space)
        np.testing.assert_array_equal(loaded.patience(cascade_game, COMMITMENTS, np.zeros(3)), patience)
    assert user.view.blocks == (("game",) if kind == "blind" else ("game", "commitment"))
    assert bool(np.ptp(patience) < 1e-6) is (kind == "blind")
    assert kind != "grid" or set(patience) <= set(PATIENCE_LEVELS)
    assert kind != "pass by pass" or ((patience > 0.3) & (patience < 0.7)).all()
    single = user.patience(cascade_game, COMMITMENTS[1], np.zeros(()))
    assert single.shape == ()
    assert single == pytest.approx(patience[1], rel=1e-6)


def test_a_patience_in_0_to_1_survives_saving(cascade_game: Game, tmp_path: Path) -> None:
    env = choosing(cascade_game)
    env.action_space = spaces.Box(0.0, 1.0, (1,), dtype=np.float64)
    user = LearnedUser(PPO("MlpPolicy", env, seed=1, device="cpu").policy)
    save_policy(user, tmp_path / "user.npz")
    loaded = load_user(tmp_path / "user.npz")
    assert loaded.policy.action_space == env.action_space
    expected = user.patience(cascade_game, COMMITMENTS, np.zeros(3))
    np.testing.assert_array_equal(loaded.patience(cascade_game, COMMITMENTS, np.zeros(3)), expected)


def test_trusting_a_file_is_warned_about(cascade_game: Game, tmp_path: Path) -> None:
    PPO("MlpPolicy", UserEnv(cascade_game), seed=1, device="cpu").save(tmp_path / "model.zip")
    with pytest.warns(UserWarning, match=r"model\.zip: runs code of whoever made this file"):
        load_user(tmp_path / "model.zip", trust=True)


class Exploit:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.path,)


@TRUSTED
@pytest.mark.parametrize("load", [load_user, load_provider])
def test_a_zip_file_that_would_run_code_is_refused_unrun(
    cascade_game: Game, tmp_path: Path, load: Callable[..., Any]
) -> None:
    ran, path = tmp_path / "ran", tmp_path / "model.zip"
    PPO("MlpPolicy", UserEnv(cascade_game), seed=1, device="cpu").save(path)
    with zipfile.ZipFile(path) as file:
        content = {name: file.read(name) for name in file.namelist()}
    data = json.loads(content["data"])
    data["clip_range"] = data["clip_range"] | {":serialized:": pickled(Exploit(ran))}
    with zipfile.ZipFile(path, "w") as file:
        for name, text in (content | {"data": json.dumps(data).encode()}).items():
            file.writestr(name, text)
    with pytest.raises(UntrustedFileError, match=r"model\.zip: .*can run code .*--trust"):
        load(path)
    assert not ran.exists()
    if load is load_user:
        load(path, trust=True)
        assert ran.exists()


def pickled(thing: object) -> str:
    import base64
    import pickle

    return base64.b64encode(pickle.dumps(thing)).decode()


@TRUSTED
def test_a_zip_file_of_another_kind_is_an_error(cascade_game: Game, tmp_path: Path) -> None:
    PPO("MlpPolicy", UserEnv(cascade_game), seed=1, device="cpu").save(tmp_path / "user.zip")
    with pytest.raises(PolicyFileError, match=r"user\.zip: policy: observations .* are not allowed"):
        load_provider(tmp_path / "user.zip", trust=True)
    (tmp_path / "text.zip").write_text("no model")
    with pytest.raises(PolicyFileError, match=r"text\.zip: not a model saved by stable-baselines3"):
        load_user(tmp_path / "text.zip", trust=True)
    for trust in (False, True):
        with pytest.raises(FileNotFoundError):
            load_user(tmp_path / "absent.zip", trust=trust)


def test_fixed_commitments_survive_saving(cascade_game: Game, tmp_path: Path) -> None:
    provider = StaticProvider(Commitment.cascade(0, 0.1 + 0.2, [0.0, 1 / 3]))
    save_policy(provider, tmp_path / "provider.npz")
    loaded = load_provider(tmp_path / "provider.npz")
    assert isinstance(loaded, StaticProvider)
    assert_commits_alike(provider, loaded, cascade_game)
    with pytest.raises(PolicyFileError, match="holds a provider; expected a user"):
        load_user(tmp_path / "provider.npz")


def rewritten(path: Path, change: dict[str, Any]) -> None:
    with np.load(path) as file:
        content = dict(file)
    specification = json.loads(str(content.pop("specification")))
    specification["network"] |= change.pop("network", {})
    np.savez(path, specification=np.array(json.dumps(specification | change)), **content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "oracle"}, "kind 'oracle' is none of this package's players"),
        ({"network": {"class": "transformer"}}, "networks of the class 'transformer' cannot be built here"),
        ({"network": {"activation": "Softmax"}}, "activation 'Softmax' is not one of"),
        ({"network": {"net_arch": [3]}}, "not a saved policy"),
        ({"actions": {"n": 3}}, "not a saved policy"),
        ({"view": {"models": 3, "blocks": ["game"], "features": False}}, "not a saved policy"),
        ({"view": {"models": 2, "blocks": [], "features": False}}, "not a saved policy"),
    ],
)
def test_a_file_that_describes_something_else_is_an_error(
    cascade_game: Game, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "user.npz"
    env = choosing(cascade_game, action="grid")
    save_policy(LearnedUser(PPO("MlpPolicy", env, seed=1, device="cpu").policy), path)
    rewritten(path, {})
    assert isinstance(load_policy(path), LearnedUser)
    rewritten(path, change)
    with pytest.raises(PolicyFileError, match=message):
        load_policy(path)


def test_only_players_are_saved(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="expected a learned player or a StaticProvider"):
        save_policy(RationalUser(), tmp_path / "user.npz")  # type: ignore[arg-type]
    assert not (tmp_path / "user.npz").exists()
