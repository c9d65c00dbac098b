"""The algorithms: a model of stable-baselines3 from a learner's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.noise import NormalActionNoise, VectorizedActionNoise

from stackroute._extras import install
from stackroute.configs.learners import (
    DQNSettings,
    OffPolicySettings,
    OnPolicySettings,
    PPOSettings,
    SACSettings,
    TD3Settings,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.vec_env import VecEnv

    from stackroute.configs.learners import LearnerSettings

    Share = Callable[[], float]

ACTIVATIONS = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "silu": torch.nn.SiLU}

FUSED = {"fused": True}
"""Adam in one call for all weights: the same numbers, and a third of a small network's time less."""


def make_model(environment: VecEnv, settings: LearnerSettings, *, seed: int, done: Share) -> BaseAlgorithm:
    """A model that has learned nothing yet; its learning rate follows `done`, the share of the training that is done.

    Episodes are counted in full: rewards are not discounted, and the advantage is the whole return.

    Raises:
        ImportError: sb3-contrib is not installed.
    """
    first, last = settings.learning_rate, settings.final_learning_rate
    common: dict[str, Any] = {
        "learning_rate": lambda _: first + done() * (last - first),
        "gamma": 1.0,
        "policy_kwargs": {
            "net_arch": settings.hidden_layers,
            "activation_fn": ACTIVATIONS[settings.activation],
            "optimizer_kwargs": FUSED,
        },
        "seed": seed,
        "device": "cpu",
    }
    if isinstance(settings, OnPolicySettings):
        common |= {"n_steps": settings.rollout_length, "ent_coef": settings.entropy_bonus, "gae_lambda": 1.0}
        if isinstance(settings, PPOSettings):
            minibatch = settings.steps_per_update // settings.minibatches
            # What its policy sets where it is given nothing.
            common["policy_kwargs"]["optimizer_kwargs"] = FUSED | {"eps": 1e-5}
            return PPO("MlpPolicy", environment, batch_size=minibatch, n_epochs=settings.epochs, **common)
        return A2C("MlpPolicy", environment, normalize_advantage=True, **common)
    assert isinstance(settings, OffPolicySettings), "every learner is one or the other"
    common |= {
        "buffer_size": settings.buffer_size,
        "batch_size": settings.minibatch_size,
        "learning_starts": settings.batch_size,
        "train_freq": 1,
        "gradient_steps": settings.gradient_steps,
    }
    if isinstance(settings, DQNSettings):
        # One-step episodes leave nothing to bootstrap from; for longer ones the target follows slowly after each batch.
        return DQN("MlpPolicy", environment, target_update_interval=settings.batch_size, tau=0.05, **common)
    if isinstance(settings, SACSettings) and settings.algorithm == "sac":
        return SAC("MlpPolicy", environment, **common)
    if isinstance(settings, TD3Settings):
        return TD3("MlpPolicy", environment, **common)
    try:
        from sb3_contrib import TQC
    except ImportError as error:
        raise ImportError(f"tqc needs sb3-contrib: {install('train')}") from error
    return TQC("MlpPolicy", environment, **common)


def make_exploration(settings: LearnerSettings, done: Share) -> Exploration | None:
    """The callback that narrows a learner's exploration; None where the algorithm chooses its own."""
    if not isinstance(settings, OnPolicySettings | TD3Settings | DQNSettings):
        return None
    first, last = settings.exploration, settings.final_exploration
    return Exploration(first, last, done) if first is not None and last is not None else None


class Exploration(BaseCallback):
    """Narrows a learner's exploration geometrically, in place of letting it choose its own width.

    It sets the standard deviation of a Gaussian policy (PPO, A2C) or of the noise added to actions (TD3), or the share
    of random actions (DQN).

    Args:
        first: At the beginning.
        last: At the end.
        done: The share of the training that is done, in [0, 1].
    """

    def __init__(self, first: float, last: float, done: Share) -> None:
        super().__init__()
        self.first, self.last, self.done = first, last, done

    @property
    def width(self) -> float:
        """The exploration at present."""
        return float(self.first * (self.last / self.first) ** self.done())

    def _on_training_start(self) -> None:
        if isinstance(self.model, DQN):
            self.model.exploration_schedule = lambda _: self.width
        elif isinstance(self.model, TD3):
            # A rollout takes its noise before it starts.
            shape = self.model.action_space.shape
            assert shape is not None
            noise = NormalActionNoise(np.zeros(shape), np.full(shape, self.width))
            self.model.action_noise = VectorizedActionNoise(noise, self.model.n_envs)

    def _on_rollout_start(self) -> None:
        if isinstance(self.model, DQN):
            self.model.exploration_rate = self.width
        elif not isinstance(self.model, TD3):
            log_std = self.model.policy.log_std
            assert isinstance(log_std, torch.nn.Parameter), "the width is that of a Gaussian policy"
            log_std.requires_grad_(False)
            log_std.data.fill_(float(np.log(self.width)))

    def _on_step(self) -> bool:
        return True
