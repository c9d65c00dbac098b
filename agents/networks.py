"""Networks of stable-baselines3 as weights and a description in JSON, which cannot run code when they are loaded."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.save_util import load_from_zip_file
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.dqn.policies import DQNPolicy
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy

from stackroute._extras import install
from stackroute.agents.errors import PolicyFileError, UntrustedFileError, without_advice

if TYPE_CHECKING:
    from pathlib import Path

    from gymnasium import spaces
    from stable_baselines3.common.policies import BasePolicy

    Weights = dict[str, np.ndarray]

ACTIVATIONS = ("Tanh", "ReLU", "ELU", "GELU", "LeakyReLU", "SiLU")
"""Activation functions of networks that can be saved."""


def policy_classes() -> dict[str, type[BasePolicy]]:
    """The classes of networks that can be saved, by the name that a file gives them; TQC's only where installed."""
    classes: dict[str, type[BasePolicy]] = {
        "actor-critic": ActorCriticPolicy,
        "dqn": DQNPolicy,
        "sac": SACPolicy,
        "td3": TD3Policy,
    }
    try:
        from sb3_contrib.tqc.policies import TQCPolicy
    except ImportError:
        return classes
    return {**classes, "tqc": TQCPolicy}


def describe(policy: BasePolicy) -> dict[str, Any]:
    """What is needed besides its weights and spaces to build a network again, as JSON can hold it.

    Raises:
        ValueError: The policy has parts that the description has no place for: another class or features extractor,
            an activation function that is not one of `ACTIVATIONS`, or state-dependent exploration.
    """
    names = {kind: name for name, kind in policy_classes().items()}
    data = policy._get_constructor_parameters()
    plain = type(policy) in names and policy.features_extractor_class is FlattenExtractor
    activation = data["activation_fn"].__name__ if plain else ""
    if not plain or data.get("use_sde") or activation not in ACTIVATIONS:
        raise ValueError(f"policy: cannot be saved; expected SB3's MlpPolicy with one of {', '.join(ACTIVATIONS)}")
    return {"policy": names[type(policy)], "net_arch": data["net_arch"], "activation": activation}


def rebuild(
    description: dict[str, Any], weights: Weights, observations: spaces.Space[Any], actions: spaces.Space[Any]
) -> BasePolicy:
    """A network from what `describe` gave, its weights by name and its spaces.

    Raises:
        PolicyFileError: The description is of no network that can be built here.
    """
    classes = policy_classes()
    if description["policy"] not in classes:
        hint = f": {install('train')}" if description["policy"] == "tqc" else ""
        raise PolicyFileError(f"networks of the class {description['policy']!r} cannot be built here{hint}")
    if description["activation"] not in ACTIVATIONS:
        raise PolicyFileError(f"activation {description['activation']!r} is not one of {', '.join(ACTIVATIONS)}")
    policy = classes[description["policy"]](
        observations,
        actions,
        lambda _: 0.0,
        net_arch=description["net_arch"],
        activation_fn=getattr(torch.nn, description["activation"]),
    )
    policy.load_state_dict({name: torch.as_tensor(array) for name, array in weights.items()})
    policy.set_training_mode(False)
    return policy


def load_sb3_policy(path: Path, *, trust: bool = False) -> tuple[BasePolicy, Any]:
    """The policy of a model that stable-baselines3 saved as a .zip file, and the observations that it saw last.

    Such a file holds pickled objects: loading it runs whatever code its author put there.

    Args:
        path: The file.
        trust: Whether the caller trusts its author.

    Returns:
        The policy with its weights, and the observations, None or shape (k, width).

    Raises:
        UntrustedFileError: `trust` is not given.
        PolicyFileError: The file is no such model.
        FileNotFoundError: There is no such file.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if not trust:
        raise UntrustedFileError(
            f"{path}: a zip file of stable-baselines3 can run code when it is loaded; if you trust its author, "
            "say so (--trust, or trust=True), or export it with stackroute.agents.save_policy"
        )
    warnings.warn(f"{path}: runs code of whoever made this file", stacklevel=2)
    try:
        data, parameters, _ = load_from_zip_file(path, device="cpu")
        assert data is not None
        assert parameters is not None
        options = {key: value for key, value in data["policy_kwargs"].items() if key != "use_sde"}
        policy: BasePolicy = data["policy_class"](
            data["observation_space"], data["action_space"], lambda _: 0.0, **options
        )
        policy.load_state_dict(cast("dict[str, Any]", parameters["policy"]))
    except Exception as error:
        raise PolicyFileError(f"{path}: not a model saved by stable-baselines3: {without_advice(error)}") from error
    policy.set_training_mode(False)
    return policy, data.get("_last_obs")


def actor_outputs(policy: ActorCriticPolicy, observations: torch.Tensor) -> torch.Tensor:
    """What a policy's network gives for each action before it is read as odds, shape (n, actions)."""
    features = policy.pi_features_extractor(observations)
    outputs: torch.Tensor = policy.action_net(policy.mlp_extractor.forward_actor(features))
    return outputs
