"""The PettingZoo faces: provider and user as two agents that move in turn, or at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils import wrappers

from stackroute.envs import rendering
from stackroute.envs.encoding import observation_space
from stackroute.envs.task import Task, answer_of, task_seed
from stackroute.envs.variant import Variant

if TYPE_CHECKING:
    from typing import Unpack

    import numpy.typing as npt

    from stackroute.analytic import Game
    from stackroute.envs.games import GamesLike
    from stackroute.envs.variant import Options

    Observation = npt.NDArray[np.float32]

PROVIDER = "provider_0"
USER = "user_0"


class _Play:
    """What both PettingZoo faces share: the game, its spaces, the tasks and what is told of them."""

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
        self.render_mode = rendering.checked_mode(render_mode)
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
        self.task: Task | None = None
        self._seed: int | None = None
        self._number = 0
        self._window = rendering.Window()

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
        return self._in_play().state()

    def render(self) -> rendering.Frame:
        """The task so far: a text (`"ansi"`), an image (`"rgb_array"`), or None (`"human"`: shown in a window)."""
        return rendering.render(self.render_mode, self._in_play(), self._window)

    def close(self) -> None:
        """Close the window, if there is one."""
        self._window.close()

    def _begin(self, seed: int | None) -> Task:
        if seed is not None or self._seed is None:
            self._seed = task_seed(seed)
            self._number = 0
        else:
            self._number += 1
        self.task = Task(self.variant, self._seed, self._number)
        self.agents = list(self.possible_agents)
        return self.task

    def _in_play(self) -> Task:
        if self.task is None:
            raise ResetNeeded("there is no task; call reset first")
        return self.task

    def _rewards(self, task: Task) -> dict[str, float]:
        return dict(zip(self.possible_agents, task.rewards, strict=True))

    def _infos(self, task: Task) -> dict[str, dict[str, Any]]:
        where, parts = {"pass": task.passes, "model": task.model}, task.parts
        return {
            PROVIDER: {**where, "service_cost": parts["service_cost"], "churn_penalty": parts["churn_penalty"]},
            USER: {**where, "latency": parts["latency"], "value": parts["value"]},
        }


class RoutingGameEnv(_Play, AECEnv[str, Any, Any]):
    """The routing game between an LLM provider and its user.

    ## Description
    One episode is one task. `provider_0` commits to a routing policy; nature plays a pass on the model in charge;
    after every failed pass `user_0`, who sees the commitment, re-prompts or abandons. The game and its exact
    Stackelberg equilibrium are those of Mahmood 2026 (arXiv:2602.09902); `stackroute.analytic.solve` computes it.

    With `commitment="pass"` the provider chooses a model before every pass, unseen by the user: after a re-prompt it is
    to move again. Without the power to commit the outcome of theory is `stackroute.analytic.nash_equilibria`.

    ## Action Space
    | agent | space | meaning |
    |---|---|---|
    | `provider_0` | Box(0, 1, (2,)), float64 | start model (2 from 1/2 upwards), cascade probability |
    | with `throttling` | Box(0, 1, (4,)), float64 | the same, and the delay of each model as a fraction of the value |
    | with `commitment="pass"` | Box(0, 1, (1,)), float64 | model of the next pass (2 from 1/2 upwards) |
    | with both | Box(0, 1, (2,)), float64 | the same, and the delay of the pass as a fraction of the value |
    | with `action="grid"` | Discrete(k) | the number of one of k such actions, `env.unwrapped.variant.grid` |
    | `user_0` | Discrete(2) | 0 re-prompt, 1 abandon |

    ## Observation Space
    Box(11,), float32, the same for both agents: the game's scaled parameters and the commitment (zeros before it is
    made, and where it is hidden). With `observe="history"` Box(13,): also the last model and the passes so far. The
    table is in `stackroute.envs.observation_space`. Without the history the user's policies are the stationary ones of
    the paper; with it the best of them is `stackroute.analytic.informed_response`. `state()` hides nothing.

    ## Rewards
    Every pass: minus its cost to the provider, minus its latency and delay to the user. A solved task gives the user
    its value, an abandoned one costs the provider the churn penalty. `infos` names the parts. The first pass belongs to
    the provider's move: the user finds its latency in the reward of its first turn.

    ## Starting State
    The provider is to commit. The game is the one given, or drawn from those given.

    ## Episode End
    Success or abandonment terminates. A re-prompt after `max_passes` passes truncates.

    ## Arguments
    | name | default | meaning |
    |---|---|---|
    | `game` | `"g4b"` | a `stackroute.Game`, the name or file of one, or several (a batch, a list), from which each task's game is drawn, such as `stackroute.analytic.stratified_games` |
    | `throttling` | False | whether the provider's action has delays |
    | `observe` | `"commitment"` | `"history"`: the agents also see what has been played |
    | `commitment` | `"task"` | `"pass"`: the provider chooses before every pass, unseen |
    | `action` | `"box"` | `"grid"`: the provider's action is a whole number |
    | `max_passes` | 1000 | passes before truncation; `max_cycles` is another name |
    | `reward_unit` | `"game"` | `"relative"`: rewards in units of the value, and of the largest cost plus the churn penalty |
    | `render_mode` | None | `"ansi"`: a text; `"rgb_array"`: a timeline of the task; `"human"`: the same in a window |

    ## Version History
    * v0: initial version
    """  # noqa: E501

    def __init__(
        self,
        game: GamesLike = "g4b",
        *,
        max_cycles: int | None = None,
        render_mode: str | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(game, max_cycles=max_cycles, render_mode=render_mode, **options)

    def observe(self, agent: str) -> Observation:
        """What both agents see."""
        return self._in_play().observe()

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Begin a task.

        Args:
            seed: Fixes this task and those of the resets that follow without a seed.
            options: Accepted for the API and not used.
        """
        self._begin(seed)
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {agent: {} for agent in self.agents}
        self.agent_selection = PROVIDER

    def step(self, action: Any) -> None:
        """Make the selected agent's move.

        Args:
            action: As the agent's action space says; None for an agent that is done.

        Raises:
            ValueError: The action is not allowed; the state is unchanged.
        """
        task = self._in_play()
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        if agent == PROVIDER:
            task.act(action)
            self.agent_selection = USER
        else:
            task.answer(answer_of(action), route=not self.variant.per_pass)
            self.agent_selection = PROVIDER if task.awaits_provider else USER
        self._cumulative_rewards[agent] = 0.0
        self.rewards = self._rewards(task)
        self._accumulate_rewards()
        self.terminations = dict.fromkeys(self.agents, task.ended)
        self.truncations = dict.fromkeys(self.agents, task.truncated)
        self.infos = self._infos(task)
        if task.over:
            self._deads_step_first()
        if self.render_mode == "human":
            self.render()


