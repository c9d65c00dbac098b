"""One player's learning: stable-baselines3's PPO on a batch of one-step episodes."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger, configure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from stable_baselines3.common.policies import ActorCriticPolicy
    from stable_baselines3.common.vec_env import VecEnv

    from stackroute.configs.training import LearnerSettings


@dataclass
class Curve:
    """An exact measure of what a player has learned, against the steps it has taken.

    Attributes:
        steps: Steps learned from at each point, from 0.
        regret: Exact regret at each point; never shown to the learner.
    """

    steps: list[int] = field(default_factory=list)
    regret: list[float] = field(default_factory=list)


def derived_seed(seed: int, stage: int) -> int:
    """A seed for one stage of a run, so that runs with neighbouring seeds share no coins."""
    return int(np.random.SeedSequence((seed, stage)).generate_state(1)[0])


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread: faster for small networks, and the same numbers on every machine size."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _Watch(BaseCallback):
    """Measures the exact regret before the first and after every update, and tells whoever watches."""

    def __init__(self, curve: Curve, measure: Callable[[], float], tell: Callable[[int, float], None]) -> None:
        super().__init__()
        self.curve = curve
        self.measure = measure
        self.tell = tell

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self.point()

    def _on_training_end(self) -> None:
        self.point()

    def point(self) -> None:
        regret = self.measure()
        self.curve.steps.append(self.num_timesteps)
        self.curve.regret.append(regret)
        self.logger.record("exact/regret", regret)
        self.tell(self.num_timesteps, regret)


class AnnealedExploration(BaseCallback):
    """Narrows a Gaussian policy geometrically as it learns, in place of letting it choose its own width.

    Args:
        start: Standard deviation of the actions at the beginning.
        end: At the end.
        steps: Steps in all.
    """

    def __init__(self, start: float, end: float, steps: int) -> None:
        super().__init__()
        self.start = start
        self.end = end
        self.steps = steps

    @property
    def _log_std(self) -> torch.nn.Parameter:
        log_std = self.model.policy.log_std
        assert isinstance(log_std, torch.nn.Parameter), "annealing needs a Gaussian policy"
        return log_std

    def _on_training_start(self) -> None:
        self._log_std.requires_grad_(False)

    def _on_rollout_start(self) -> None:
        share = min(self.num_timesteps / self.steps, 1.0)
        width = math.log(self.start) + share * (math.log(self.end) - math.log(self.start))
        self._log_std.data.fill_(width)

    def _on_step(self) -> bool:
        return True


def learn(
    environment: VecEnv,
    settings: LearnerSettings,
    *,
    seed: int,
    measure: Callable[[ActorCriticPolicy], float],
    tell: Callable[[int, float], None],
    log_folder: Path | None = None,
    callbacks: Sequence[BaseCallback] = (),
) -> tuple[ActorCriticPolicy, Curve]:
    """Train a policy by PPO.

    Args:
        environment: The batch to learn on.
        settings: How to learn.
        seed: Seeds the networks and the policy's own exploration.
        measure: The exact regret of a policy, recorded and shown but never fed back.
        tell: Called before the first and after every update with the steps taken and the regret.
        log_folder: Where TensorBoard logs go; None for none.
        callbacks: More of stable-baselines3's callbacks.

    Returns:
        The trained policy and its curve.
    """
    rate, fall = settings.final_learning_rate, settings.learning_rate - settings.final_learning_rate
    model = PPO(
        "MlpPolicy",
        environment,
        n_steps=settings.rollout_length,
        batch_size=settings.batch_size * settings.rollout_length // settings.minibatches,
        n_epochs=settings.epochs,
        learning_rate=lambda remaining: rate + fall * remaining,
        ent_coef=settings.entropy_bonus,
        policy_kwargs={"net_arch": settings.hidden_layers},
        seed=seed,
        device="cpu",
    )
    model.set_logger(configure(str(log_folder), ["tensorboard"]) if log_folder else Logger(None, []))
    curve = Curve()
    model.learn(settings.steps, callback=[_Watch(curve, lambda: measure(model.policy), tell), *callbacks])
    model.policy.set_training_mode(False)
    return model.policy, curve
