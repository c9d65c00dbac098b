"""Players in files: weights and JSON in one .npz file, which cannot run code when it is loaded."""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from gymnasium import spaces
from pydantic import Field, TypeAdapter
from stable_baselines3.common.policies import ActorCriticPolicy

from stackroute.agents.errors import PolicyFileError, without_advice
from stackroute.agents.files import read_arrays, write_arrays
from stackroute.agents.learned import LearnedProvider, LearnedUser, Normalisation, View
from stackroute.agents.networks import describe, load_sb3_policy, rebuild
from stackroute.agents.providers import EquilibriumProvider, RandomProvider, StaticProvider
from stackroute.agents.thresholds import KINDS, SEEN, THRESHOLD_SPACE, LearnedThresholds
from stackroute.agents.users import (
    CountingUser,
    FixedPatienceUser,
    InformedUser,
    LearningUser,
    LogitUser,
    RandomUser,
    RationalUser,
    ShoppingUser,
)
from stackroute.analytic import Commitment
from stackroute.configs.loading import Settings, validated
from stackroute.envs.games import plain
from stackroute.envs.observations import Block
from stackroute.envs.policies import AnyUserPolicy, ProviderPolicy

if TYPE_CHECKING:
    from stackroute.agents.networks import Weights

_BY_RULE = {
    kind.__name__: kind
    for kind in (
        CountingUser,
        EquilibriumProvider,
        FixedPatienceUser,
        InformedUser,
        LearningUser,
        LogitUser,
        RandomProvider,
        RandomUser,
        RationalUser,
        ShoppingUser,
    )
}
"""Players that are made of their arguments, which their attributes hold."""

_THRESHOLDS = "thresholds."
"""Begins the names of the weights of a provider's thresholds."""

_MOST_BYTES = 2**27
_MOST_MODELS = 100
_MOST_LISTED_MODELS = 10
"""Of a provider whose commitments are those of the grid, which grows with the cube of the models."""


class _View(Settings):
    models: int = Field(ge=1, le=_MOST_MODELS)
    blocks: list[Block] = Field(min_length=1)
    features: bool


class _Actions(Settings):
    n: int | None = Field(None, ge=1)
    low: float = Field(0.0, ge=-1.0, le=0.0, multiple_of=1.0)
    shape: list[Annotated[int, Field(ge=1)]] = Field([1], min_length=1, max_length=1)
    dtype: Literal["float32", "float64"] = "float64"
    delays: int = Field(0, ge=0)


class _Statistics(Settings):
    mean: list[float]
    variance: list[Annotated[float, Field(ge=0)]]
    epsilon: float = Field(gt=0)
    clip: float = Field(gt=0)


class _Network(Settings):
    policy: str
    net_arch: list[int] | dict[str, list[int]]
    activation: str


class _Static(Settings):
    kind: Literal["static provider"]
    start: list[float]
    transition: list[list[float]]
    delay: list[float]


class _ByRule(Settings):
    kind: Literal["rule"]
    name: str
    arguments: dict[str, Any]


class _Thresholds(Settings):
    margin: float = Field(ge=0, lt=0.5)
    network: _Network


class _Learned(Settings):
    kind: Literal["user", "provider"]
    commitments: list[list[float]] | None = None
    thresholds: _Thresholds | None = None
    view: _View
    actions: _Actions
    network: _Network
    normalisation: _Statistics | None = None
    predicts_utility: bool = False


_SPECIFICATION: TypeAdapter[_Static | _ByRule | _Learned] = TypeAdapter(
    Annotated[_Static | _ByRule | _Learned, Field(discriminator="kind")]
)


def save_policy(player: ProviderPolicy | AnyUserPolicy, path: str | Path) -> None:
    """Write a player to an .npz file of weights and JSON.

    Args:
        player: A learned player, or one of this package that goes by a rule, but for `MixtureUser`.
        path: The file; one that exists is replaced.

    Raises:
        TypeError: It is no player that can be saved.
        ValueError: Its policy has parts that the file cannot describe, see `stackroute.agents.networks.describe`.
    """
    specification, weights = _specified(player)
    write_arrays(Path(path), specification, weights)


