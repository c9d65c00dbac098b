"""The parallel PettingZoo face: both agents are asked at every step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gymnasium.error import ResetNeeded
from pettingzoo import ParallelEnv

from stackroute.envs.pettingzoo_shared import PROVIDER, USER, Play
from stackroute.envs.task import answer_of

if TYPE_CHECKING:
    from stackroute.envs.pettingzoo_shared import Observation
    from stackroute.envs.task import Task


class ParallelRoutingGameEnv(Play, ParallelEnv[str, Any, Any]):
    """The routing game with both agents asked at every step.

    ## Description
    As `RoutingGameEnv`; a step is one move. At the first the provider commits and the first pass is played; at every
    further one the user answers the failed pass, and the next is played if it re-prompts. So the reward of a re-prompt
    comes with the step that makes it. The action of the agent that is not to move is not looked at, and may be left
    out; with `commitment="pass"` the user's answer and the provider's choice for the next pass are made at once, and
    both count.

    The action and observation spaces, rewards, starting state, episode end, arguments and versions are those of
    `RoutingGameEnv`. The first pass's latency is in the user's reward of the first step, at which it has no choice.
    """

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
        self._show()
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
        task = self._task_in_play()
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
            self._rewards_of(task),
            dict.fromkeys(agents, task.ended),
            dict.fromkeys(agents, task.truncated),
            self._infos_of(task),
        )
        if task.over:
            self.agents = []
        self._show()
        return result

    def _observations(self, task: Task) -> dict[str, Observation]:
        return {agent: task.observe() for agent in self.possible_agents}


def _of(actions: dict[str, Any], agent: str) -> Any:
    if not isinstance(actions, Mapping) or agent not in actions:
        raise ValueError(f"actions: {actions!r} are not allowed; expected one of {agent}, whose action counts")
    return actions[agent]


parallel_env = ParallelRoutingGameEnv
