"""Both players of many tasks at once: the batch whose actions are the provider's and the user's."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stackroute.envs import kernels, rules
from stackroute.envs.batch import Batch, checked, for_kernel

if TYPE_CHECKING:
    from typing import Unpack

    import numpy.typing as npt

    from stackroute.analytic.game import BoolArray, FloatArray
    from stackroute.envs.games import GamesLike
    from stackroute.envs.variant import Options


class BatchStep(NamedTuple):
    """One move in each of n tasks.

    Attributes:
        observation: What both players see next, shape (n, 11) or, with the history, (n, 13).
        provider_reward: Shape (n,).
        user_reward: Shape (n,).
        terminated: Whether the task was solved or abandoned, shape (n,).
        truncated: Whether the task ran out of passes, shape (n,).
    """

    observation: npt.NDArray[np.float32]
    provider_reward: FloatArray
    user_reward: FloatArray
    terminated: BoolArray
    truncated: BoolArray


class RoutingBatch(Batch):
    """Many tasks in play with both players outside: the parallel environment, n times.

    A step is one move in every task: the provider's where it is to commit (`awaits_commitment`), elsewhere the user's
    answer to a failed pass. The other player's action has no effect, but must be one of its space; with
    `commitment="pass"` the provider's choice of the next pass counts at every step. A slot whose task ends takes up the
    next one in the same step.

    Args:
        game: A game or several, from which each task's is drawn.
        size: Number of tasks n in play.
        seed: The seed of slot 0; slot i has seed + i.
        **options: See `Options`.

    Attributes:
        parts: The parts of the last step's rewards, shape (n, 4), in the order of `stackroute.envs.rules.PARTS`.
        final_observation: What the players saw last, in the rows whose task ended with the last step; others are old.

    Examples:
        >>> batch = RoutingBatch("g1", size=3, seed=3)
        >>> step = batch.step(np.tile([0.0, 0.5], (3, 1)), np.zeros(3, dtype=int))
        >>> step.provider_reward, step.terminated
        (array([-0.2, -0.2, -0.2]), array([False,  True, False]))
    """

    def __init__(self, game: GamesLike, size: int, *, seed: int = 0, **options: Unpack[Options]) -> None:
        super().__init__(game, size, seed, options)

    @property
    def awaits_commitment(self) -> BoolArray:
        """Where the provider is to commit, shape (n,)."""
        awaits: BoolArray = self._tasks["passes"] == 0
        return awaits

    def step(self, actions: npt.ArrayLike, answers: npt.ArrayLike) -> BatchStep:
        """One move in every task.

        Args:
            actions: The providers', one of the variant's `provider_space` for each slot.
            answers: The users', 0 to re-prompt and 1 to abandon, shape (n,).

        Returns:
            What follows, in arrays of its own.

        Raises:
            ValueError: The actions are not allowed; nothing has changed.
        """
        variant = self.variant
        given = checked("answers", answers, self.size)
        if given.dtype.kind not in "iu":
            raise ValueError(f"answers: {given.dtype} is not allowed; expected whole numbers")
        boxed = variant.box_rows(actions, self.size)
        rewards, ends = np.empty((2, self.size)), np.empty((2, self.size), dtype=bool)
        wrong = kernels.step_both(
            self._tasks,
            variant.table,
            variant.encoded_games,
            for_kernel(boxed),
            for_kernel(given, np.int64),
            variant.per_pass,
            variant.max_passes,
            self.observation,
            self.final_observation,
            self.parts,
            rewards,
            ends,
            self._slots,
        )
        if wrong >= 0:
            allowed = "numbers in [0, 1] and an answer of 0 (re-prompt) or 1 (abandon)"
            raise ValueError(
                f"actions of slot {wrong}: {boxed[wrong]}, {given[wrong]} are not allowed; expected {allowed}"
            )
        return BatchStep(self.observation.copy(), rewards[0], rewards[1], ends[0], ends[1])

    def _start(self) -> None:
        n = self.size
        self._tasks = np.zeros(n, rules.TASK)
        self._tasks["seed"] = self._seeds
        self._tasks["number"] = -1
        self.final_observation = np.zeros((n, *self.variant.observation_space.shape), dtype=np.float32)
        self.parts = np.zeros((n, len(rules.PARTS)))
        # Lists of slots are written a place ahead.
        self._slots = np.zeros((2, n + 1), dtype=np.int64)
        self._go_on()

    def _go_on(self) -> None:
        kernels.begin_tasks(self._tasks, self._tasks["number"] + 1, self.variant.table)
        self.observation = self.variant.encode(self._tasks)
