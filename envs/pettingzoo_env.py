"""The PettingZoo face: provider and user as two agents that move in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gymnasium.error import ResetNeeded
from pettingzoo import AECEnv
from pettingzoo.utils import wrappers

from stackroute.envs.pettingzoo_shared import PROVIDER, USER, Play
from stackroute.envs.task import answer_of

if TYPE_CHECKING:
    from stackroute.envs.pettingzoo_shared import Observation


class RoutingGameEnv(Play, AECEnv[str, Any, Any]):
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

    def observe(self, agent: str) -> Observation:
        """What both agents see."""
        return self._task_in_play().observe()

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
        self._show()

    def step(self, action: Any) -> None:
        """Make the selected agent's move.

        Args:
            action: As the agent's action space says; None for an agent that is done.

        Raises:
            ValueError: The action is not allowed; the state is unchanged.
        """
        task = self._task_in_play()
        if not self.agents:
            raise ResetNeeded("the task has ended; call reset before step")
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
        self.rewards = self._rewards_of(task)
        self._accumulate_rewards()
        self.terminations = dict.fromkeys(self.agents, task.ended)
        self.truncations = dict.fromkeys(self.agents, task.truncated)
        self.infos = self._infos_of(task)
        if task.over:
            self._deads_step_first()
        self._show()


raw_env = RoutingGameEnv


def env(*args: Any, **kwargs: Any) -> AECEnv[str, Any, Any]:
    """The routing game with PettingZoo's usual wrapper against calls out of order.

    Args:
        *args: The game, as for `RoutingGameEnv`.
        **kwargs: The other arguments of `RoutingGameEnv`.

    Returns:
        The wrapped environment.
    """
    return wrappers.OrderEnforcingWrapper(raw_env(*args, **kwargs))
