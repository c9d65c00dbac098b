"""Many tasks at once, compiled: what the vector faces for learners share. No learner's library is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.analytic.game import probability
from stackroute.envs import rules
from stackroute.envs.encoding import commitment_from_action, observe
from stackroute.envs.games import count, find_game
from stackroute.envs.policies import DRAWS
from stackroute.envs.task import DEFAULT_MAX_PASSES

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic import Game
    from stackroute.analytic.game import BoolArray, FloatArray, IntArray
    from stackroute.envs.policies import ProviderPolicy, UserPolicy

FIRST_FAILURE_TRIES = 1_000
"""Tasks tried in search of one whose first pass fails, before such a failure is declared."""


def _checked(name: str, array: npt.ArrayLike, size: int) -> npt.NDArray[Any]:
    checked = np.asarray(array)
    if checked.shape != (size,):
        raise ValueError(f"{name}: shape {checked.shape} is not allowed; expected ({size},)")
    return checked


def seeds_from(seed: int, size: int) -> IntArray:
    """The seed of each slot of a batch: consecutive numbers, as Gymnasium and stable-baselines3 count them."""
    return seed + np.arange(size, dtype=np.int64)


class _OneStepBatch:
    """What batches of one-step episodes share: each slot plays the same number of tasks in every episode."""

    _seeds: IntArray
    _first: IntArray

    def __init__(self, game: Game, size: int, tasks_per_commitment: int, seed: int, max_passes: int) -> None:
        self.game = find_game(game)
        self.size = count("size", size)
        self.tasks_per_commitment = count("tasks_per_commitment", tasks_per_commitment)
        self.max_passes = count("max_passes", max_passes)
        self.reset(seed)

    def reset(self, seed: int | None = None) -> None:
        """Start again from the first tasks of new seeds, or go on to the next tasks without a seed."""
        if seed is None:
            self._first += self.tasks_per_commitment
        else:
            self._seeds = seeds_from(seed, self.size)
            self._first = np.zeros(self.size, dtype=np.int64)
        self._prepare()

    def _prepare(self) -> None:
        """What comes before the move of the next tasks."""

    def _draws(self) -> FloatArray:
        return rules.draw_policies(self._seeds, self._first, DRAWS)


class ProviderBatch(_OneStepBatch):
    """Commitments of one game, each served to several tasks; one step is a whole episode.

    Args:
        game: A single game.
        user: The user that answers.
        size: Number of commitments n made at once.
        tasks_per_commitment: Tasks over which the outcome of a commitment is averaged.
        seed: The seed of slot 0; slot i has seed + i.
        max_passes: A re-prompt after this many passes truncates a task.
    """

    def __init__(
        self,
        game: Game,
        user: UserPolicy,
        size: int,
        *,
        tasks_per_commitment: int = 1,
        seed: int = 0,
        max_passes: int = DEFAULT_MAX_PASSES,
    ) -> None:
        self.user = user
        super().__init__(game, size, tasks_per_commitment, seed, max_passes)
        self.observation = np.broadcast_to(observe(self.game), (self.size, *observe(self.game).shape))

    def step(self, actions: npt.ArrayLike) -> dict[str, FloatArray]:
        """Serve every commitment to its tasks.

        Args:
            actions: In [0, 1], shape (n, 2) or (n, 4); see `commitment_from_action`.

        Returns:
            Means over the tasks, each of shape (n,): "service_cost", "churn_penalty", "latency", "value", "passes",
            "solved" and "abandoned".
        """
        commitment = commitment_from_action(self.game, actions)
        if commitment.shape != (self.size,):
            raise ValueError(f"actions: {commitment.shape} of them are not allowed; expected ({self.size},)")
        patience = probability("patience", self.user.patience(self.game, commitment, self._draws()[:, -1]))
        outcome = rules.play_many(
            self._seeds,
            self._first,
            self.tasks_per_commitment,
            self.game.success,
            commitment.model,
            commitment.cascade,
            np.broadcast_to(patience, (self.size,)),
            self.max_passes,
        )
        self._first += self.tasks_per_commitment
        passes, solved, abandoned = outcome[:, :2], outcome[:, 2], outcome[:, 3]
        return {
            "service_cost": passes @ self.game.cost,
            "churn_penalty": abandoned * self.game.churn_penalty,
            "latency": (passes * (self.game.latency + commitment.delay)).sum(axis=1),
            "value": solved * self.game.value,
            "passes": passes.sum(axis=1),
            "solved": solved,
            "abandoned": abandoned,
        }


class PatienceBatch(_OneStepBatch):
    """Users of one game who choose their patience once, after seeing the commitment; one step is a whole episode.

    Args:
        game: A single game.
        provider: The provider that commits anew for each user.
        size: Number of users n at once.
        tasks_per_commitment: Tasks over which the outcome of a patience is averaged.
        seed: The seed of slot 0; slot i has seed + i.
        max_passes: A re-prompt after this many passes truncates a task.
    """

    def __init__(
        self,
        game: Game,
        provider: ProviderPolicy,
        size: int,
        *,
        tasks_per_commitment: int = 1,
        seed: int = 0,
        max_passes: int = DEFAULT_MAX_PASSES,
    ) -> None:
        self.provider = provider
        super().__init__(game, size, tasks_per_commitment, seed, max_passes)

    def step(self, patience: FloatArray) -> FloatArray:
        """Play every user's tasks with its patience; then the provider commits anew.

        Args:
            patience: In [0, 1], shape (n,).

        Returns:
            Mean utility after a failed first pass, shape (n,): what the patience decides.
        """
        gain = rules.play_users(
            self._seeds,
            self._first,
            self.tasks_per_commitment,
            self.game.success,
            self.game.latency + self._commitment.delay,
            float(self.game.value),
            self._commitment.model,
            self._commitment.cascade,
            _checked("patience", probability("patience", patience), self.size),
            self.max_passes,
        )
        self.reset()
        return gain

    def _prepare(self) -> None:
        self._commitment = self.provider.commit(self.game, self._draws()[:, :-1]).broadcast_to((self.size,))
        self.observation = observe(self.game, self._commitment)


class UserBatch:
    """Tasks of one game whose last pass failed, each under a commitment of its own, waiting for their users.

    A slot whose task ends takes up the next one whose first pass fails.

    Args:
        game: A single game.
        provider: The provider that commits anew for each task.
        size: Number of tasks n in play.
        seed: The seed of slot 0; slot i has seed + i.
        max_passes: A re-prompt after this many passes truncates a task.
    """

    def __init__(
        self,
        game: Game,
        provider: ProviderPolicy,
        size: int,
        *,
        seed: int = 0,
        max_passes: int = DEFAULT_MAX_PASSES,
    ) -> None:
        self.game = find_game(game)
        self.provider = provider
        self.size = count("size", size)
        self.max_passes = count("max_passes", max_passes)
        self.reset(seed)

    def reset(self, seed: int | None = None) -> None:
        """Take up the first tasks of new seeds, or the next tasks without a seed."""
        n = self.size
        if seed is not None:
            self._seeds = seeds_from(seed, n)
            self._tasks = np.full(n, -1, dtype=np.int64)
        self._cascade = np.zeros(n)
        self._waiting = np.zeros((n, 2))
        self._model = np.ones(n, dtype=np.int64)
        self._pass_index = np.ones(n, dtype=np.int64)
        self._utility = np.zeros(n)
        self._ended = np.zeros(n, dtype=np.bool_)
        self._truncated = np.zeros(n, dtype=np.bool_)
        self.observation = np.zeros((n, *observe(self.game).shape), dtype=np.float32)
        self._take_up(np.arange(n))

    def step(self, actions: IntArray) -> tuple[FloatArray, BoolArray, BoolArray, npt.NDArray[np.float32]]:
        """Answer the failures and play on.

        Args:
            actions: 0 to re-prompt, 1 to abandon, shape (n,).

        Returns:
            The users' rewards, whether each task terminated, whether it was truncated, each of shape (n,), and the
            observations before slots took up new tasks, shape (n, 11). `observation` holds those after.
        """
        answers = _checked("actions", actions, self.size)
        if not np.isin(answers, (rules.RE_PROMPT, rules.ABANDON)).all():
            raise ValueError(f"actions: {answers} are not allowed; expected 0 (re-prompt) or 1 (abandon)")
        rules.answer_failures(
            answers.astype(np.int64),
            self._seeds,
            self._tasks,
            self.game.success,
            self._waiting,
            float(self.game.value),
            self._cascade,
            self.max_passes,
            self._model,
            self._pass_index,
            self._utility,
            self._ended,
            self._truncated,
        )
        before = self.observation.copy()
        ended, truncated = self._ended.copy(), self._truncated.copy()
        self._take_up(np.flatnonzero(ended | truncated))
        return self._utility.copy(), ended, truncated, before

    def _take_up(self, slots: IntArray) -> None:
        for _ in range(FIRST_FAILURE_TRIES):
            if slots.size == 0:
                return
            self._tasks[slots] += 1
            draws = rules.draw_policies(self._seeds[slots], self._tasks[slots], DRAWS)
            commitment = self.provider.commit(self.game, draws[:, :-1]).broadcast_to(slots.shape)
            self._model[slots] = commitment.model
            self._cascade[slots] = commitment.cascade
            self._waiting[slots] = self.game.latency + commitment.delay
            self._pass_index[slots] = 1
            self.observation[slots] = observe(self.game, commitment)
            solved = rules.first_pass_succeeds(
                self._seeds[slots], self._tasks[slots], self._model[slots], self.game.success
            )
            slots = slots[solved]
