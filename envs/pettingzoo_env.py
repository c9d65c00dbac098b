"""The PettingZoo face: provider and user as two agents that move in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv
from pettingzoo.utils import wrappers

from stackroute.envs.encoding import check_shape, commitment_from_action, commitment_space, observation_space, observe
from stackroute.envs.games import GameLike, count, find_game
from stackroute.envs.rules import ABANDON
from stackroute.envs.task import DEFAULT_MAX_PASSES, Task, task_seed

if TYPE_CHECKING:
    import numpy.typing as npt

PROVIDER = "provider_0"
USER = "user_0"


def env(*args: Any, **kwargs: Any) -> AECEnv[str, Any, Any]:
    """The routing game with PettingZoo's usual wrapper against calls out of order.

    Args:
        *args: The game, as for `RoutingGameEnv`.
        **kwargs: The other arguments of `RoutingGameEnv`.

    Returns:
        The wrapped environment.
    """
    return wrappers.OrderEnforcingWrapper(raw_env(*args, **kwargs))


class RoutingGameEnv(AECEnv[str, Any, Any]):
    """The routing game between an LLM provider and its user.

    ## Description
    One episode is one task. `provider_0` commits to a routing policy; nature plays a pass on the model in charge;
    after every failed pass `user_0`, who sees the commitment, re-prompts or abandons. The game and its exact
    Stackelberg equilibrium are those of Mahmood 2026 (arXiv:2602.09902); `stackroute.analytic.solve` computes it.

    ## Action space
    | agent | space | meaning |
    |---|---|---|
    | `provider_0` | Box(0, 1, (4,)), float64 | start model (2 from 1/2 upwards), cascade probability, delay of each model as a fraction of the value; Box(0, 1, (2,)), the first two, without throttling |
    | `user_0` | Discrete(2) | 0 re-prompt, 1 abandon |

    ## Observation space
    Box(11,), float32, the same for both agents: the game's scaled parameters and the commitment (zeros before it is
    made); the table is in `stackroute.envs.observation_space`. The user sees no history, so its policies are the
    stationary ones of the paper.

    ## Rewards
    Every pass: minus its cost to the provider, minus its latency and delay to the user. A solved task gives the user
    its value, an abandoned one costs the provider the churn penalty. `infos` names the parts.

    ## Starting state
    The provider is to commit. The game is fixed.

    ## Episode end
    Success or abandonment terminates. A re-prompt after `max_passes` passes truncates.

    ## Arguments
    | name | default | meaning |
    |---|---|---|
    | `game` | `"g4b"` | a `stackroute.Game`, or the name or file of a game |
    | `throttling` | False | whether the provider's action has delays |
    | `max_passes` | 1000 | passes before truncation |
    | `render_mode` | None | `"ansi"`: `render()` returns the task's state in a line of text |

    ## Version history
    * v0: initial version
    """  # noqa: E501

    metadata = {  # noqa: RUF012
        "name": "stackroute_v0",
        "render_modes": ["ansi"],
        "is_parallelizable": False,
    }

    def __init__(
        self,
        game: GameLike = "g4b",
        *,
        throttling: bool = False,
        max_passes: int = DEFAULT_MAX_PASSES,
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode: {render_mode!r} is not allowed; expected None or 'ansi'")
        self.game = find_game(game)
        self.throttling = throttling
        self.max_passes = count("max_passes", max_passes)
        self.render_mode = render_mode
        self.possible_agents = [PROVIDER, USER]
        self.observation_spaces = {agent: observation_space() for agent in self.possible_agents}
        self.action_spaces = {PROVIDER: commitment_space(throttling), USER: spaces.Discrete(2)}
        self._seed: int | None = None
        self._number = 0

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """The observation space of an agent."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """The action space of an agent."""
        return self.action_spaces[agent]

    def observe(self, agent: str) -> npt.NDArray[np.float32]:
        """The game and the commitment, as both agents see them."""
        return observe(self.game, self.task.commitment)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Begin a task.

        Args:
            seed: Fixes this task and those of the resets that follow without a seed.
            options: Accepted for the API and not used.
        """
        if seed is not None or self._seed is None:
            self._seed = task_seed(seed)
            self._number = 0
        else:
            self._number += 1
        self.task = Task(self.game, self._seed, self._number, self.max_passes)
        self.agents = list(self.possible_agents)
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
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        task = self.task
        if agent == PROVIDER:
            check_shape(action, self.action_spaces[PROVIDER])
            rewards = task.commit(commitment_from_action(self.game, action))
            self.agent_selection = USER
        elif not self.action_spaces[USER].contains(action):
            raise ValueError(f"action: {action!r} is not allowed; expected 0 (re-prompt) or 1 (abandon)")
        else:
            rewards = task.abandon() if action == ABANDON else task.re_prompt()
        self._cumulative_rewards[agent] = 0.0
        self.rewards = dict(zip(self.possible_agents, rewards, strict=True))
        self._accumulate_rewards()
        self.terminations = dict.fromkeys(self.agents, task.ended)
        self.truncations = dict.fromkeys(self.agents, task.truncated)
        self.infos = self._describe(rewards)
        if task.ended or task.truncated:
            self._deads_step_first()

    def render(self) -> str | None:
        """The task's state in a line of text, with `render_mode="ansi"`; None otherwise."""
        if self.render_mode is None:
            return None
        task = self.task
        if task.commitment is None:
            return f"task {task.number}: the provider is to commit"
        outcome = "solved" if task.solved else "abandoned" if task.abandoned else "failed"
        cascade = float(task.commitment.cascade)
        return f"task {task.number}, cascade {cascade:.3f}: pass {task.passes} on model {task.model} {outcome}"

    def close(self) -> None:
        """Nothing to release."""

    def _describe(self, rewards: tuple[float, float]) -> dict[str, dict[str, Any]]:
        task = self.task
        where = {"pass": task.passes, "model": task.model}
        churn = -rewards[0] if task.abandoned else 0.0
        value = float(self.game.value) if task.solved else 0.0
        return {
            PROVIDER: {**where, "service_cost": -rewards[0] - churn, "churn_penalty": churn},
            USER: {**where, "latency": value - rewards[1], "value": value},
        }


raw_env = RoutingGameEnv
