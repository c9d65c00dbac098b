"""The engine: n tasks in play. Every API is a thin adapter over it; a single environment is an engine of size one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.utils import seeding

from stackroute.analytic.game import probability
from stackroute.envs import rules
from stackroute.envs.actions import for_kernel
from stackroute.envs.games import count
from stackroute.envs.observations import BLOCKS, ROUTINGS, block_columns
from stackroute.envs.policies import (
    Outcome,
    RememberingUserPolicy,
    Seen,
    StatefulUserPolicy,
    Waiting,
    patience_by_model,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from stackroute.analytic import Commitment, Game
    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.envs.policies import AnyUserPolicy
    from stackroute.envs.variant import Variant

    Seeds = int | Sequence[int] | IntArray

OUTCOMES = (*rules.PARTS, "passes", "solved", "abandoned")
"""What is known of the tasks of a commitment: means over them."""

tasks_played = 0
"""How many tasks this process has begun in any API; one that is played with several patiences counts once."""


def task_seed(seed: Any) -> int:
    """The seed of a task's random numbers.

    Args:
        seed: A whole number of at least 0, as Gymnasium takes it; None for one from the system's entropy.

    Returns:
        A seed below 2^63.

    Raises:
        gymnasium.error.Error: The seed is not a whole number of at least 0.
    """
    if isinstance(seed, bool):
        raise gymnasium.error.Error(f"seed: {seed!r} is not allowed; expected a whole number of at least 0")
    given = int(seed) if isinstance(seed, np.integer) else seed
    generator, _ = seeding.np_random(given)
    return given % 2**63 if given is not None else int(generator.integers(2**63))


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
        if len(seed) != size or None in list(seed):
            raise ValueError(f"seed: {seed!r} is not allowed; expected a seed for each of {size} slots, or one number")
        given = np.asarray(seed)
        if given.dtype.kind in "iu" and (given >= 0).all():
            # Many times faster than one by one.
            return (given.astype(np.uint64) % np.uint64(2**63)).astype(np.int64)
        return np.array([task_seed(one) for one in seed], dtype=np.int64)
    if seed is None:
        raise gymnasium.error.Error("seed: None is not allowed; expected a whole number of at least 0")
    return ((np.uint64(task_seed(seed)) + np.arange(size, dtype=np.uint64)) % np.uint64(2**63)).astype(np.int64)


class Tasks:
    """n tasks in play in a variant of the game, each in a slot with a seed of its own.

    Args:
        variant: The variant.
        size: Number of slots n.
        in_turn: Whether a step is one player's move where the provider routes pass by pass; otherwise its action counts
            for the pass that a re-prompt asks for.
        begins_anew: Whether a slot whose task ends begins the next one in the same step.

    Attributes:
        rows: The tasks, records of `stackroute.envs.rules.task_dtype`, shape (n,).
        observation: What the players observe, float32, shape (n, width): all blocks up to the last that one observes.
        final_observation: The same at the end of tasks, in rows where one ended and the next began; others are old.
        parts: The parts of the last step's rewards, shape (n, 4), in the order of `stackroute.envs.rules.PARTS`.
        rewards: Those of the providers and of the users, shape (2, n).
        ends: Whether each task had terminated after the last step, and whether it was truncated, shape (2, n).
        over: The slots whose task was over after the last step, ascending.
    """

    def __init__(self, variant: Variant, size: int, *, in_turn: bool = False, begins_anew: bool = False) -> None:
        self.variant = variant
        self.size = count("size", size)
        self.rows = np.zeros(self.size, variant.task_dtype)
        self.observation = np.zeros((self.size, variant.width), dtype=np.float32)
        self.final_observation = np.zeros_like(self.observation)
        self.parts = np.zeros((self.size, len(rules.PARTS)))
        self.rewards = np.zeros((2, self.size))
        self.ends = np.zeros((2, self.size), dtype=bool)
        # Lists of slots are written a place ahead.
        self._slots = np.zeros((4, self.size + 1), dtype=np.uint32)
        self._ended = 0
        self._all = np.arange(self.size)
        self._routing = ROUTINGS.index(variant.routing)
        self._no_actions = np.zeros((self.size, variant.actions.width))
        self._no_answers = np.zeros(self.size, dtype=np.int64)
        self._begins_anew = begins_anew
        self._settings = (self._routing, in_turn, begins_anew, variant.max_passes, variant.throttling)

    @property
    def over(self) -> IntArray:
        """The slots whose task was over after the last step, ascending."""
        return self._slots[3, : self._ended].astype(np.int64)

    @property
    def game(self) -> Game:
        """The game of each task, shape (n,)."""
        return self.variant.select(self.rows["game"])

    @property
    def known_game(self) -> Game:
        """The games as stationary users know them, shape (n,): where types are hidden, the means of their groups."""
        traffic = self.variant.traffic
        if traffic is None or "game" in self.variant.observe["user"]:
            return self.game
        return traffic.mean[traffic.group[self.rows["game"]]]

    def seed(self, seeds: Seeds) -> None:
        """Give the slots new seeds; their next tasks are the first ones."""
        self.rows["seed"] = slot_seeds(seeds, self.size)
        self.rows["number"] = -1

    def begin(self, slots: IntArray | None = None, *, numbers: IntArray | None = None) -> None:
        """Begin tasks.

        Args:
            slots: In which slots, shape (k,); None for all.
            numbers: Which tasks, shape (k,); None for the next ones.
        """
        global tasks_played
        chosen = self._all if slots is None else slots
        following = self.rows["number"][chosen] + 1 if numbers is None else numbers
        tasks_played += len(chosen)
        self._ended = 0
        rules.begin_tasks(
            self.rows, following, chosen, self.variant.table, self.variant.encoded_games, self.observation
        )

    def step(self, actions: FloatArray | None = None, answers: IntArray | None = None) -> None:
        """One move in every task that is in play: the provider's where it is to move, elsewhere the user's.

        Args:
            actions: The providers', rows of `ProviderActions.rows`, shape (n, width); None where none is to move.
            answers: The users', of `answers_from`, shape (n,); None where none is to move.

        Raises:
            ValueError: One of them is not allowed; nothing has changed.
        """
        global tasks_played
        variant = self.variant
        given = self._no_actions if actions is None else actions
        answered = self._no_answers if answers is None else answers
        ended = rules.step(
            self.rows,
            variant.table,
            variant.encoded_games,
            given,
            answered,
            *self._settings,
            self.observation,
            self.final_observation,
            self.parts,
            self.rewards,
            self.ends,
            self._slots,
        )
        if ended < 0:
            slot = -1 - ended
            allowed = "numbers in [0, 1] of a provider, and 0 (re-prompt) or 1 (abandon) of a user"
            where = f" of slot {slot}" if self.size > 1 else ""
            raise ValueError(f"action{where}: {given[slot]}, {answered[slot]} is not allowed; expected {allowed}")
        self._ended = ended
        if self._begins_anew:
            tasks_played += ended

    def state(self) -> npt.NDArray[np.float32]:
        """All blocks of what can be observed, also those that no player observes, shape (n, width)."""
        variant = self.variant
        everything = np.zeros(
            (self.size, block_columns(variant.models, BLOCKS[-1], variant.traffic).stop), dtype=np.float32
        )
        rules.encode(self.rows, variant.encoded_games, variant.games.value, self._routing, everything)
        return everything

    def answers_of(self, patience: FloatArray) -> IntArray:
        """What users of a patience after a failure on each model, shape (n, models), answer to the last pass."""
        answers = np.empty(self.size, dtype=np.int64)
        rules.answers_of(self.rows, patience, answers)
        return answers

    def random_numbers(self) -> tuple[FloatArray, FloatArray]:
        """The random numbers of the policies: the providers', shape (n, 2 models + 1), and the users', shape (n,)."""
        provider, user, _ = drawn_before_play(self.variant, self.rows["seed"], self.rows["number"])
        return provider, user

    def waiting(self) -> Waiting:
        """What a provider that routes pass by pass sees of the tasks."""
        rows, traffic = self.rows, self.variant.traffic
        label = (traffic.context, traffic.group) if traffic else np.zeros((2, len(self.variant.games)), dtype=np.int64)
        context, group = (numbers[rows["game"]] for numbers in label)
        drawn = self.random_numbers()[0][:, 0], rules.pass_numbers(rows)
        return Waiting(context, group, rows["passes"].astype(np.int64), *drawn)

    def commitment(self) -> Commitment:
        """The commitments that hold, shape (n,); meaningful after the providers have moved."""
        return self.variant.commitment_in(self.rows)

    def seen(self) -> Seen:
        """What the users see of their tasks, by the variant's `observe`."""
        blocks = self.variant.observe["user"]
        history = "history" in blocks
        return Seen(
            self.game if "game" in blocks else None,
            self.commitment() if "commitment" in blocks and self.variant.routing != "pass" else None,
            self.rows["passes"].astype(np.int64),
            self.rows["model"].astype(np.int64) if history else None,
            self.variant.traffic.group[self.rows["game"]] if self.variant.traffic and "group" in blocks else None,
        )


