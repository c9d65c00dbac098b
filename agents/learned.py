"""Learned players: a stable-baselines3 policy behind the same protocol as every other player.

They are saved as weights and JSON in one .npz file, which cannot run code when it is loaded.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from zipfile import BadZipFile

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import FlattenExtractor

from stackroute.envs.encoding import (
    commitment_from_action,
    commitment_space,
    from_symmetric,
    observation_space,
    observe,
    symmetric_space,
)

if TYPE_CHECKING:
    from typing import Self

    from stackroute.analytic import Commitment, Game
    from stackroute.analytic.game import FloatArray


ACTIVATIONS = ("Tanh", "ReLU", "ELU", "GELU", "LeakyReLU", "SiLU")
"""Activation functions of policies that can be saved."""


class PolicyFileError(ValueError):
    """A file does not hold a saved policy of the expected kind."""


class _LearnedPolicy(ABC):
    """Saving and loading, shared by both players."""

    _kind: ClassVar[str]

    def __init__(self, policy: ActorCriticPolicy) -> None:
        if not isinstance(policy, ActorCriticPolicy):
            raise TypeError(f"policy: {type(policy).__name__} is not allowed; expected an ActorCriticPolicy, as of PPO")
        if policy.observation_space != observation_space():
            raise ValueError(
                f"policy: observations {policy.observation_space} are not allowed; expected {observation_space()}"
            )
        self.policy = policy

    @abstractmethod
    def _specification(self) -> dict[str, Any]:
        """What is needed besides the weights to build the policy again."""

    @classmethod
    @abstractmethod
    def _build(cls, specification: dict[str, Any]) -> Self:
        """A policy with fresh weights."""

    def save(self, path: str | Path) -> None:
        """Write the policy to an .npz file of weights and JSON.

        Args:
            path: The file; one that exists is replaced.

        Raises:
            ValueError: The policy has parts that the file cannot describe: another features extractor, an activation
                function that is not one of `ACTIVATIONS`, or state-dependent exploration.
        """
        policy = self.policy
        activation = policy.activation_fn.__name__
        plain = type(policy) is ActorCriticPolicy and policy.features_extractor_class is FlattenExtractor
        if not plain or policy.use_sde or activation not in ACTIVATIONS:
            raise ValueError(f"policy: cannot be saved; expected SB3's MlpPolicy with one of {', '.join(ACTIVATIONS)}")
        weights = {name: tensor.cpu().numpy() for name, tensor in policy.state_dict().items()}
        specification = {
            "kind": self._kind,
            "net_arch": policy.net_arch,
            "activation": activation,
            **self._specification(),
        }
        with Path(path).open("wb") as file:
            np.savez(file, specification=np.array(json.dumps(specification)), **weights)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a policy that `save` wrote. Nothing in the file is executed.

        Args:
            path: The file.

        Returns:
            The policy.

        Raises:
            PolicyFileError: The file is not a saved policy of this kind.
            FileNotFoundError: There is no such file.
        """
        try:
            with Path(path).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                specification = json.loads(str(file["specification"]))
                if specification["kind"] != cls._kind:
                    raise PolicyFileError(f"{path}: holds a {specification['kind']} policy; expected a {cls._kind}")
                loaded = cls._build(specification)
                weights = {name: torch.as_tensor(file[name]) for name in file.files if name != "specification"}
                loaded.policy.load_state_dict(weights)
        except PolicyFileError:
            raise
        except (BadZipFile, EOFError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise PolicyFileError(f"{path}: not a saved policy: {error}") from error
        loaded.policy.set_training_mode(False)
        return loaded


def _actor_critic(action_space: spaces.Space[Any], specification: dict[str, Any]) -> ActorCriticPolicy:
    if specification["activation"] not in ACTIVATIONS:
        raise PolicyFileError(f"activation {specification['activation']!r} is not one of {', '.join(ACTIVATIONS)}")
    return ActorCriticPolicy(
        observation_space(),
        action_space,
        lambda _: 0.0,
        net_arch=specification["net_arch"],
        activation_fn=getattr(torch.nn, specification["activation"]),
    )


class LearnedUser(_LearnedPolicy):
    """A user whose patience a policy has learned.

    Args:
        policy: A stable-baselines3 actor-critic policy over the observations of `stackroute.envs`, either over
            Discrete(len(levels)), whose most likely level is the patience, or over Discrete(2) as in User-v0, whose
            probability of re-prompting is the patience.
        levels: The patience that each action stands for, or None for a policy that answers pass by pass.

    Raises:
        TypeError: The policy is not an actor-critic policy.
        ValueError: The policy has another number of actions.
    """

    _kind = "user"

    def __init__(self, policy: ActorCriticPolicy, levels: tuple[float, ...] | None) -> None:
        super().__init__(policy)
        expected = spaces.Discrete(2 if levels is None else len(levels))
        if policy.action_space != expected:
            raise ValueError(f"policy: actions {policy.action_space} are not allowed; expected {expected}")
        self.levels = levels

    def patience(self, game: Game, commitment: Commitment | None, draws: FloatArray) -> FloatArray:
        """The learned patience, shape (...)."""
        observation = observe(game, commitment)
        flat = torch.as_tensor(observation.reshape(-1, observation.shape[-1]), device=self.policy.device)
        with torch.no_grad():
            distribution = self.policy.get_distribution(flat).distribution
        probabilities = distribution.probs.cpu().numpy().astype(np.float64)  # type: ignore[union-attr]
        chosen = probabilities[:, 0] if self.levels is None else np.array(self.levels)[probabilities.argmax(axis=1)]
        patience: FloatArray = np.asarray(chosen)
        return patience.reshape(observation.shape[:-1])[()]

    def _specification(self) -> dict[str, Any]:
        return {"levels": self.levels}

    @classmethod
    def _build(cls, specification: dict[str, Any]) -> Self:
        levels = specification["levels"]
        actions = spaces.Discrete(2 if levels is None else len(levels))
        return cls(_actor_critic(actions, specification), None if levels is None else tuple(levels))


class LearnedProvider(_LearnedPolicy):
    """A provider whose commitment a policy has learned.

    Args:
        policy: A stable-baselines3 actor-critic policy over the observations of `stackroute.envs` and the actions of
            `stackroute.envs.sb3.ProviderVecEnv`, in [-1, 1], or of Provider-v0, in [0, 1]; it plays the mean of its
            actions.

    Raises:
        TypeError: The policy is not an actor-critic policy.
        ValueError: The policy has other actions.
    """

    _kind = "provider"

    def __init__(self, policy: ActorCriticPolicy) -> None:
        super().__init__(policy)
        space = policy.action_space
        boxes = [commitment_space(throttling) for throttling in (False, True)]
        self._symmetric = space in [symmetric_space(box) for box in boxes]
        if not self._symmetric and space not in boxes:
            expected = "those of ProviderVecEnv or Provider-v0"
            raise ValueError(f"policy: actions {space} are not allowed; expected {expected}")

    def commit(self, game: Game, draws: FloatArray) -> Commitment:
        """The learned commitment, shape (...)."""
        observation = observe(game)
        flat = observation.reshape(-1, observation.shape[-1])
        action, _ = self.policy.predict(flat, deterministic=True)
        shaped = action.reshape(*observation.shape[:-1], -1)
        return commitment_from_action(game, from_symmetric(shaped) if self._symmetric else shaped)

    def _specification(self) -> dict[str, Any]:
        throttling = self.policy.action_space.shape == commitment_space(throttling=True).shape
        return {"throttling": throttling, "symmetric": self._symmetric}

    @classmethod
    def _build(cls, specification: dict[str, Any]) -> Self:
        box = commitment_space(specification["throttling"])
        return cls(_actor_critic(symmetric_space(box) if specification["symmetric"] else box, specification))
