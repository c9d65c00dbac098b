"""Players in files: weights and JSON in one .npz file, which cannot run code when it is loaded."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from gymnasium import spaces

from stackroute.agents.errors import PolicyFileError
from stackroute.agents.learned import LearnedProvider, LearnedUser, Normalisation, View
from stackroute.agents.networks import describe, load_sb3_policy, rebuild
from stackroute.agents.providers import StaticProvider
from stackroute.analytic import Commitment

if TYPE_CHECKING:
    from stackroute.agents.networks import Weights

Player = LearnedUser | LearnedProvider | StaticProvider
"""What can be saved."""


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
        np.savez(file, specification=np.array(json.dumps(specification)), **weights)  # type: ignore[arg-type]


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
    except (AssertionError, BadZipFile, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise PolicyFileError(f"{path}: not a saved policy: {error}") from error


def load_user(path: str | Path, *, trust: bool = False) -> LearnedUser:
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
    player: Any = _player(Path(path), trust, LearnedUser)
    if not isinstance(player, LearnedUser):
        raise PolicyFileError(f"{path}: holds a provider; expected a user")
    return player


def load_provider(path: str | Path, *, trust: bool = False) -> LearnedProvider | StaticProvider:
    """Read a provider from an .npz file of this package or a .zip file of stable-baselines3; see `load_user`."""
    player: Any = _player(Path(path), trust, LearnedProvider)
    if not isinstance(player, LearnedProvider | StaticProvider):
        raise PolicyFileError(f"{path}: holds a user; expected a provider")
    return player


def _player(path: Path, trust: bool, of: type[LearnedUser | LearnedProvider]) -> Player:
    if path.suffix != ".zip":
        return load_policy(path)
    policy, seen_last = load_sb3_policy(path, trust=trust)
    try:
        player = of(policy)
        player.check_trained_on(seen_last)
        return player
    except ValueError as error:
        raise PolicyFileError(f"{path}: {error}") from error


def _specified(player: Player) -> tuple[dict[str, Any], Weights]:
    if isinstance(player, StaticProvider):
        made = player.commitment
        arrays = {"start": made.start, "transition": made.transition, "delay": made.delay}
        return {"kind": "static provider"} | {name: array.tolist() for name, array in arrays.items()}, {}
    if isinstance(player, LearnedUser):
        own: dict[str, Any] = {"kind": "user"}
    elif isinstance(player, LearnedProvider):
        listed = None if player.commitments is None else player.commitments.tolist()
        own = {"kind": "provider", "commitments": listed}
    else:
        raise TypeError(f"player: {player!r} is not allowed; expected a learned player or a StaticProvider")
    actions = _space_as_json(player.policy.action_space)
    network = {"view": asdict(player.view), "actions": actions, "network": describe(player.policy)}
    statistics = player.normalisation and asdict(player.normalisation)
    return own | network | {"normalisation": statistics}, {
        name: tensor.cpu().numpy() for name, tensor in player.policy.state_dict().items()
    }


def _built(content: dict[str, Any], weights: Weights) -> Player:
    kind = content["kind"]
    if kind == "static provider":
        return StaticProvider(Commitment(content["start"], content["transition"], content["delay"]))
    if kind not in ("user", "provider"):
        raise PolicyFileError(f"kind {kind!r} is none of this package's players")
    seen = content["view"]
    view = View(seen["models"], tuple(seen["blocks"]), seen["features"])
    policy = rebuild(content["network"], weights, view.space, _space_from_json(content["actions"]))
    statistics = content.get("normalisation")
    normalisation = Normalisation(**statistics) if statistics else None
    if kind == "user":
        return LearnedUser(policy, normalisation=normalisation)
    return LearnedProvider(policy, commitments=content["commitments"], normalisation=normalisation)


def _space_as_json(space: spaces.Space[Any]) -> dict[str, Any]:
    if isinstance(space, spaces.Discrete):
        return {"n": int(space.n)}
    assert isinstance(space, spaces.Box), "learned players have no other actions"
    return {"low": float(space.low.min()), "shape": space.shape, "dtype": str(space.dtype)}


def _space_from_json(content: dict[str, Any]) -> spaces.Space[Any]:
    if "n" in content:
        return spaces.Discrete(content["n"])
    return spaces.Box(content["low"], 1.0, tuple(content["shape"]), dtype=np.dtype(content["dtype"]).type)