class UserTurns:
    """How the users of n tasks answer: by a patience for the whole task, or by a policy with a state.

    Args:
        user: The policy.
        tasks: The tasks.
    """

    def __init__(self, user: AnyUserPolicy, tasks: Tasks) -> None:
        self._user, self._tasks = user, tasks
        self._patience = np.zeros((tasks.size, tasks.variant.models))
        self._state: npt.NDArray[Any] = np.zeros(tasks.size)
        self._has_past = np.zeros(tasks.size, dtype=bool)

    def forget(self) -> None:
        """From the next task on, other users play: none has a past."""
        self._has_past[:] = False

    def begin(self, slots: IntArray | None = None, numbers: FloatArray | None = None) -> None:
        """See tasks that have begun; where the provider commits, after it has.

        Args:
            slots: In which slots; None for all.
            numbers: The users' random numbers, shape (n,); None for those of the tasks.
        """
        tasks, user = self._tasks, self._user
        chosen = slice(None) if slots is None else slots
        numbers = tasks.random_numbers()[1] if numbers is None else numbers
        seen = tasks.seen()
        if not isinstance(user, StatefulUserPolicy):
            self._patience[chosen] = patience_by_model(user, tasks.known_game, seen.commitment, numbers)[chosen]
        else:
            begun = np.array(user.begin(seen, numbers))
            if isinstance(user, RememberingUserPolicy) and self._has_past.any():
                past = self._has_past
                begun[past] = user.remember(self._state[past], begun[past])
            if slots is None:
                self._state = begun
            else:
                self._state[chosen] = begun[chosen]
            self._has_past[chosen] = True

    def answers(self) -> IntArray:
        """The answers to the last pass of every task."""
        tasks, user = self._tasks, self._user
        if isinstance(user, StatefulUserPolicy):
            model = tasks.rows["model"].astype(np.int64)
            row = np.arange(tasks.size)
            waiting = tasks.game.latency[row, model] + tasks.rows["delay"][row, model]
            updated = np.array(user.update(self._state, Outcome(model, waiting)))
            over = tasks.rows["end"] != rules.IN_PLAY
            updated[over] = self._state[over]
            self._state = updated
            self._patience[:] = probability("stay", user.stay(self._state, tasks.seen()))[:, None]
        return tasks.answers_of(self._patience)

    def play(
        self, actions: FloatArray, numbers: FloatArray, after_step: Callable[[], None] | None = None
    ) -> FloatArray:
        """Let the providers commit in every task and play all to their end.

        Args:
            actions: Rows of `ProviderActions.rows`, shape (n, width).
            numbers: The users' random numbers, shape (n,).
            after_step: Called after every move.

        Returns:
            The sums of the parts of the rewards, shape (n, 4).
        """
        tasks = self._tasks
        tasks.step(actions)
        self.begin(numbers=numbers)
        parts = tasks.parts.copy()
        while len(tasks.over) < tasks.size:
            if after_step is not None:
                after_step()
            tasks.step(answers=self.answers())
            parts += tasks.parts
        if after_step is not None:
            after_step()
        return parts