class ParallelRoutingGameEnv(_Play, ParallelEnv[str, Any, Any]):
    """The routing game with both agents asked at every step.

    ## Description
    As `RoutingGameEnv`; a step is one move. At the first the provider commits and the first pass is played; at every
    further one the user answers the failed pass, and the next is played if it re-prompts. So the reward of a re-prompt
    comes with the step that makes it. The action of the agent that is not to move is ignored, and may be left out; with
    `commitment="pass"` the user's answer and the provider's choice for the next pass are made at once, and both count.

    The action and observation spaces, rewards, starting state, episode end, arguments and versions are those of
    `RoutingGameEnv`. The first pass's latency is in the user's reward of the first step, at which it has no choice.
    """

    def __init__(
        self,
        game: GamesLike = "g4b",
        *,
        max_cycles: int | None = None,
        render_mode: str | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(game, max_cycles=max_cycles, render_mode=render_mode, **options)

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Begin a task.

        Args:
            seed: Fixes this task and those of the resets that follow without a seed.
            options: Accepted for the API and not used.

        Returns:
            Observations and empty infos of both agents.
        """
        task = self._begin(seed)
        return self._observations(task), {agent: {} for agent in self.agents}

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Make one move.

        Args:
            actions: Of both agents, or at least of those whose action counts.

        Returns:
            Observations, rewards, terminations, truncations and infos of both agents.

        Raises:
            ResetNeeded: There is no task in play.
            ValueError: An action is missing or not allowed; the state is unchanged.
        """
        task = self._in_play()
        if task.over:
            raise ResetNeeded("the task has ended; call reset before step")
        if task.passes == 0:
            task.act(_of(actions, PROVIDER))
        else:
            answer = answer_of(_of(actions, USER))
            if self.variant.per_pass:
                task.answer_and_act(answer, _of(actions, PROVIDER))
            else:
                task.answer(answer)
        agents = self.agents
        result = (
            self._observations(task),
            self._rewards(task),
            dict.fromkeys(agents, task.ended),
            dict.fromkeys(agents, task.truncated),
            self._infos(task),
        )
        if task.over:
            self.agents = []
        if self.render_mode == "human":
            self.render()
        return result

    def _observations(self, task: Task) -> dict[str, Observation]:
        return {agent: task.observe() for agent in self.possible_agents}


def _of(actions: dict[str, Any], agent: str) -> Any:
    if agent not in actions:
        raise ValueError(f"actions: {sorted(actions)} are not allowed; expected one of {agent}, which is to move")
    return actions[agent]


raw_env = RoutingGameEnv
parallel_env = ParallelRoutingGameEnv


def env(*args: Any, **kwargs: Any) -> AECEnv[str, Any, Any]:
    """The routing game with PettingZoo's usual wrapper against calls out of order.

    Args:
        *args: The game, as for `RoutingGameEnv`.
        **kwargs: The other arguments of `RoutingGameEnv`.

    Returns:
        The wrapped environment.
    """
    return wrappers.OrderEnforcingWrapper(raw_env(*args, **kwargs))
