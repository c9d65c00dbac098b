"""Many providers without the power to commit: they choose a model before every pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic.game import MODELS
from stackroute.envs import kernels, rules
from stackroute.envs.batch import for_kernel
from stackroute.envs.encoding import check_unit_interval
from stackroute.envs.policies import find_user, patience_by_model
from stackroute.envs.task_batch import TaskBatch

if TYPE_CHECKING:
    from typing import Unpack

    import numpy.typing as npt

    from stackroute.analytic.game import BoolArray, FloatArray
    from stackroute.envs.games import GamesLike
    from stackroute.envs.policies import AnyUserPolicy
    from stackroute.envs.variant import Options


class PassBatch(TaskBatch):
    """Tasks whose next pass is to be routed, with users of a policy that do not see the provider's choices.

    A slot whose task ends takes up its next one in the same step.

    Args:
        game: A game or several, from which each task's is drawn.
        user: The user that answers: an object, or a registered name.
        size: Number of tasks n in play.
        seed: The seed of slot 0; slot i has seed + i.
        **options: See `Options`; `commitment` is `"pass"`.

    Attributes:
        user: The user.
    """

    def __init__(
        self,
        game: GamesLike,
        user: str | AnyUserPolicy,
        size: int,
        *,
        seed: int = 0,
        **options: Unpack[Options],
    ) -> None:
        self.user = find_user(user)
        if options.setdefault("commitment", "pass") != "pass":
            raise ValueError("commitment: 'task' is not allowed; expected 'pass' (ProviderBatch commits once)")
        super().__init__(game, size, seed, options)

    def step(self, actions: npt.ArrayLike) -> tuple[FloatArray, BoolArray, BoolArray]:
        """Serve the next pass of every task; where it fails, the user answers.

        Args:
            actions: One action of the variant's `provider_space` for each slot.

        Returns:
            The providers' rewards, whether each task terminated, and whether it was truncated, each of shape (n,).

        Raises:
            ValueError: The actions are not allowed; nothing has changed.
        """
        variant = self.variant
        boxed = variant.box_rows(actions, self.size)
        check_unit_interval(boxed, actions)
        self.parts = self._no_parts()
        kernels.serve_and_answer(
            self._tasks, variant.table, for_kernel(boxed), self._patience, variant.max_passes, self.parts
        )
        ended, truncated = self._ends()
        self._take_up(ended | truncated)
        return -(self.parts[:, rules.SERVICE_COST] + self.parts[:, rules.CHURN_PENALTY]), ended, truncated

    def _start(self) -> None:
        super()._start()
        self._patience = np.zeros((self.size, MODELS))
        self._go_on()

    def _go_on(self) -> None:
        self._take_up(np.ones(self.size, dtype=bool))

    def _take_up(self, where: BoolArray) -> None:
        if where.any():
            variant, tasks = self.variant, self._tasks[where]
            kernels.begin_tasks(tasks, tasks["number"] + 1, variant.table)
            self._tasks[where] = tasks
            draws, game = kernels.draw_tasks(tasks["seed"], tasks["number"], len(variant.games))
            self._patience[where] = patience_by_model(self.user, variant.select(game), None, draws[:, -1])
        self.observation = self.variant.encode(self._tasks)
