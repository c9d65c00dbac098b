"""Learning from all actions: every option of a list is played on the same tasks, and a network fits all the rewards."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from torch.nn import functional

from stackroute.agents.networks import actor_outputs
from stackroute.configs.amortised import AllActionSettings
from stackroute.training.learn.models import ACTIVATIONS, FUSED
from stackroute.training.learn.session import derived_seed

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from stackroute.analytic.game import FloatArray
    from stackroute.configs.learners import AllOptionSettings

ROUND = 250
"""Most gradient steps between two points of the curve."""

_MOST_EVALUATED = 1_000
_MOST_LOST = 1.0
_LEAST_ROUNDS = 10


@dataclass(frozen=True)
class Played:
    """What sampled play gave each of k options in each of n situations.

    Attributes:
        observations: What the player sees, shape (n, width).
        rewards: The mean reward of each option, shape (n, k).
        exact_regret: What each option loses in truth in the first m situations, shape (m, k); never shown to the
            learner, from which these situations are kept.
        weights: How often each situation is chosen, relative to the others, shape (n,); None for equally often.
    """

    observations: npt.NDArray[np.float32]
    rewards: npt.NDArray[np.float32]
    exact_regret: FloatArray
    weights: FloatArray | None = None


def evaluated(situations: int) -> int:
    """How many of so many situations are kept from the fit, for evaluation: a tenth, at most 1,000."""
    return min(situations // 10, _MOST_EVALUATED)


class AllActionLearner:
    """A network that learns to choose from a list, in at least ten rounds of at most `ROUND` gradient steps.

    No action needs to be sampled where the rewards of all are known. The network's outputs learn to predict them. Of
    many games, they are then read as logits, and follow the exact gradient of what their policy loses to the best
    option.

    Args:
        play: Plays all options; called when the learning begins.
        space: The observation space.
        options: How many options the list has.
        settings: How to learn.
        seed: Fixes everything.

    Attributes:
        policy: The network, as a policy of stable-baselines3.
        rounds: Rounds done.
        planned: Rounds in all.
        plateau: None: it never stops early.
    """

    plateau = None

    def __init__(
        self,
        play: Callable[[], Played],
        space: spaces.Box,
        options: int,
        settings: AllOptionSettings,
        *,
        seed: int,
    ) -> None:
        self.settings, self.rounds = settings, 0
        self._each = min(ROUND, math.ceil(settings.steps / _LEAST_ROUNDS))
        self.planned = math.ceil(settings.steps / self._each)
        self._play, self._seed = play, seed
        torch.manual_seed(derived_seed(seed, "networks"))
        self.policy = ActorCriticPolicy(
            space,
            spaces.Discrete(options),
            lambda _: settings.learning_rate,
            net_arch={"pi": settings.hidden_layers, "vf": []},
            activation_fn=ACTIVATIONS[settings.activation],
            ortho_init=False,
            optimizer_kwargs={**FUSED, "eps": 1e-5},
        )
        self.policy.set_training_mode(False)

    @property
    def steps(self) -> int:
        """Gradient steps done."""
        return min(self.rounds * self._each, self.settings.steps)

    @cached_property
    def played(self) -> Played:
        """What play gave."""
        return self._play()

    def round(self) -> None:
        """Learn for a round from all situations but those that are kept for evaluation."""
        played = self.played
        first = len(played.exact_regret)
        generator = np.random.default_rng(derived_seed(self._seed, "round", self.rounds))
        size = (min(self._each, self.settings.steps - self.steps), self.settings.batch_size)
        if played.weights is None:
            batches = generator.integers(first, len(played.rewards), size=size)
        else:
            weights = played.weights[first:]
            batches = first + generator.choice(len(weights), size=size, p=weights / weights.sum())
        for step, batch in enumerate(batches, start=self.steps):
            self._step(step, torch.from_numpy(played.observations[batch]), torch.from_numpy(played.rewards[batch]))
        self.rounds += 1

    def learn_on(
        self, observations: npt.NDArray[np.float32], rewards: npt.NDArray[np.float32], odds: FloatArray
    ) -> None:
        """Learn for the last fifth of the steps again, half of each batch from other situations.

        Args:
            observations: What the player sees in those, shape (n, width).
            rewards: The mean reward of each option, shape (n, k).
            odds: How often each is chosen, relative to the others, shape (n,).
        """
        played, steps = self.played, self.settings.steps
        generator = np.random.default_rng(derived_seed(self._seed, "on"))
        half = max(self.settings.batch_size // 2, 1)
        # As one that goes on after an interruption finds it.
        self.policy.optimizer.state.clear()
        for step in range(steps - math.ceil(steps / 5), steps):
            known = generator.integers(len(played.exact_regret), len(played.rewards), size=half)
            new = generator.choice(len(odds), size=half, p=odds / odds.sum())
            seen = np.concatenate([played.observations[known], observations[new]])
            self._step(
                step, torch.from_numpy(seen), torch.from_numpy(np.concatenate([played.rewards[known], rewards[new]]))
            )

    def _step(self, step: int, observations: torch.Tensor, rewards: torch.Tensor) -> None:
        settings, policy, optimizer = self.settings, self.policy, self.policy.optimizer
        # Half a cosine wave, from the first learning rate to the last.
        left = 0.5 * (1 + np.cos(np.pi * step / settings.steps))
        rate = settings.final_learning_rate + left * (settings.learning_rate - settings.final_learning_rate)
        if step < settings.warm_up * settings.steps:
            rate *= (step + 1) / (settings.warm_up * settings.steps)
        for group in optimizer.param_groups:
            group["lr"] = float(rate)
        loss = self._loss(step, actor_outputs(policy, observations), rewards)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def _loss(self, step: int, outputs: torch.Tensor, rewards: torch.Tensor) -> torch.Tensor:
        settings = self.settings
        if not isinstance(settings, AllActionSettings) or step < settings.regression * settings.steps:
            return functional.smooth_l1_loss(outputs, rewards)
        # Cut off, or the few situations with the most to lose would drown all others.
        lost = (rewards.max(1, keepdim=True).values - rewards).clamp_max(_MOST_LOST)
        return (torch.softmax(settings.sharpness * outputs, 1) * lost).sum(1).mean()

    def measure(self) -> tuple[float, float]:
        """The mean exact regret and the mean sampled reward of the policy's choices where it is evaluated."""
        played = self.played
        rows = np.arange(len(played.exact_regret))
        chosen, _ = self.policy.predict(played.observations[rows], deterministic=True)
        return float(played.exact_regret[rows, chosen].mean()), float(played.rewards[rows, chosen].mean())
