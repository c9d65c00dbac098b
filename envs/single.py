"""What the environments of a single task share: an engine of size one, its seed, and the passes that are rendered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gymnasium.error import ResetNeeded

from stackroute.envs import rules
from stackroute.envs.games import Specified
from stackroute.envs.rendering import Episode, Pass, Rendered
from stackroute.envs.tasks import task_seed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from stackroute.analytic import Equilibrium, Game, NashEquilibria, TrafficEquilibrium
    from stackroute.envs.rendering import Status
    from stackroute.envs.tasks import Tasks
    from stackroute.envs.variant import Variant

    Observation = npt.NDArray[np.float32]

_STATUS: dict[int, Status] = {rules.SOLVED: "solved", rules.ABANDONED: "abandoned", rules.TRUNCATED: "truncated"}


class SingleTask(Specified, Rendered):
    """Base of the environments of a single task.

    Attributes:
        variant: The variant of the game.
        tasks: The engine, of size one.
    """

    variant: Variant
    tasks: Tasks

    def _set_up(self, variant: Variant, tasks: Tasks, render_mode: Any) -> None:
        self.variant, self.tasks = variant, tasks
        self._seeded = self._begun = False
        self._log: list[Pass] = []
        self._set_up_rendering(render_mode)

    @property
    def game(self) -> Game:
        """The game of the task in play, shape (); before the first task, the first of all games."""
        return self.variant.games[int(self.tasks.rows["game"][0])]

    @property
    def equilibrium(self) -> Equilibrium | NashEquilibria | TrafficEquilibrium:
        """The exact solution of the game in play under this environment's options; see `Variant.equilibrium`."""
        return self.variant.equilibrium(self.game)

    def _seed(self, seed: int | None) -> None:
        """Seed the engine, where a seed is given or there was none."""
        if seed is not None or not self._seeded:
            self.tasks.seed(task_seed(seed))
            self._seeded = True
        self._begun = True
        self._log.clear()

    @property
    def _over(self) -> bool:
        return bool(self.tasks.rows["end"][0] != rules.IN_PLAY)

    def _check_in_play(self) -> None:
        if not self._begun or self._over:
            raise ResetNeeded("there is no task in play; call reset before step")

    def _record(self) -> None:
        """Keep a pass that was played, where the task is rendered."""
        row = self.tasks.rows[0]
        if self.render_mode is None or row["passes"] <= len(self._log):
            return
        model = int(row["model"])
        delay = float(row["delay"][model])
        solved = bool(row["end"] == rules.SOLVED)
        latency = float(self.game.latency[model])
        self._log.append(Pass(model, float(self.game.cost[model]), latency, delay, solved))

    def _episode(self) -> Episode:
        if not self._begun:
            raise ResetNeeded("there is no task; call reset first")
        row, game = self.tasks.rows[0], self.game
        by_pass = self.variant.routing == "pass"
        return Episode(
            number=int(row["number"]),
            labels=self.variant.labels[int(row["game"])],
            passes=tuple(self._log),
            status=_STATUS.get(int(row["end"]), "provider" if row["provider_moves"] else "user"),
            commitment=None if by_pass or row["provider_moves"] else self.tasks.commitment()[0],
            value=float(game.value),
            churn_penalty=float(game.churn_penalty),
            per_pass=by_pass,
            units=self.variant.units[int(row["game"])],
        )
