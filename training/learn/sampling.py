"""What sampled play says about commitments and patiences: the only knowledge that training has of a game."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import Commitment
from stackroute.envs import play
from stackroute.envs.batch import for_kernel
from stackroute.envs.user_env import PATIENCE_LEVELS
from stackroute.envs.variant import DEFAULT_MAX_PASSES, Variant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stackroute.analytic import Game
    from stackroute.analytic.game import FloatArray

BLOCKS = 64
"""Into how many blocks the tasks of a comparison are divided, for the standard error of its mean."""


def joined(commitments: Sequence[Commitment]) -> Commitment:
    """Single commitments as a batch of shape (n,)."""
    return Commitment(
        np.array([int(one.model) for one in commitments]),
        np.array([float(one.cascade) for one in commitments]),
        np.array([one.delay for one in commitments]).reshape(-1, 2),
    )


class SampledGame:
    """Plays tasks of a game under commitments and patiences of one's choice, all with the same random numbers.

    Args:
        game: A single game.
        seed: The seed of the random numbers.
    """

    def __init__(self, game: Game, seed: int) -> None:
        self.value = float(game.value)
        self._table = Variant.of(game).table
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
        rows, starts, each = self._blocks(len(commitment.model), tasks, first)
        outcome = play.play_commitments(
            *self._tasks(starts, each),
            *self._moves(commitment, rows),
            np.repeat(patience[rows][:, None], 2, axis=1),
            DEFAULT_MAX_PASSES,
        )
        cost: FloatArray = outcome[:, :2].sum(axis=1).reshape(-1, BLOCKS)
        return cost

    def gain(self, commitment: Commitment, patience: FloatArray, tasks: int, *, first: int = 0) -> FloatArray:
        """What patiences earn the user after a failed first pass, on average in each block of tasks.

        Args:
            commitment: Shape (n,).
            patience: The patiences to compare under each commitment, shape (n, k).
            tasks: Tasks in all.
            first: Number of the first task.

        Returns:
            Utility, shape (n, k, BLOCKS).
        """
        rows, starts, each = self._blocks(len(commitment.model), tasks, first)
        moves = self._moves(commitment, rows)
        gain = play.play_users(*self._tasks(starts, each), *moves, for_kernel(patience[rows]), DEFAULT_MAX_PASSES)
        return gain.reshape(-1, BLOCKS, patience.shape[1]).swapaxes(1, 2)

    def answer(self, commitment: Commitment, tasks: int) -> FloatArray:
        """The patience, of those in `PATIENCE_LEVELS`, that earns the user most.

        Args:
            commitment: Shape (n,).
            tasks: Tasks in all.

        Returns:
            Shape (n,).
        """
        levels = np.array(PATIENCE_LEVELS)
        gain = self.gain(commitment, np.tile(levels, (len(commitment.model), 1)), tasks).mean(axis=2)
        best: FloatArray = levels[gain.argmax(axis=1)]
        return best

    def _blocks(self, count: int, tasks: int, first: int) -> tuple[np.ndarray, np.ndarray, int]:
        each = max(tasks // BLOCKS, 1)
        return np.repeat(np.arange(count), BLOCKS), np.tile(first + each * np.arange(BLOCKS), count), each

    def _tasks(self, starts: np.ndarray, each: int) -> tuple[np.ndarray, np.ndarray, int, np.ndarray, np.ndarray]:
        zeros = np.zeros(len(starts), dtype=np.int64)
        return np.full(len(starts), self._seed, dtype=np.int64), starts, each, self._table, zeros

    def _moves(self, commitment: Commitment, rows: np.ndarray) -> tuple[np.ndarray, FloatArray, FloatArray]:
        return commitment.model[rows], commitment.cascade[rows], commitment.delay[rows]
