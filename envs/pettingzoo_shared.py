"""What the PettingZoo faces share: the game, its spaces, the tasks and what is told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gymnasium import spaces

from stackroute.envs import rendering
from stackroute.envs.encoding import observation_space
from stackroute.envs.task import Task, task_seed
from stackroute.envs.variant import Variant

if TYPE_CHECKING:
    from typing import Unpack

    import numpy as np
    import numpy.typing as npt

    from stackroute.analytic import Game
    from stackroute.envs.games import GamesLike
    from stackroute.envs.variant import Options

    Observation = npt.NDArray[np.float32]

PROVIDER = "provider_0"
USER = "user_0"


class Play(rendering.Rendered):
    """Base of both PettingZoo faces; see `stackroute.envs.RoutingGameEnv` for the arguments."""

    metadata: dict[str, Any] = {  # noqa: RUF012
        "name": "stackroute_v0",
        "render_modes": list(rendering.MODES),
        "render_fps": rendering.FRAMES_PER_SECOND,
        "is_parallelizable": False,
    }

    def __init__(
        self,
        game: GamesLike = "g4b",
        *,
        max_cycles: int | None = None,
        render_mode: str | None = None,
        **options: Unpack[Options],
    ) -> None:
        if max_cycles is not None:
            if "max_passes" in options:
                raise TypeError("max_cycles and max_passes are two names of one thing; give one of them")
            options["max_passes"] = max_cycles
        self.variant = Variant.of(game, **options)
        self._set_up_rendering(render_mode)
        self.possible_agents = [PROVIDER, USER]
        self.agents: list[str] = []
        self.observation_spaces: dict[str, spaces.Space[Any]] = dict.fromkeys(
            self.possible_agents, self.variant.observation_space
        )
        self.action_spaces: dict[str, spaces.Space[Any]] = {
            PROVIDER: self.variant.provider_space,
            USER: spaces.Discrete(2),
        }
        self.state_space = observation_space(history=True)
        self._seed: int | None = None
        self._number = 0

    @property
    def game(self) -> Game:
        """The game of the task in play; before the first, the first of all games."""
        return self.variant.games[0] if self.task is None else self.task.game

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """The observation space of an agent."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """The action space of an agent."""
        return self.action_spaces[agent]

    def state(self) -> Observation:
        """All there is to know of the task, hidden choices and the history included, shape (13,)."""
        return self._task_in_play().state()

    def _begin(self, seed: int | None) -> Task:
        if seed is not None or self._seed is None:
            self._seed = task_seed(seed)
            self._number = 0
        else:
            self._number += 1
        self.task = Task(self.variant, self._seed, self._number)
        self.agents = list(self.possible_agents)
        return self.task

    def _rewards_of(self, task: Task) -> dict[str, float]:
        return dict(zip(self.possible_agents, task.rewards, strict=True))

    def _infos_of(self, task: Task) -> dict[str, dict[str, Any]]:
        where, parts = {"pass": task.passes, "model": task.model}, task.parts
        return {
            PROVIDER: {**where, "service_cost": parts["service_cost"], "churn_penalty": parts["churn_penalty"]},
            USER: {**where, "latency": parts["latency"], "value": parts["value"]},
        }
