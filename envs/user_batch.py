"""Many users that answer failed passes, under commitments of a policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic.game import MODELS, probability
from stackroute.envs import kernels, rules
from stackroute.envs.batch import checked, checked_answers
from stackroute.envs.games import count
from stackroute.envs.play import ODOMETER
from stackroute.envs.policies import commitment_by, find_provider
from stackroute.envs.task_batch import TaskBatch

if TYPE_CHECKING:
    from typing import Unpack

    import numpy.typing as npt

    from stackroute.analytic.game import BoolArray, FloatArray, IntArray
    from stackroute.envs.games import GamesLike
    from stackroute.envs.policies import ProviderPolicy
    from stackroute.envs.variant import Options

LOOKAHEAD = 16
"""Tasks of a slot for which the provider is asked to commit at once."""


class UserBatch(TaskBatch):
    """Tasks whose last pass failed, each under a commitment of its own, waiting for their users.

    A slot whose task ends takes up the next one whose first pass fails. The provider is asked for the commitments of
    several tasks ahead; where it learns meanwhile, set `lookahead` to 1.

    Args:
        game: A game or several, from which each task's is drawn.
        provider: The provider that commits anew for each task: an object, or a registered name.
        size: Number of tasks n in play.
        seed: The seed of slot 0; slot i has seed + i.
        lookahead: Tasks of a slot for which the provider commits at once.
        **options: See `Options`. With `commitment="pass"` the provider's commitments are hidden from the user;
            `throttling` counts for a provider given by name.

    Attributes:
        provider: The provider.
        passed_over: How many tasks each slot passed over, solved at once, before the one in play, shape (n,).
    """

    def __init__(
        self,
        game: GamesLike,
        provider: str | ProviderPolicy,
        size: int,
        *,
        seed: int = 0,
        lookahead: int = LOOKAHEAD,
        **options: Unpack[Options],
    ) -> None:
        self.provider = find_provider(provider, options.get("throttling", False))
        self.lookahead = count("lookahead", lookahead)
        super().__init__(game, size, seed, options)

    def step(self, actions: npt.ArrayLike) -> tuple[FloatArray, BoolArray, BoolArray]:
        """Answer the failures and play on.

        Args:
            actions: 0 to re-prompt, 1 to abandon, shape (n,).

        Returns:
            The users' rewards, whether each task terminated, and whether it was truncated, each of shape (n,).

        Raises:
            ValueError: The actions are not allowed; nothing has changed.
        """
        answers = checked_answers(actions, self.size)
        self.parts = self._no_parts()
        kernels.answer_failures(self._tasks, self.variant.table, answers, True, self.variant.max_passes, self.parts)
        return self._finish()

    def play_out(self, patience: npt.ArrayLike) -> tuple[FloatArray, BoolArray, BoolArray]:
        """Play every task to its end with a patience; each re-prompt is decided by the task's own coin.

        Args:
            patience: In [0, 1], shape (n,).

        Returns:
            As `step`.

        Raises:
            ValueError: The patience is not allowed; nothing has changed.
        """
        same = checked("patience", probability("patience", patience), self.size)
        self.parts = self._no_parts()
        both = np.repeat(same[:, None], MODELS, axis=1)
        kernels.play_rest(self._tasks, self.variant.table, both, self.variant.max_passes, self.parts)
        return self._finish()

    @property
    def first_latency(self) -> FloatArray:
        """What the first pass of each task in play took, utility, shape (n,)."""
        return self._first_parts[:, rules.LATENCY].copy()

    @property
    def declared(self) -> BoolArray:
        """Whether the first pass was only declared a failure, after many tasks that were solved at once, shape (n,)."""
        return self._first_parts[:, rules.VALUE] > 0

    def _finish(self) -> tuple[FloatArray, BoolArray, BoolArray]:
        ended, truncated = self._ends()
        before = self._tasks["number"].sum()
        self._take_up(kernels.over(self._tasks, self._slots))
        ODOMETER.tasks += int(self._tasks["number"].sum() - before)
        return self.parts[:, rules.VALUE] - self.parts[:, rules.LATENCY], ended, truncated

    def _start(self) -> None:
        super()._start()
        n, ahead = self.size, self.lookahead
        self._first_ahead = np.full(n, -ahead, dtype=np.int64)
        self._model = np.ones((n, ahead), dtype=np.int64)
        self._cascade, self._delay = np.zeros((n, ahead)), np.zeros((n, ahead, MODELS))
        self.passed_over = np.zeros(n, dtype=np.int64)
        self._first_parts = self._no_parts()
        # Lists of slots are written a place ahead.
        self._slots = np.zeros(n + 1, dtype=np.int64)
        self._go_on()

    def _go_on(self) -> None:
        self._slots[:-1] = np.arange(self.size)
        self._take_up(self.size)

    def _take_up(self, needy: int) -> None:
        self.passed_over[self._slots[:needy]] = 0
        while needy > 0:
            needy = kernels.take_up(
                self._tasks,
                self.variant.table,
                self._first_ahead,
                self._model,
                self._cascade,
                self._delay,
                self.passed_over,
                self._first_parts,
                self._slots,
                needy,
            )
            if needy > 0:
                self._look_ahead()
        self.observation = self.variant.encode(self._tasks)

    def _look_ahead(self) -> None:
        """Ask the provider for the commitments of the next tasks of all slots that have used up half of theirs."""
        following = self._tasks["number"] + 1
        slots = np.flatnonzero(self._first_ahead + self.lookahead - following <= self.lookahead // 2)
        numbers: IntArray = following[slots, None] + np.arange(self.lookahead)
        seeds = np.repeat(self._seeds[slots], self.lookahead)
        draws, game = kernels.draw_tasks(seeds, numbers.ravel(), len(self.variant.games))
        commitment = commitment_by(self.provider, self.variant.select(game), draws[:, :-1])
        self._first_ahead[slots] = following[slots]
        self._model[slots] = commitment.model.reshape(numbers.shape)
        self._cascade[slots] = commitment.cascade.reshape(numbers.shape)
        self._delay[slots] = commitment.delay.reshape(*numbers.shape, MODELS)
