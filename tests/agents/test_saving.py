"""Players in files: every class of network, and files that somebody else made."""

import io
import json
import re
import tracemalloc
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
    CountingUser,
    EquilibriumProvider,
    FixedPatienceUser,
    InformedUser,
    LearnedProvider,
    LearnedUser,
    LearningUser,
    LogitUser,
    MixtureUser,
    RandomProvider,
    RandomUser,
    RationalUser,
    ShoppingUser,
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


CLIPPED = {"epsilon": 1e-8, "clip": 1.0}


def rewritten(path: Path, change: dict[str, Any]) -> None:
    with np.load(path) as file:
        content = dict(file)
    specification = json.loads(str(content.pop("specification")))
    specification["network"] |= change.pop("network", {})
    np.savez(path, specification=np.array(json.dumps(specification | change)), **content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "oracle"}, "kind: 'oracle' is not allowed; expected one of"),
        ({"network": {"policy": "transformer"}}, "networks of the class 'transformer' cannot be built here"),
        ({"network": {"activation": "Softmax"}}, "activation 'Softmax' is not one of"),
        ({"network": {"net_arch": [3]}}, "not a saved policy"),
        ({"network": {"net_arch": [6000, 6000]}}, r"net_arch: \[6000, 6000\] is not allowed; expected layers that the"),
        ({"network": {"net_arch": {"pi": [64], "vf": [10**12]}}}, r"net_arch: \[1000000000000\] is not allowed"),
        ({"network": {"net_arch": ["64"]}}, r"network\.net_arch"),
        ({"actions": {"n": 10**12}}, "net_arch: .* expected layers"),
        ({"actions": {"low": 0.5, "shape": [1], "dtype": "float32"}}, "actions.low: 0.5 is not allowed"),
        ({"actions": {"low": -1.0, "shape": [10**12], "dtype": "float32"}}, "net_arch: .* expected layers"),
        ({"actions": {"low": -1.0, "shape": [1], "dtype": "object"}}, "actions.dtype: 'object' is not allowed"),
        ({"view": {"models": 10**9, "blocks": ["game"], "features": False}}, "view.models: 1000000000 is not allowed"),
        (
            {"normalisation": {"mean": [0.0], "variance": [-1.0], **CLIPPED}},
            "normalisation.variance",
        ),
        (
            {"normalisation": {"mean": [0.0], "variance": [1.0], **CLIPPED}},
            "statistics of 1 numbers",
        ),
        ({"normalisation": {"mean": [float("nan")], "variance": [1.0], **CLIPPED}}, "finite"),
        ({"kind": "provider", "commitments": [["0.5", "0.5"]]}, "commitments.0.0: '0.5' is not allowed"),
        ({"kind": "provider", "commitments": [[0.5, 1.5]]}, "not a saved policy"),
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


def test_a_file_with_the_delays_of_another_encoding_is_refused(random_games: Game, tmp_path: Path) -> None:
    path = tmp_path / "provider.npz"
    save_policy(LearnedProvider(provider_model(random_games[0], "ppo").policy), path)
    assert isinstance(load_policy(path), LearnedProvider)
    rewritten(path, {"actions": {"low": -1.0, "shape": [4], "dtype": "float32"}})
    with pytest.raises(PolicyFileError, match="delays: 0 is not allowed; expected 2, as of this version"):
        load_policy(path)


RULES: dict[str, Any] = {
    "fixed": FixedPatienceUser(0.1 + 0.2),
    "counting": CountingUser(3),
    "counting types": CountingUser([[1, 2], [3, 4]], shares=[0.25, 0.75]),
    "informed": InformedUser("pessimistic"),
    "learning": LearningUser(2.0, 0.1, over_tasks=True),
    "logit": LogitUser(7.5),
    "random": RandomUser(),
    "rational": RationalUser("pessimistic"),
    "shopping": ShoppingUser(0.25, "pessimistic"),
    "equilibrium": EquilibriumProvider(throttling=True, routing="free"),
    "random provider": RandomProvider(throttling=True, routing="lottery"),
}


@pytest.mark.parametrize("name", RULES)
def test_players_that_go_by_a_rule_survive_saving(tmp_path: Path, name: str) -> None:
    player = RULES[name]
    save_policy(player, tmp_path / "player.npz")
    provides = hasattr(player, "commit")
    loaded = (load_provider if provides else load_user)(tmp_path / "player.npz")
    assert type(loaded) is type(player)
    np.testing.assert_equal(vars(loaded), vars(player))
    with pytest.raises(PolicyFileError, match="expected a user" if provides else "expected a provider"):
        (load_user if provides else load_provider)(tmp_path / "player.npz")


def test_only_players_of_this_package_are_saved(tmp_path: Path) -> None:
    class OfMyOwn(RationalUser):
        pass

    for player in (MixtureUser([RationalUser()], [1]), OfMyOwn(), None):
        with pytest.raises(TypeError, match="expected a learned one, or one of CountingUser, Equil"):
            save_policy(player, tmp_path / "user.npz")  # type: ignore[arg-type]
    assert not (tmp_path / "user.npz").exists()


def header(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    """An array whose header promises more than there is."""
    text = io.BytesIO()
    np.lib.format.write_array_header_1_0(text, {"descr": dtype, "fortran_order": False, "shape": shape})
    return text.getvalue() + bytes(8)


def array(content: Any) -> bytes:
    text = io.BytesIO()
    np.save(text, np.array(content))
    return text.getvalue()


LAST = "action_net.bias.npy"
MEMBERS: dict[str, dict[str, bytes]] = {
    "a header of 10^12 numbers": {LAST: header((10**12,))},
    "a header of 10^12 columns": {LAST: header((1, 10**6, 10**6))},
    "a header of many characters": {LAST: b"\x93NUMPY\x02\x00" + (10**6).to_bytes(4, "little") + b"{" * 10**6},
    "a specification of 10^12 letters": {"specification.npy": header((), f"<U{10**9}")},
    "an array of objects": {LAST: header((1,), "|O")},
    "text": {LAST: array(["0.5"] * 10)},
    "text that is no array": {LAST: b"0.5" * 10},
    "nothing": {LAST: b""},
    "NaN": {LAST: array(np.full(10, np.nan, np.float32))},
    "infinity": {LAST: array(np.full(10, np.inf, np.float32))},
    "nested brackets": {"specification.npy": array("[" * 10**5)},
    "a bomb": {LAST: bytes(2**28)},
}


@pytest.mark.parametrize("name", MEMBERS)
def test_files_that_promise_too_much_are_refused_unbuilt(cascade_game: Game, tmp_path: Path, name: str) -> None:
    path = tmp_path / "user.npz"
    env = choosing(cascade_game, action="grid")
    save_policy(LearnedUser(PPO("MlpPolicy", env, seed=1, device="cpu").policy), path)
    with zipfile.ZipFile(path) as file:
        members = {one: file.read(one) for one in file.namelist()}
    assert members.keys() >= MEMBERS[name].keys()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for one, content in (members | MEMBERS[name]).items():
            file.writestr(one, content)
    tracemalloc.start()
    with pytest.raises(PolicyFileError, match=r"user\.npz: not a saved policy: ") as refused:
        load_user(path)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()
    assert "\n" not in str(refused.value)
    assert not re.search("pickle|trust|max_header_size", str(refused.value))
