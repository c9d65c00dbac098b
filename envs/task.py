"""One task in play: what the single environments share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.utils import seeding

from stackroute.envs import kernels, rules
from stackroute.envs.encoding import check_shape, regular

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic import Commitment, Game
    from stackroute.analytic.game import FloatArray
    from stackroute.envs.variant import Variant


ANSWERS = (rules.RE_PROMPT, rules.ABANDON)


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


def answer_of(action: Any) -> int:
    """The answer that an action of a user means.

    Raises:
        ValueError: It is neither 0 nor 1.
    """
    given = regular(action)
    if given.shape != () or given.dtype.kind not in "iu" or given not in ANSWERS:
        raise ValueError(f"action: {action!r} is not allowed; expected 0 (re-prompt) or 1 (abandon), whole numbers")
    return int(action)


@dataclass(frozen=True)
class Pass:
    """A pass that was played.

    Attributes:
        model: The model that served it, 1 or 2.
        service_cost: What it cost the provider, money.
        latency: What the user waited without delay, utility.
        delay: What the provider added, utility.
        solved: Whether it solved the task.
    """

    model: int
    service_cost: float
    latency: float
    delay: float
    solved: bool


class Task:
    """A task in play in a variant of the game.

    Args:
        variant: The variant.
        seed: The seed of the task's coins.
        number: The number of the task.

    Attributes:
        variant: The variant.
        game_row: The row of its game among the variant's.
        game: Its game, shape ().
        labels: What its two models are called.
        number: The number of the task.
        commitment: The commitment in force, None before the provider has moved.
        awaits_provider: Whether the provider is to move.
        log: The passes played, as long as they were played one by one.
        parts: The parts of both players' rewards for the last move: "service_cost", "churn_penalty", "latency" and
            "value".
    """

    def __init__(self, variant: Variant, seed: int, number: int) -> None:
        self.variant = variant
        self.number = number
        self._rows = np.zeros(1, rules.TASK)
        self._rows["seed"] = seed
        kernels.begin_tasks(self._rows, np.array([number]), variant.table)
        self.game_row = int(self._rows["game"][0])
        self.game: Game = variant.select(self.game_row)
        self.labels = variant.labels[self.game_row]
        self.commitment: Commitment | None = None
        self.awaits_provider = True
        self.log: list[Pass] = []
        self.parts = dict.fromkeys(rules.PARTS, 0.0)
        self._end = rules.IN_PLAY

    @property
    def seed(self) -> int:
        """The seed of the task's coins."""
        return int(self._rows["seed"][0])

    @property
    def passes(self) -> int:
        """Passes played."""
        return int(self._rows["passes"][0])

    @property
    def model(self) -> int:
        """The model of the last pass, 1 or 2; 0 before the first."""
        return self.log[-1].model if self.log else 0

    @property
    def solved(self) -> bool:
        """Whether a pass succeeded."""
        return self._end == rules.SOLVED

    @property
    def abandoned(self) -> bool:
        """Whether the user left."""
        return self._end == rules.ABANDONED

    @property
    def truncated(self) -> bool:
        """Whether the task ran out of passes."""
        return self._end == rules.TRUNCATED

    @property
    def ended(self) -> bool:
        """Whether the task was solved or abandoned."""
        return self.solved or self.abandoned

    @property
    def over(self) -> bool:
        """Whether nobody is to move any more."""
        return self._end != rules.IN_PLAY

    @property
    def rewards(self) -> tuple[float, float]:
        """The rewards of the provider and the user for the last move."""
        parts = self.parts
        return -(parts["service_cost"] + parts["churn_penalty"]), parts["value"] - parts["latency"]

    def observe(self) -> npt.NDArray[np.float32]:
        """What both players see."""
        seen: npt.NDArray[np.float32] = self.variant.encode(self._rows)[0]
        return seen

    def state(self) -> npt.NDArray[np.float32]:
        """All there is to know, hidden choices and the history included."""
        everything: npt.NDArray[np.float32] = self.variant.encode(self._rows, everything=True)[0]
        return everything

    def draws(self) -> FloatArray:
        """The uniform numbers that the policies of this task may use, shape (5,)."""
        draws, _ = kernels.draw_tasks(self._rows["seed"], self._rows["number"], 1)
        own: FloatArray = draws[0]
        return own

    def stays(self, patience: float) -> bool:
        """Whether a user of the given patience re-prompts after the last pass."""
        return bool(rules.user_stays(int(self._rows["key"][0]), self.passes, patience))

    def commitment_from(self, action: npt.ArrayLike) -> Commitment:
        """What an action of the provider commits to.

        Raises:
            ValueError: The action is not allowed.
        """
        check_shape(action, self.variant.provider_space)
        return self.variant.commitment_from(self.game, action)

    def act(self, action: npt.ArrayLike) -> None:
        """The provider commits and the next pass is played.

        Raises:
            ValueError: The action is not allowed; nothing has changed.
        """
        self.commit(self.commitment_from(action))

    def commit(self, commitment: Commitment) -> None:
        """The provider commits and the next pass is played."""
        self.commitment = commitment
        self.awaits_provider = False
        model, cascade = commitment.model.reshape(1), commitment.cascade.reshape(1)
        parts = np.zeros((1, len(rules.PARTS)))
        kernels.commit_and_serve(self._rows, self.variant.table, model, cascade, commitment.delay.reshape(1, 2), parts)
        self._record(parts, served=True)

    def answer(self, action: int, *, route: bool = True) -> None:
        """The user answers a failed pass.

        Args:
            action: `RE_PROMPT` or `ABANDON`.
            route: Whether a re-prompt plays the next pass as committed; False where the provider is to choose it first.
        """
        parts, before = np.zeros((1, len(rules.PARTS))), self.passes
        actions, most = np.array([action], dtype=np.int64), self.variant.max_passes
        kernels.answer_failures(self._rows, self.variant.table, actions, route, most, parts)
        self._record(parts, served=self.passes > before)
        self.awaits_provider = not route and not self.over

    def play_out(self, patience: FloatArray) -> None:
        """Play the task to its end at once, with a user of fixed patience on each model, shape (2,)."""
        parts = np.zeros((1, len(rules.PARTS)))
        kernels.play_rest(self._rows, self.variant.table, patience[None].copy(), self.variant.max_passes, parts)
        self._record(parts, served=False)

    def declare_failure(self) -> None:
        """Let the pass that solved the task count as a failure, so that the user is asked."""
        self._rows["end"] = self._end = rules.IN_PLAY
        self.log[-1] = replace(self.log[-1], solved=False)

    def answer_and_act(self, action: int, choice: npt.ArrayLike) -> None:
        """The user answers a failed pass and the provider chooses the next one, which counts if there is one.

        Raises:
            ValueError: The provider's action is not allowed; nothing has changed.
        """
        commitment = self.commitment_from(choice)
        self.answer(action, route=False)
        if not self.over:
            self.commit(commitment)

    def _record(self, parts: FloatArray, served: bool) -> None:
        row = self._rows[0]
        self._end = int(row["end"])
        self.parts = dict(zip(rules.PARTS, parts[0].tolist(), strict=True))
        if served:
            model = int(row["model"])
            delay = float(row[f"delay_{model}"])
            latency = float(self.game.latency[model - 1])
            self.log.append(Pass(model, self.parts["service_cost"], latency, delay, self.solved))
