"""The PettingZoo environments: provider and user as two agents, in turn (AEC) or asked at every step (parallel)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gymnasium import spaces
from gymnasium.error import ResetNeeded
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.env import AECIterable

from stackroute.envs import rendering
from stackroute.envs.actions import answers_from
from stackroute.envs.observations import BLOCKS, observation_space
from stackroute.envs.single import SingleTask
from stackroute.envs.tasks import Tasks
from stackroute.envs.variant import Variant

if TYPE_CHECKING:
    from typing import Unpack

    from stackroute.envs.games import GamesLike
    from stackroute.envs.single import Observation
    from stackroute.envs.variant import Options

PROVIDER, USER = "provider_0", "user_0"

_AFTER_RESET = ("rewards", "terminations", "truncations", "infos", "agent_selection", "_cumulative_rewards")


class _TwoPlayers(SingleTask):
    """Base of both PettingZoo environments; see `stackroute.envs.RoutingGameEnv` for the arguments."""

    _in_turn = False
    metadata: dict[str, Any] = {  # noqa: RUF012
        "name": "stackroute_v0",
        "render_modes": list(rendering.MODES),
        "render_fps": rendering.FRAMES_PER_SECOND,
        # PettingZoo's `aec_to_parallel` asks every agent in every cycle; here the one that is to move is asked.
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
        variant = Variant.of(game, **options)
        self._set_up(variant, Tasks(variant, 1, in_turn=self._in_turn), render_mode)
        self.possible_agents = [PROVIDER, USER]
        self.agents: list[str] = []
        self.observation_spaces: dict[str, spaces.Space[Any]] = {
            PROVIDER: variant.observation_space("provider"),
            USER: variant.observation_space("user"),
        }
        self.action_spaces: dict[str, spaces.Space[Any]] = {PROVIDER: variant.actions.space, USER: spaces.Discrete(2)}
        self.state_space = observation_space(variant.models, BLOCKS)
        self._columns = {PROVIDER: variant.columns["provider"], USER: variant.columns["user"]}

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """The observation space of an agent."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """The action space of an agent."""
        return self.action_spaces[agent]

    def state(self) -> Observation:
        """All that can be observed of the task, also what the options hide from the agents."""
        self._check_begun()
        everything: Observation = self.tasks.state()[0]
        return everything

    def _check_begun(self) -> None:
        if not self._begun:
            raise ResetNeeded("there is no task; call reset first")

    def _begin(self, seed: int | None) -> None:
        self._seed(seed)
        self.tasks.begin()
        self.agents = [PROVIDER, USER]

    def _observed(self, agent: str) -> Observation:
        observed: Observation = self.tasks.observation[0, self._columns[agent]].copy()
        return observed

    def _move(self, provider: Any, user: Any) -> tuple[dict[str, float], bool, bool, dict[str, dict[str, Any]]]:
        """One step of the engine; None for a player whose action does not count."""
        tasks = self.tasks
        actions = None if provider is None else self.variant.actions.rows(provider, ())[None]
        tasks.step(actions, None if user is None else answers_from(user, ()).reshape(1))
        self._record()
        (provider_reward,), (user_reward,) = tasks.rewards.tolist()
        (ended,), (truncated,) = tasks.ends.tolist()
        rewards = {PROVIDER: provider_reward, USER: user_reward}
        return rewards, ended, truncated, self._infos(tasks.parts[0].tolist())

    def _infos(self, parts: list[float]) -> dict[str, dict[str, Any]]:
        """The number of passes, the model of the last one (-1 before the first), and the parts of the rewards."""
        row = self.tasks.rows[0]
        passes = int(row["passes"])
        model = int(row["model"]) if passes else -1
        service_cost, churn_penalty, latency, value = parts
        return {
            PROVIDER: {"pass": passes, "model": model, "service_cost": service_cost, "churn_penalty": churn_penalty},
            USER: {"pass": passes, "model": model, "latency": latency, "value": value},
        }


class RoutingGameEnv(_TwoPlayers, AECEnv[str, Any, Any]):
    """The routing game between an LLM provider and its user.

    ## Description
    One episode is one task. `provider_0` commits to a routing policy; a pass is played on the model in charge; after
    every failed pass `user_0`, who sees the commitment, re-prompts or abandons. The game and its exact Stackelberg
    equilibrium are those of Mahmood 2026 (arXiv:2602.09902) for two models and `routing="cascade"`; more models and
    the other routings are beyond the paper. `env.unwrapped.equilibrium` is the exact solution of the game in play.

    With `routing="pass"` the provider chooses a model before every pass, unseen by the user: after a re-prompt it is
    to move again. Without the power to commit the outcome of theory is `stackroute.analytic.nash_equilibria`.

    ## Action Space
    | agent | space | meaning |
    |---|---|---|
    | `provider_0` | Box(0, 1, (2 n,)), float64 | start model of n (k from k/n upwards), n - 1 probabilities of moving on to the next model, n delays as fractions of the value |
    | with `routing="lottery"` | Box(0, 1, (2 n + 1,)), float64 | start model, n weights of the models that serve re-prompts, n delays |
    | with `routing="pass"` | Box(0, 1, (2,)), float64 | model of the next pass, its delay |
    | with `throttling=False` | | the same without delays |
    | with `action="grid"` | Discrete(k) | the number of one of k such actions, `env.unwrapped.variant.actions.grid` |
    | `user_0` | Discrete(2) | 0 re-prompt, 1 abandon |

    ## Observation Space
    Box, float32. `provider_0` observes the block `"game"`, `user_0` also `"commitment"` (zeros before it is made);
    the option `observe` adds or removes blocks, `"history"` among them. The table is in
    `stackroute.envs.observation_space`. Without the history the user's policies are the stationary ones of the paper;
    with it the best of them is `stackroute.analytic.informed_response`. `state()` is all blocks.

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
    | `game` | `"g4b"` | a `stackroute.Game`, the name or file of one, or several (a batch, a list), from which each task's game is drawn, such as `stackroute.analytic.stratified_games`; or a `stackroute.analytic.Traffic`, tasks of hidden types |
    | `routing` | `"cascade"` | `"lottery"`: re-prompts are served by a lottery; `"pass"`: the provider chooses before every pass, unseen |
    | `throttling` | True | whether the provider's action has delays |
    | `observe` | `{"provider": ["game"], "user": ["game", "commitment"]}` | the blocks that each player observes |
    | `action` | `"box"` | `"grid"`: the provider's action is a whole number |
    | `max_passes` | 1000 | passes before truncation; `max_cycles` is another name |
    | `reward_unit` | `"game"` | `"relative"`: rewards in units of the value, and of the largest cost plus the churn penalty |
    | `render_mode` | None | `"ansi"`: a text; `"rgb_array"`: a timeline of the task; `"human"`: the same in a window |

    ## Version History
    * v0: initial version
    """  # noqa: E501

    _in_turn = True

    def __getattr__(self, name: str) -> Any:
        """Of what does not exist before the first reset."""
        if name in _AFTER_RESET:
            raise AttributeError(f"{name} does not exist before reset; call reset first")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def agent_iter(self, max_iter: int = 2**63) -> AECIterable[str, Any, Any]:
        """Iterate over the agents that are to move."""
        self._check_begun()
        return super().agent_iter(max_iter)

    def observe(self, agent: str) -> Observation:
        """What an agent observes."""
        self._check_begun()
        return self._observed(agent)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Begin a task.

        Args:
            seed: Fixes this task and those of the resets that follow without a seed.
            options: Accepted for the API and not used.
        """
        self._begin(seed)
        self.rewards = {PROVIDER: 0.0, USER: 0.0}
        self._cumulative_rewards = {PROVIDER: 0.0, USER: 0.0}
        self.terminations = {PROVIDER: False, USER: False}
        self.truncations = {PROVIDER: False, USER: False}
        self.infos = self._infos([0.0] * 4)
        self.agent_selection = PROVIDER
        self._show()

    def step(self, action: Any) -> None:
        """Make the selected agent's move.

        Args:
            action: As the agent's action space says; None for an agent that is done.

        Raises:
            ValueError: The action is not allowed; the state is unchanged.
        """
        self._check_begun()
        if not self.agents:
            raise ResetNeeded("the task has ended; call reset before step")
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        if action is None:
            raise ValueError(f"action: None is not allowed; expected one of {self.action_spaces[agent]}")
        moves = (action, None) if agent == PROVIDER else (None, action)
        self.rewards, ended, truncated, self.infos = self._move(*moves)
        self._cumulative_rewards[agent] = 0.0
        self._accumulate_rewards()
        if ended or truncated:
            self.terminations = {PROVIDER: ended, USER: ended}
            self.truncations = {PROVIDER: truncated, USER: truncated}
            self.agent_selection = USER
            self._deads_step_first()
        else:
            self.agent_selection = PROVIDER if self.tasks.rows["provider_moves"][0] else USER
        self._show()


