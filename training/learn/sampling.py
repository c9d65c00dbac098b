"""What sampled play says about commitments and patiences: the only knowledge that training has of a game."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.envs import PATIENCE_LEVELS, Variant
from stackroute.envs.tasks import Rollouts

if TYPE_CHECKING:
    from stackroute.analytic import Commitment, Game
    from stackroute.analytic.game import FloatArray

BLOCKS = 64
"""Into how many blocks the tasks of a comparison are divided, for the standard error of its mean."""

GAIN_UNIT = 0.05
"""Of the value: gains of the user are learned in multiples of it."""

ANSWERS = np.sort([*PATIENCE_LEVELS, 0.001, 0.01, 0.05, 0.99, 0.999])
"""The patiences that play compares: those close to 0 and 1 show on which side of it the user's utility is largest."""


class SampledGame:
    """Plays tasks of a game under commitments and patiences of one's choice, all with the same random numbers.

    Args:
        game: A single game.
        seed: The seed of the random numbers.
    """

    def __init__(self, game: Game, seed: int) -> None:
        self.value = float(game.value)
        self._variant = Variant.of(game)
        self._seed = seed

    def cost(self, commitment: Commitment, patience: FloatArray, tasks: int, *, first: int = 0) -> FloatArray:
        """The provider's mean cost of a task in each block of tasks.

        Args:
            commitment: Shape (n,).
            patience: Shape (n,).
            tasks: Tasks in all.
            first: Number of the first task.

        Returns:
            Money, shape (n, BLOCKS).
        """
        by_model = np.repeat(patience, BLOCKS)[:, None].repeat(commitment.models, axis=1)
        outcome = self._blocks(commitment, tasks, first).play(by_model)
        cost: FloatArray = (outcome["service_cost"] + outcome["churn_penalty"]).reshape(-1, BLOCKS)
        return cost

    def outcome(self, commitment: Commitment, patience: FloatArray, tasks: int, *, first: int = 0) -> dict[str, float]:
        """What tasks were like under one commitment, shape (): means over them, as of `Rollouts.play`."""
        seed, number, game = np.array([self._seed]), np.array([first]), np.zeros(1, np.int64)
        rollouts = Rollouts(self._variant, seed, number, tasks, game, commitment.reshape(1))
        played = rollouts.play(np.full((1, commitment.models), float(patience)))
        return {name: float(means[0]) for name, means in played.items()}

    def gain(self, commitment: Commitment, patience: FloatArray, tasks: int, *, first: int = 0) -> FloatArray:
        """What patiences earn the user after a failed first pass, on average in each block of tasks.

        Args:
            commitment: Shape (n,), each of which starts on one model for certain.
            patience: The patiences to compare under each commitment, shape (n, k).
            tasks: Tasks in all; the first pass of each is taken to fail.
            first: Number of the first task.

        Returns:
            Utility, shape (n, k, BLOCKS).
        """
        gain = self._blocks(commitment, tasks, first).compare(np.repeat(patience, BLOCKS, axis=0))
        return gain.reshape(-1, BLOCKS, patience.shape[1]).swapaxes(1, 2)

    def answer(self, commitment: Commitment, tasks: int) -> FloatArray:
        """The patience, of those in `ANSWERS`, that earns the user most.

        Args:
            commitment: Shape (n,).
            tasks: Tasks in all.

        Returns:
            Shape (n,).
        """
        gain = self.gain(commitment, np.tile(ANSWERS, (len(commitment), 1)), tasks).mean(axis=2)
        best: FloatArray = ANSWERS[gain.argmax(axis=1)]
        return best

    def _blocks(self, commitment: Commitment, tasks: int, first: int) -> Rollouts:
        """Each commitment once for every block."""
        rows, each = np.repeat(np.arange(len(commitment)), BLOCKS), max(tasks // BLOCKS, 1)
        first_task = np.tile(first + each * np.arange(BLOCKS), len(commitment))
        seeds = np.full(len(rows), self._seed)
        return Rollouts(self._variant, seeds, first_task, each, np.zeros_like(rows), commitment[rows])