def drawn_before_play(
    variant: Variant, seeds: IntArray, numbers: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The random numbers that are used before the first pass; see `stackroute.envs.rules.draw_before_play`."""
    return rules.draw_before_play(for_kernel(seeds, np.int64), for_kernel(numbers, np.int64), 2 * variant.models + 1)


class Rollouts(NamedTuple):
    """n commitments to play, each over several tasks with users of fixed patience.

    Attributes:
        variant: The variant of the game.
        seeds: The seed of each commitment's random numbers, shape (n,).
        first_task: Number of the first task of each commitment, shape (n,); the others follow.
        tasks: Tasks played for each commitment.
        game: The row of each commitment's game, shape (n,).
        commitment: Shape (n,).
        begun: How many of each commitment's tasks have been begun and so counted already.
    """

    variant: Variant
    seeds: IntArray
    first_task: IntArray
    tasks: int
    game: IntArray
    commitment: Commitment
    begun: int = 0

    def play(self, patience: FloatArray) -> dict[str, FloatArray]:
        """Play them.

        Args:
            patience: The users' after a failed pass on each model, shape (n, models).

        Returns:
            Means over the tasks, each of shape (n,): "service_cost", "churn_penalty", "latency", "value", "passes",
            "solved" and "abandoned".
        """
        outcome = self._run(rules.roll_out, patience)
        return {name: outcome[:, k] for k, name in enumerate(OUTCOMES)}

    def compare(self, patience: FloatArray) -> FloatArray:
        """What patiences are worth to the user after a failed first pass, all on the same tasks.

        Args:
            patience: The patiences to compare under each commitment, shape (n, k).

        Returns:
            Mean utility after the first failure, shape (n, k).
        """
        return self._run(rules.compare_patiences, patience)

    def _run(self, loop: Any, patience: FloatArray) -> FloatArray:
        global tasks_played
        tasks_played += len(self.seeds) * (self.tasks - self.begun)
        made = self.commitment
        outcome: FloatArray = loop(
            for_kernel(self.seeds, np.int64),
            for_kernel(self.first_task, np.int64),
            self.tasks,
            self.variant.table,
            np.zeros(1, self.variant.task_dtype),
            for_kernel(self.game, np.int64),
            *(for_kernel(array) for array in (made.start, made.transition, made.delay, patience)),
            self.variant.max_passes,
        )
        return outcome