class ParallelRoutingGameEnv(_TwoPlayers, ParallelEnv[str, Any, Any]):
    """The routing game with both agents asked at every step.

    ## Description
    As `RoutingGameEnv`; a step is one move. At the first the provider commits and the first pass is played; at every
    further one the user answers the failed pass, and the next is played if it re-prompts. So the reward of a re-prompt
    comes with the step that makes it. The action of the agent that is not to move is not looked at, and may be left
    out; with `routing="pass"` the user's answer and the provider's choice for the next pass are made at once, and
    both count.

    The action and observation spaces, rewards, starting state, episode end, arguments and versions are those of
    `RoutingGameEnv`. The first pass's latency is in the user's reward of the first step, at which it has no choice.
    """

    metadata: dict[str, Any] = {**_TwoPlayers.metadata, "is_parallelizable": True}  # noqa: RUF012

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Begin a task.

        Args:
            seed: Fixes this task and those of the resets that follow without a seed.
            options: Accepted for the API and not used.

        Returns:
            Observations and infos of both agents.
        """
        self._begin(seed)
        self._show()
        return {agent: self._observed(agent) for agent in self.agents}, self._infos([0.0] * 4)

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
        if not self.agents:
            raise ResetNeeded("there is no task in play; call reset before step")
        commits = self.tasks.rows["provider_moves"][0]
        provider = _of(actions, PROVIDER) if commits or self.variant.routing == "pass" else None
        user = None if commits else _of(actions, USER)
        rewards, ended, truncated, infos = self._move(provider, user)
        result = (
            {PROVIDER: self._observed(PROVIDER), USER: self._observed(USER)},
            rewards,
            {PROVIDER: ended, USER: ended},
            {PROVIDER: truncated, USER: truncated},
            infos,
        )
        if ended or truncated:
            self.agents = []
        self._show()
        return result


def _of(actions: dict[str, Any], agent: str) -> Any:
    if not isinstance(actions, Mapping) or actions.get(agent) is None:
        raise ValueError(f"actions: {actions!r} are not allowed; expected one of {agent}, whose action counts")
    return actions[agent]


raw_env = RoutingGameEnv
parallel_env = ParallelRoutingGameEnv


def env(*args: Any, **kwargs: Any) -> RoutingGameEnv:
    """The routing game, as PettingZoo's environments are usually made.

    There is no wrapper: the environment itself refuses calls out of order.

    Args:
        *args: The game, as for `RoutingGameEnv`.
        **kwargs: The other arguments of `RoutingGameEnv`.

    Returns:
        The environment.
    """
    return RoutingGameEnv(*args, **kwargs)
