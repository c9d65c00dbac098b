"""Players in files: weights and JSON in one .npz file, which cannot run code when it is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from gymnasium import spaces

from stackroute.agents.errors import PolicyFileError
from stackroute.agents.learned import PATIENCE_SPACE, LearnedProvider, LearnedUser, RefinedUser
from stackroute.agents.networks import describe, load_sb3_policy, rebuild, to_json, weights_of
from stackroute.agents.providers import StaticProvider
from stackroute.agents.windows import Window, window_space
from stackroute.envs.encoding import commitment_space, observation_space, symmetric_space
from stackroute.envs.features import feature_space
from stackroute.envs.user_env import PATIENCE_LEVELS

if TYPE_CHECKING:
    from collections.abc import Callable

    from stable_baselines3.common.policies import BasePolicy

    from stackroute.agents.networks import Weights

Player = LearnedUser | RefinedUser | LearnedProvider | StaticProvider
"""What can be saved."""

_LOCAL = "local."


def save_policy(player: Player, path: str | Path) -> None:
    """Write a player to an .npz file of weights and JSON.

    Args:
        player: The player.
        path: The file; one that exists is replaced.

    Raises:
        TypeError: It is no player that can be saved.
        ValueError: Its policy has parts that the file cannot describe, see `stackroute.agents.networks.describe`.
    """
    specification, weights = _specified(player)
    with Path(path).open("wb") as file:
        np.savez(file, specification=to_json(specification), **weights)  # type: ignore[arg-type]


def load_policy(path: str | Path) -> Player:
    """Read a player that `save_policy` wrote. Nothing in the file is executed.

    Args:
        path: The file.

    Returns:
        The player.

    Raises:
        PolicyFileError: The file holds no saved player.
        FileNotFoundError: There is no such file.
    """
    try:
        with Path(path).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            specification = json.loads(str(file["specification"]))
            return _built(specification, {name: file[name] for name in file.files if name != "specification"})
    except FileNotFoundError:
        raise
    except (AssertionError, BadZipFile, EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise PolicyFileError(f"{path}: not a saved policy: {error}") from error


def load_user(path: str | Path, *, trust: bool = False) -> LearnedUser | RefinedUser:
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
    player: Any = _player(Path(path), trust, lambda policy: LearnedUser(policy, _levels_of(policy)))
    if not isinstance(player, LearnedUser | RefinedUser):
        raise PolicyFileError(f"{path}: holds a provider; expected a user")
    return player


def load_provider(path: str | Path, *, trust: bool = False) -> LearnedProvider | StaticProvider:
    """Read a provider from an .npz file of this package or a .zip file of stable-baselines3; see `load_user`."""
    player: Any = _player(Path(path), trust, LearnedProvider)
    if not isinstance(player, LearnedProvider | StaticProvider):
        raise PolicyFileError(f"{path}: holds a user; expected a provider")
    return player


def _player(path: Path, trust: bool, of: Callable[[BasePolicy], Player]) -> Player:
    if path.suffix != ".zip":
        return load_policy(path)
    policy = load_sb3_policy(path, trust=trust)
    try:
        return of(policy)
    except ValueError as error:
        raise PolicyFileError(f"{path}: {error}") from error


def _levels_of(policy: BasePolicy) -> tuple[float, ...] | None:
    return PATIENCE_LEVELS if policy.action_space == spaces.Discrete(len(PATIENCE_LEVELS)) else None


def _specified(player: Player) -> tuple[dict[str, Any], Weights]:
    if isinstance(player, StaticProvider):
        made = player.commitment
        commitment = {
            "model": int(made.model),
            "cascade": float(made.cascade),
            "delay": made.delay.tolist(),
        }
        return {"kind": "static provider", **commitment}, {}
    if isinstance(player, RefinedUser):
        base, weights = _specified(player.base)
        local = {f"{_LOCAL}{name}": array for name, array in weights_of(player.policy).items()}
        window = {"window": player.window.as_json(), "levels": player.levels, "network": describe(player.policy)}
        return {"kind": "refined user", "base": base, **window}, weights | local
    if isinstance(player, LearnedUser):
        space = player.policy.action_space
        specification: dict[str, Any] = {
            "kind": "user",
            "levels": player.levels,
            "blind": player.blind,
            "box": isinstance(space, spaces.Box) and ("symmetric" if space.low.min() < 0 else "unit"),
        }
    elif isinstance(player, LearnedProvider):
        space = player.policy.action_space
        discrete = isinstance(space, spaces.Discrete)
        specification = {
            "kind": "provider",
            "discrete": int(space.n) if isinstance(space, spaces.Discrete) else None,
            "commitments": None if player.commitments is None else player.commitments.tolist(),
            "throttling": not discrete and space.shape == commitment_space(throttling=True).shape,
            "symmetric": isinstance(space, spaces.Box) and bool(space.low.min() < 0),
        }
    else:
        raise TypeError(f"player: {player!r} is not allowed; expected a learned player or a StaticProvider")
    network = {"features": player.features, "network": describe(player.policy)}
    return specification | network, weights_of(player.policy)


def _built(content: dict[str, Any], weights: Weights) -> Player:
    kind = content["kind"]
    if kind == "static provider":
        return StaticProvider(content["model"], content["cascade"], content["delay"])
    levels = None if content.get("levels") is None else tuple(content["levels"])
    if kind == "refined user":
        base_weights = {name: array for name, array in weights.items() if not name.startswith(_LOCAL)}
        base = _built(content["base"], base_weights)
        assert isinstance(base, LearnedUser), "a refined user refines a learned one"
        local = {name.removeprefix(_LOCAL): array for name, array in weights.items() if name.startswith(_LOCAL)}
        policy = rebuild(content["network"], local, window_space(), _patience_space(levels, "symmetric"))
        return RefinedUser(base, Window.from_json(content["window"]), policy, levels)
    observations = feature_space() if content["features"] else observation_space()
    if kind == "user":
        actions = _patience_space(levels, content["box"])
        return LearnedUser(
            rebuild(content["network"], weights, observations, actions), levels, blind=bool(content["blind"])
        )
    if kind != "provider":
        raise PolicyFileError(f"kind {kind!r} is none of this package's players")
    box = commitment_space(bool(content["throttling"]))
    space: spaces.Space[Any] = symmetric_space(box) if content["symmetric"] else box
    if content["discrete"] is not None:
        space = spaces.Discrete(content["discrete"])
    return LearnedProvider(
        rebuild(content["network"], weights, observations, space), commitments=content.get("commitments")
    )


def _patience_space(levels: tuple[float, ...] | None, box: str | bool) -> spaces.Space[Any]:
    if levels is not None:
        return spaces.Discrete(len(levels))
    if not box:
        return spaces.Discrete(2)
    return symmetric_space(PATIENCE_SPACE) if box == "symmetric" else PATIENCE_SPACE
