"""Batches of one-step episodes, and what all batches share. No learner's library is imported here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from stackroute.analytic.game import probability
from stackroute.envs import kernels, play, rules
from stackroute.envs.encoding import commitment_from_action, regular
from stackroute.envs.games import count
from stackroute.envs.policies import commitment_by, find_provider, find_user, patience_by_model
from stackroute.envs.task import task_seed
from stackroute.envs.variant import Variant

if TYPE_CHECKING:
    from typing import Unpack

    import numpy.typing as npt

    from stackroute.analytic import Commitment, Game
    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.envs.games import GamesLike
    from stackroute.envs.policies import AnyUserPolicy, ProviderPolicy
    from stackroute.envs.variant import Options

    Seeds = int | Sequence[int] | IntArray


def checked(name: str, array: npt.ArrayLike, size: int) -> npt.NDArray[Any]:
    """An array of one entry for each slot.

    Raises:
        ValueError: It has another shape.
    """
    found = regular(array)
    if found.shape != (size,):
        raise ValueError(f"{name}: shape {found.shape} is not allowed; expected ({size},)")
    return found


def slot_seeds(seed: Seeds, size: int) -> IntArray:
    """The seeds of all slots.

    Args:
        seed: The seed of slot 0, slot i then has seed + i; or one for each slot, shape (size,).
        size: Number of slots.

    Returns:
        Below 2^63, shape (size,).

    Raises:
        ValueError: There is another number of them.
        gymnasium.error.Error: One is not a whole number of at least 0.
    """
    if isinstance(seed, Sequence | np.ndarray) and not isinstance(seed, str) and np.ndim(seed) > 0:
        return np.array([_slot_seed(one) for one in seed], dtype=np.int64)
    first = _slot_seed(seed)
    return ((np.uint64(first) + np.arange(size, dtype=np.uint64)) % np.uint64(2**63)).astype(np.int64)


def _slot_seed(seed: Any) -> int:
    if seed is None or isinstance(seed, bool):
        raise gymnasium.error.Error(f"seed: {seed!r} is not allowed; expected a whole number of at least 0")
    return task_seed(int(seed) if isinstance(seed, np.integer) else seed)


def for_kernel(array: npt.NDArray[Any], dtype: type[np.generic] = np.float64) -> npt.NDArray[Any]:
    """The array in the one memory layout for which the compiled loops exist: others would be compiled anew."""
    laid_out = np.ascontiguousarray(array, dtype)
    return laid_out if laid_out.flags.writeable else laid_out.copy()


def checked_answers(actions: npt.ArrayLike, size: int) -> IntArray:
    """The answers of users to failed passes, one for each slot.

    Raises:
        ValueError: They have another shape, or one is neither 0 nor 1.
    """
    answers = checked("actions", actions, size)
    if answers.dtype.kind not in "iu" or not ((answers == rules.RE_PROMPT) | (answers == rules.ABANDON)).all():
        raise ValueError(f"actions: {answers} are not allowed; expected 0 (re-prompt) or 1 (abandon), whole numbers")
    return for_kernel(answers, np.int64)


def serve_tasks(
    variant: Variant,
    seeds: IntArray,
    first_task: IntArray,
    tasks: int,
    game: IntArray,
    commitment: Commitment,
    patience: FloatArray,
) -> dict[str, FloatArray]:
    """Serve each of n commitments to several tasks.

    Args:
        variant: The variant of the game.
        seeds: The seed of each commitment's coins, shape (n,).
        first_task: Number of the first task of each commitment, shape (n,); the others follow.
        tasks: Tasks played for each commitment.
        game: The row of each commitment's game, shape (n,).
        commitment: Shape (n,).
        patience: The user's after a failed pass on model 1 and 2, shape (n, 2).

    Returns:
        Means over the tasks, each of shape (n,): "service_cost", "churn_penalty", "latency", "value", "passes",
        "solved" and "abandoned".
    """
    outcome = play.play_commitments(
        seeds,
        first_task,
        tasks,
        variant.table,
        game,
        commitment.model,
        commitment.cascade,
        commitment.delay,
        for_kernel(patience),
        variant.max_passes,
    )
    return {
        **{name: outcome[:, k] for k, name in enumerate(rules.PARTS)},
        "passes": outcome[:, play.PASSES],
        "solved": outcome[:, play.SOLVED],
        "abandoned": outcome[:, play.ABANDONED],
    }


class Batch:
    """What all batches share: a variant of the game, and slots with seeds of their own.

    Args:
        game: A game or several, from which each task's is drawn.
        size: Number of slots n.
        seed: The seed of slot 0; slot i has seed + i.
        options: See `Options`.

    Attributes:
        variant: The variant of the game.
        size: Number of slots n.
        observation: What the learning player sees in each slot, shape (n, 11) or, with the history, (n, 13).
    """

    observation: npt.NDArray[np.float32]

    def __init__(self, game: GamesLike, size: int, seed: int, options: Options) -> None:
        self.variant = Variant.of(game, **options)
        self.size = count("size", size)
        self.reset(seed)

    def reset(self, seed: Seeds | None = None) -> None:
        """Start again from the first tasks of new seeds, or go on to the next tasks without a seed.

        Args:
            seed: The seed of slot 0, slot i then has seed + i; or one for each slot, shape (n,).
        """
        if seed is None:
            self._go_on()
            return
        self._seeds: IntArray = checked("seed", slot_seeds(seed, self.size), self.size)
        self._start()

    def _start(self) -> None:
        """Take up the first tasks of the seeds."""
        raise NotImplementedError

    def _go_on(self) -> None:
        """Take up the next tasks."""
        raise NotImplementedError


class _OneStepBatch(Batch):
    """What batches of one-step episodes share: each slot plays the same number of tasks in every episode."""

    def __init__(self, game: GamesLike, size: int, tasks_per_commitment: int, seed: int, options: Options) -> None:
        self.tasks_per_commitment = count("tasks_per_commitment", tasks_per_commitment)
        super().__init__(game, size, seed, options)

    def _start(self) -> None:
        self._first = np.zeros(self.size, dtype=np.int64)
        self._draw()

    def _go_on(self) -> None:
        self._first += self.tasks_per_commitment
        self._draw()

    def _draw(self) -> None:
        """What comes before the move of the next tasks."""
        self._draws, self._game = kernels.draw_tasks(self._seeds, self._first, len(self.variant.games))
        self._prepare(self.variant.select(self._game))

    def _prepare(self, games: Game) -> None:
        raise NotImplementedError

    def _observe(self, commitment: Commitment | None) -> npt.NDArray[np.float32]:
        tasks = np.zeros(self.size, rules.TASK)
        tasks["game"] = self._game
        if commitment is not None:
            # What a user sees after the first pass has failed.
            tasks["start"] = tasks["model"] = commitment.model
            tasks["passes"] = 1
            tasks["cascade"] = commitment.cascade
            tasks["delay_1"], tasks["delay_2"] = commitment.delay[..., 0], commitment.delay[..., 1]
        return self.variant.encode(tasks)


class ProviderBatch(_OneStepBatch):
    """Commitments, each served to several tasks of a user; one step is a whole episode.

    Args:
        game: A game or several, from which each commitment's is drawn.
        user: The user that answers: an object, or a registered name.
        size: Number of commitments n made at once.
        tasks_per_commitment: Tasks over which the outcome of a commitment is averaged.
        seed: The seed of slot 0; slot i has seed + i.
        **options: See `Options`. The provider commits once: `commitment="pass"` is `PassBatch`'s.
    """

    def __init__(
        self,
        game: GamesLike,
        user: str | AnyUserPolicy,
        size: int,
        *,
        tasks_per_commitment: int = 1,
        seed: int = 0,
        **options: Unpack[Options],
    ) -> None:
        self.user = find_user(user)
        if options.get("commitment") == "pass":
            raise ValueError("commitment: 'pass' is not allowed; expected 'task' (PassBatch chooses before every pass)")
        super().__init__(game, size, tasks_per_commitment, seed, options)

    def step(self, actions: npt.ArrayLike) -> dict[str, FloatArray]:
        """Serve every commitment to its tasks; then each slot is to commit for its next ones.

        Args:
            actions: One action of the variant's `provider_space` for each slot.

        Returns:
            Means over the tasks, as of `serve_tasks`.

        Raises:
            ValueError: The actions are not allowed; nothing has changed.
        """
        variant = self.variant
        commitment = commitment_from_action(self._games, variant.box_rows(actions, self.size))
        patience = patience_by_model(self.user, self._games, commitment, self._draws[:, -1])
        means = serve_tasks(
            variant, self._seeds, self._first, self.tasks_per_commitment, self._game, commitment, patience
        )
        self._go_on()
        return means

    def _prepare(self, games: Game) -> None:
        self._games = games
        self.observation = self._observe(None)


class PatienceBatch(_OneStepBatch):
    """Users who choose their patience once, after seeing the commitment; one step is a whole episode.

    Their own coins are averaged out, which makes the outcome less noisy than that of `UserBatch.play_out`.

    Args:
        game: A game or several, from which each user's is drawn.
        provider: The provider that commits anew for each user: an object, or a registered name.
        size: Number of users n at once.
        tasks_per_commitment: Tasks over which the outcome of a patience is averaged.
        seed: The seed of slot 0; slot i has seed + i.
        **options: See `Options`. `throttling` counts for a provider given by name.
    """

    def __init__(
        self,
        game: GamesLike,
        provider: str | ProviderPolicy,
        size: int,
        *,
        tasks_per_commitment: int = 1,
        seed: int = 0,
        **options: Unpack[Options],
    ) -> None:
        self.provider = find_provider(provider, options.get("throttling", False))
        super().__init__(game, size, tasks_per_commitment, seed, options)

    @property
    def value(self) -> FloatArray:
        """What a solved task is worth in each slot, utility, shape (n,)."""
        return self.variant.games.value[self._game]

    def step(self, patience: FloatArray, *, baseline: float | None = None) -> FloatArray:
        """Play every user's tasks with its patience; then the provider commits anew.

        Args:
            patience: In [0, 1], shape (n,).
            baseline: A patience with which each is compared on the same tasks, which takes most of the noise away.

        Returns:
            Mean utility after a failed first pass, shape (n,): what the patience decides. With a baseline, what is
            gained over it.

        Raises:
            ValueError: The patience is not allowed; nothing has changed.
        """
        chosen = checked("patience", probability("patience", patience), self.size)
        compared = chosen if baseline is None else np.full(self.size, probability("baseline", baseline))
        gain = play.play_users(
            self._seeds,
            self._first,
            self.tasks_per_commitment,
            self.variant.table,
            self._game,
            self._commitment.model,
            self._commitment.cascade,
            self._commitment.delay,
            np.stack([chosen, compared][: 1 if baseline is None else 2], axis=1),
            self.variant.max_passes,
        )
        self._go_on()
        result: FloatArray = gain[:, 0] if baseline is None else gain[:, 0] - gain[:, 1]
        return result

    def _prepare(self, games: Game) -> None:
        self._commitment = commitment_by(self.provider, games, self._draws[:, :-1])
        self.observation = self._observe(self._commitment)