def load_policy(path: str | Path) -> ProviderPolicy | AnyUserPolicy:
    """Read a player that `save_policy` wrote. Nothing in it is executed, nothing built before its sizes fit.

    Args:
        path: The file.

    Returns:
        The player.

    Raises:
        PolicyFileError: The file holds no saved player.
        FileNotFoundError: There is no such file.
    """
    try:
        specification, weights = read_arrays(Path(path), _MOST_BYTES)
        return _built(validated(specification, "specification", _SPECIFICATION), weights)
    except FileNotFoundError:
        raise
    except Exception as error:
        raise PolicyFileError(f"{path}: not a saved policy: {without_advice(error)}") from error


def load_user(path: str | Path, *, trust: bool = False) -> AnyUserPolicy:
    """Read a user from an .npz file of this package or a .zip file of stable-baselines3.

    Args:
        path: The file.
        trust: Whether a .zip file, which can run code, may be loaded.

    Returns:
        The user.

    Raises:
        UntrustedFileError: It is a .zip file, and `trust` is not given.
        PolicyFileError: The file holds no user.
        FileNotFoundError: There is no such file.
    """
    player = _player(Path(path), trust, LearnedUser)
    if isinstance(player, ProviderPolicy):
        raise PolicyFileError(f"{path}: holds a provider; expected a user")
    return player


def load_provider(path: str | Path, *, trust: bool = False) -> ProviderPolicy:
    """Read a provider from an .npz file of this package or a .zip file of stable-baselines3; see `load_user`."""
    player = _player(Path(path), trust, LearnedProvider)
    if not isinstance(player, ProviderPolicy):
        raise PolicyFileError(f"{path}: holds a user; expected a provider")
    return player


def _player(path: Path, trust: bool, of: type[LearnedUser | LearnedProvider]) -> ProviderPolicy | AnyUserPolicy:
    if path.suffix != ".zip":
        return load_policy(path)
    policy, seen_last = load_sb3_policy(path, trust=trust)
    try:
        player = of(policy)
        player.check_trained_on(seen_last)
        return player
    except ValueError as error:
        raise PolicyFileError(f"{path}: {error}") from error


def _specified(player: Any) -> tuple[dict[str, Any], Weights]:
    if isinstance(player, StaticProvider):
        return {"kind": "static provider"} | plain(player.commitment), {}
    if type(player).__name__ in _BY_RULE and type(player) is _BY_RULE[type(player).__name__]:
        arguments = {name.removeprefix("_"): plain(value) for name, value in vars(player).items()}
        return {"kind": "rule", "name": type(player).__name__, "arguments": arguments}, {}
    if isinstance(player, LearnedUser):
        own: dict[str, Any] = {"kind": "user", "predicts_utility": player.predicts_utility}
    elif isinstance(player, LearnedProvider):
        own = {"kind": "provider", "commitments": plain(player.commitments)}
    else:
        raise TypeError(f"player: {player!r} is not allowed; expected a learned one, or one of {', '.join(_BY_RULE)}")
    actions = _space_as_json(player.policy.action_space)
    if isinstance(player, LearnedProvider):
        actions["delays"] = player.actions.delays
    network = {"view": asdict(player.view), "actions": actions, "network": describe(player.policy)}
    statistics = player.normalisation and asdict(player.normalisation)
    weights = {name: tensor.cpu().numpy() for name, tensor in player.policy.state_dict().items()}
    if isinstance(player, LearnedProvider) and player.thresholds is not None:
        policy = player.thresholds.policy
        own["thresholds"] = {"margin": player.thresholds.margin, "network": describe(policy)}
        weights |= {_THRESHOLDS + name: tensor.cpu().numpy() for name, tensor in policy.state_dict().items()}
    return own | network | {"normalisation": statistics}, weights


