"""Both players of many tasks at once: the parallel environment, n times."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stackroute.envs.actions import answers_from
from stackroute.envs.tasks import Tasks
from stackroute.envs.variant import Variant

if TYPE_CHECKING:
    from typing import Unpack

    import numpy.typing as npt

    from stackroute.analytic import Equilibrium, NashEquilibria, TrafficEquilibrium
    from stackroute.analytic.game import BoolArray, FloatArray
    from stackroute.envs.games import GamesLike
    from stackroute.envs.tasks import Seeds
    from stackroute.envs.variant import Options


class BatchStep(NamedTuple):
    """One move in each of n tasks.

    Attributes:
        provider_observation: What the providers observe next, shape (n, width).
        user_observation: What the users observe next, shape (n, width).
        provider_reward: Shape (n,).
        user_reward: Shape (n,).
        terminated: Whether the task was solved or abandoned, shape (n,).
        truncated: Whether the task ran out of passes, shape (n,).
    """

    provider_observation: npt.NDArray[np.float32]
    user_observation: npt.NDArray[np.float32]
    provider_reward: FloatArray
    user_reward: FloatArray
    terminated: BoolArray
    truncated: BoolArray


class RoutingBatch:
    """Many tasks in play with both players outside: the parallel environment, n times.

    A step is one move in every task: the provider's where it is to commit (`awaits_commitment`), elsewhere the user's
    answer to a failed pass. The other player's action is not looked at; with `routing="pass"` the provider's choice of
    the next pass counts at every step. A slot whose task ends begins the next one in the same step.

    Args:
        game: A game or several, from which each task's is drawn.
        size: Number of tasks n in play.
        seed: The seed of slot 0; slot i has seed + i.
        **options: See `Options`.

    Attributes:
        tasks: The engine; `tasks.parts` are the parts of the last step's rewards, and `tasks.final_observation` all
            blocks of what was observed last, in the rows whose task ended with the last step.

    Examples:
        >>> batch = RoutingBatch("g1", size=3, seed=3, throttling=False)
        >>> step = batch.step(np.tile([0.0, 0.5], (3, 1)), np.zeros(3, dtype=int))
        >>> step.provider_reward, step.terminated
        (array([-0.2, -0.2, -0.2]), array([False,  True, False]))
    """

    def __init__(self, game: GamesLike, size: int, *, seed: int = 0, **options: Unpack[Options]) -> None:
        self.variant = Variant.of(game, **options)
        self.tasks = Tasks(self.variant, size, begins_anew=True)
        self.reset(seed)

    @property
    def size(self) -> int:
        """Number of tasks n in play."""
        return self.tasks.size

    @property
    def equilibrium(self) -> Equilibrium | NashEquilibria | TrafficEquilibrium:
        """The exact solutions of the games in play under these options, shape (n,); see `Variant.equilibrium`."""
        return self.variant.equilibrium(self.tasks.game)

    @property
    def awaits_commitment(self) -> BoolArray:
        """Where the provider is to commit, shape (n,)."""
        awaits: BoolArray = self.tasks.rows["passes"] == 0
        return awaits

    def reset(self, seed: Seeds | None = None) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Begin a task in every slot.

        Args:
            seed: The seed of slot 0, slot i then has seed + i; or one for each slot, shape (n,); None goes on to the
                next tasks.

        Returns:
            What the providers and the users observe, each of shape (n, width).
        """
        if seed is not None:
            self.tasks.seed(seed)
        self.tasks.begin()
        return self._observed()

    def step(self, actions: npt.ArrayLike, answers: npt.ArrayLike) -> BatchStep:
        """One move in every task.

        Args:
            actions: The providers', one of the action space for each slot.
            answers: The users', 0 to re-prompt and 1 to abandon, shape (n,).

        Returns:
            What follows, in arrays of its own.

        Raises:
            ValueError: The actions are not allowed; nothing has changed.
        """
        tasks, shape = self.tasks, (self.tasks.size,)
        tasks.step(self.variant.actions.rows(actions, shape), answers_from(answers, shape))
        provider_reward, user_reward = tasks.rewards.copy()
        terminated, truncated = tasks.ends.copy()
        return BatchStep(*self._observed(), provider_reward, user_reward, terminated, truncated)

    def _observed(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        observation = self.tasks.observation.copy()
        return observation[:, self.variant.columns["provider"]], observation[:, self.variant.columns["user"]]
