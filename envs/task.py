"""One task as a small state machine over the rules: what the single environments share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from gymnasium.utils import seeding

from stackroute.envs import rules
from stackroute.envs.policies import DRAWS

if TYPE_CHECKING:
    from stackroute.analytic import Commitment, Game
    from stackroute.analytic.game import FloatArray

DEFAULT_MAX_PASSES = 1_000
"""A re-prompt after this many passes truncates the task; rarer than 1e-6 on the packaged games."""


def task_seed(seed: int | None) -> int:
    """The seed of a task's coins.

    Args:
        seed: A whole number of at least 0, as Gymnasium takes it; None for one from the system's entropy.

    Returns:
        A seed below 2^63.

    Raises:
        gymnasium.error.Error: The seed is not a whole number of at least 0.
    """
    generator, _ = seeding.np_random(seed)
    return seed % 2**63 if seed is not None else int(generator.integers(2**63))


@dataclass
class Task:
    """A task in play under a commitment.

    Attributes:
        game: A single game.
        seed: The seed of the task's coins.
        number: The number of the task.
        max_passes: A re-prompt after this many passes truncates the task.
        commitment: The commitment, None before the provider has moved.
        model: The model in charge, 1 or 2; 0 before the first pass.
        passes: Passes played.
        solved: Whether a pass succeeded.
        abandoned: Whether the user left.
        truncated: Whether the task ran out of passes.
    """

    game: Game
    seed: int
    number: int
    max_passes: int = DEFAULT_MAX_PASSES
    commitment: Commitment | None = None
    model: int = 0
    passes: int = 0
    solved: bool = False
    abandoned: bool = False
    truncated: bool = False

    def __post_init__(self) -> None:
        self._key = rules.task_key(self.seed, self.number)

    @property
    def ended(self) -> bool:
        """Whether the task was solved or abandoned."""
        return self.solved or self.abandoned

    def draws(self) -> FloatArray:
        """The uniform numbers that the policies of this task may use, shape (5,)."""
        return np.array([rules.coin(self._key, 0, k) for k in range(DRAWS)])

    def commit(self, commitment: Commitment) -> tuple[float, float]:
        """The provider commits and the first pass is played.

        Returns:
            The rewards of the provider and the user.
        """
        self.commitment = commitment
        self.model = int(commitment.model)
        return self._serve()

    def re_prompt(self) -> tuple[float, float]:
        """The user re-prompts after a failed pass.

        Returns:
            The rewards of the provider and the user.
        """
        assert self.commitment is not None, "re_prompt before commit"
        if self.passes >= self.max_passes:
            self.truncated = True
            return 0.0, 0.0
        self.model = rules.next_model(self._key, self.passes, self.model, float(self.commitment.cascade))
        return self._serve()

    def abandon(self) -> tuple[float, float]:
        """The user leaves after a failed pass; the provider pays the churn penalty.

        Returns:
            The rewards of the provider and the user.
        """
        self.abandoned = True
        return -float(self.game.churn_penalty), 0.0

    def _serve(self) -> tuple[float, float]:
        assert self.commitment is not None, "serve before commit"
        self.passes += 1
        served = self.model - 1
        self.solved = rules.pass_succeeds(self._key, self.passes, self.game.success[served])
        waiting = float(self.game.latency[served] + self.commitment.delay[served])
        return -float(self.game.cost[served]), self.solved * float(self.game.value) - waiting
