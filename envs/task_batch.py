"""What batches of tasks in play share: their rows, what is seen of them, and how a step of them ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.envs import rules
from stackroute.envs.batch import Batch

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic.game import BoolArray, FloatArray, IntArray


class TaskBatch(Batch):
    """Tasks in play whose episodes take several steps; a slot whose task ends takes up its next one in the same step.

    Attributes:
        final_observation: What was seen after the last step, before slots took up new tasks, as `observation`.
        parts: The parts of the last step's rewards, shape (n, 4), in the order of `stackroute.envs.rules.PARTS`.
        where: The number ("pass") and the model ("model") of each task's last pass after the last step.
    """

    final_observation: npt.NDArray[np.float32]
    parts: FloatArray
    where: dict[str, IntArray]

    def _start(self) -> None:
        self._tasks = np.zeros(self.size, rules.TASK)
        self._tasks["seed"] = self._seeds
        self._tasks["number"] = -1

    def _no_parts(self) -> FloatArray:
        return np.zeros((self.size, len(rules.PARTS)))

    def _ends(self) -> tuple[BoolArray, BoolArray]:
        """Keep what a step has led to; returns whether each task terminated, and whether it was truncated."""
        end = self._tasks["end"]
        self.where = {"pass": self._tasks["passes"].astype(np.int64), "model": self._tasks["model"].astype(np.int64)}
        if self.variant.observe == "history":
            self.observation = self.variant.encode(self._tasks)
        self.final_observation = self.observation
        return (end == rules.SOLVED) | (end == rules.ABANDONED), end == rules.TRUNCATED