def _built(content: _Static | _ByRule | _Learned, weights: Weights) -> ProviderPolicy | AnyUserPolicy:
    if isinstance(content, _Static):
        return StaticProvider(Commitment(content.start, content.transition, content.delay))
    if isinstance(content, _ByRule):
        if content.name not in _BY_RULE:
            raise ValueError(f"name: {content.name!r} is not allowed; expected one of {', '.join(_BY_RULE)}")
        player: Any = _BY_RULE[content.name](**content.arguments)
        return player  # type: ignore[no-any-return]
    view = View(content.view.models, tuple(content.view.blocks), content.view.features)
    kept_apart = {name for name in weights if name.startswith(_THRESHOLDS)} if content.thresholds else set()
    own = {name: array for name, array in weights.items() if name not in kept_apart}
    _check_sizes(content, view, own)
    policy = rebuild(content.network.model_dump(), own, view.space, _space_from_json(content.actions))
    normalisation = None
    if content.normalisation is not None:
        kept = content.normalisation
        normalisation = Normalisation(tuple(kept.mean), tuple(kept.variance), kept.epsilon, kept.clip)
    if content.kind == "user":
        return LearnedUser(policy, normalisation=normalisation, predicts_utility=content.predicts_utility)
    thresholds = None
    if content.thresholds is not None:
        others = {name.removeprefix(_THRESHOLDS): weights[name] for name in kept_apart}
        thresholds = _thresholds(content.thresholds, others)
    provider = LearnedProvider(
        policy, commitments=content.commitments, thresholds=thresholds, normalisation=normalisation
    )
    # Files without this number are of a version in which the centre of an action was half of the longest delay.
    if content.actions.delays != provider.actions.delays:
        found = content.actions.delays
        raise ValueError(f"delays: {found} is not allowed; expected {provider.actions.delays}, as of this version")
    return provider


def _thresholds(content: _Thresholds, weights: Weights) -> LearnedThresholds:
    _check_network(content.network, SEEN, KINDS, weights)
    policy = rebuild(content.network.model_dump(), weights, THRESHOLD_SPACE, spaces.Discrete(KINDS))
    if not isinstance(policy, ActorCriticPolicy):
        raise ValueError(f"policy: {content.network.policy!r} is not allowed; expected 'actor-critic' for thresholds")
    return LearnedThresholds(policy, content.margin)


def _check_sizes(content: _Learned, view: View, weights: Weights) -> None:
    """Refuse a network that is larger than the weights of the file, and too long a grid."""
    _check_network(content.network, view.space.shape[0], content.actions.n or content.actions.shape[0], weights)
    lists = content.kind == "provider" and content.actions.n and content.commitments is None
    if lists and view.models > _MOST_LISTED_MODELS:
        raise ValueError(f"models: {view.models} is not allowed; expected at most {_MOST_LISTED_MODELS} with a grid")


def _check_network(content: _Network, first: int, last: int, weights: Weights) -> None:
    """Refuse a network that is larger than its weights."""
    given, described = sum(array.size for array in weights.values()), content.net_arch
    for hidden in described.values() if isinstance(described, dict) else [described]:
        widths = [first, *hidden, last]
        needed = sum(one * other for one, other in pairwise(widths))
        if min(widths) < 1 or needed > given:
            raise ValueError(f"net_arch: {hidden} is not allowed; expected layers that the file has the weights of")


def _space_as_json(space: spaces.Space[Any]) -> dict[str, Any]:
    if isinstance(space, spaces.Discrete):
        return {"n": int(space.n)}
    assert isinstance(space, spaces.Box), "learned players have no other actions"
    return {"low": float(space.low.min()), "shape": list(space.shape), "dtype": str(space.dtype)}


def _space_from_json(content: _Actions) -> spaces.Space[Any]:
    if content.n is not None:
        return spaces.Discrete(content.n)
    return spaces.Box(content.low, 1.0, tuple(content.shape), dtype=np.dtype(content.dtype).type)
