"""The Gymnasium environments of the provider, single and vector: a policy plays the user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from stackroute.envs import rendering, rules
from stackroute.envs.games import count
from stackroute.envs.policies import StatefulUserPolicy, find_user, patience_by_model
from stackroute.envs.single import SingleTask
from stackroute.envs.tasks import OUTCOMES, Rollouts, Tasks, UserTurns
from stackroute.envs.variant import Variant
from stackroute.envs.vector import TaskVectorEnv

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Unpack

    import numpy.typing as npt

    from stackroute.analytic.game import BoolArray, FloatArray
    from stackroute.envs.games import GamesLike
    from stackroute.envs.policies import AnyUserPolicy
    from stackroute.envs.single import Observation
    from stackroute.envs.variant import Options

    Infos = dict[str, npt.NDArray[Any]]


class _ServedTasks:
    """Commitments, or choices pass by pass, that are served to tasks of a user's policy.

    Args:
        variant: The variant of the game.
        size: Number of slots n.
        user: The policy.
        tasks_per_commitment: Tasks over which the outcome of a commitment is averaged.
    """

    def __init__(self, variant: Variant, size: int, user: AnyUserPolicy, tasks_per_commitment: int) -> None:
        self.each = count("tasks_per_commitment", tasks_per_commitment)
        self.by_pass = variant.routing == "pass"
        if self.by_pass and self.each > 1:
            raise ValueError(f"tasks_per_commitment: {tasks_per_commitment} is not allowed; expected 1 with 'pass'")
        traffic = variant.traffic
        if traffic and self.each > 1 and len(traffic.contexts) * len(traffic.groups) > 1:
            allowed = "1 where tasks have contexts or groups"
            raise ValueError(f"tasks_per_commitment: {tasks_per_commitment} is not allowed; expected {allowed}")
        self.tasks = Tasks(variant, size, in_turn=True)
        self.user, self.turns = user, UserTurns(user, self.tasks)
        self._following = np.zeros(size, dtype=np.int64)

    def begin(self, slots: npt.NDArray[np.int64] | None, *, reseeded: bool) -> None:
        """Begin the next episode in all slots, or in some."""
        if reseeded:
            self._following[:] = 0
            self.turns.forget()
        chosen = np.arange(self.tasks.size) if slots is None else slots
        self.tasks.begin(chosen, numbers=self._following[chosen])
        self._following[chosen] += self.each
        if self.by_pass:
            self.turns.begin(slots)

    def commit(self, actions: FloatArray, after_step: Callable[[], None] | None = None) -> Infos:
        """Serve commitments to all their tasks.

        Args:
            actions: Rows of the box, shape (n, width).
            after_step: Called after every move of the first tasks, which are played move by move for it.

        Returns:
            Means over the tasks, as of `Rollouts.play`.
        """
        tasks, user = self.tasks, self.user
        variant, first, game = tasks.variant, tasks.rows["number"].copy(), tasks.rows["game"].copy()
        _, numbers = tasks.random_numbers()
        # With a Traffic each task of a commitment has a type, and so a user, of its own.
        if not isinstance(user, StatefulUserPolicy) and variant.traffic is None:
            commitment = variant.actions.decoded(tasks.game, actions)
            shown = commitment if "commitment" in variant.observe["user"] else None
            patience = patience_by_model(user, tasks.game, shown, numbers)
            rollouts = Rollouts(variant, tasks.rows["seed"], first, self.each, game, commitment, begun=1)
            means = rollouts.play(patience)
            if after_step is not None:
                self.turns.play(actions, numbers, after_step)
            return means
        totals = np.zeros((tasks.size, 7))
        for k in range(self.each):
            if k > 0:
                tasks.begin(numbers=first + k)
                if variant.traffic is None:
                    tasks.rows["game"] = game
            totals[:, :4] += self.turns.play(actions, numbers, after_step if k == 0 else None)
            totals[:, rules.PASSES] += tasks.rows["passes"]
            totals[:, rules.SOLVED_SHARE] += tasks.rows["end"] == rules.SOLVED
            totals[:, rules.ABANDONED_SHARE] += tasks.rows["end"] == rules.ABANDONED
            if k == 0:
                first_rows = tasks.rows.copy()
        tasks.rows[:] = first_rows
        return {name: totals[:, k] / self.each for k, name in enumerate(OUTCOMES)}

    def choose(self, actions: FloatArray, after_step: Callable[[], None] | None = None) -> Infos:
        """Serve the next pass of every task; where it fails, the user answers."""
        tasks = self.tasks
        tasks.step(actions)
        parts = tasks.parts.copy()
        if after_step is not None:
            after_step()
        tasks.step(answers=self.turns.answers())
        parts += tasks.parts
        where = {"pass": tasks.rows["passes"].astype(np.int64), "model": tasks.rows["model"].astype(np.int64)}
        return {**dict(zip(rules.PARTS, parts.T, strict=True)), **where}

    def begun(self) -> Infos:
        """The infos before the first move, under the names of all other infos."""
        zero = np.zeros(self.tasks.size)
        if self.by_pass:
            return dict.fromkeys(rules.PARTS, zero) | {
                "pass": zero.astype(np.int64),
                "model": zero.astype(np.int64) - 1,
            }
        return dict.fromkeys(OUTCOMES, zero)


class ProviderEnv(SingleTask, gymnasium.Env[Any, Any]):
    """The provider's side of the routing game; the user is a policy.

    ## Description
    The provider makes one commitment, which is served to `tasks_per_commitment` tasks of a user that sees it
    (Mahmood 2026, arXiv:2602.09902; more than two models and other routings are beyond the paper).
    `env.unwrapped.equilibrium` is the best one with its cost.

    With `routing="pass"` it has no power to commit: it chooses a model before every pass of a task, and the user,
    who does not see the choice, answers each failure with a patience of its own.

    ## Action Space
    | options | space | meaning |
    |---|---|---|
    | - | Box(0, 1, (2 n,)), float64 | start model of n (k from k/n upwards), n - 1 probabilities of moving on to the next model, n delays as fractions of the value |
    | `routing="lottery"` | Box(0, 1, (2 n + 1,)), float64 | start model, n weights of the models that serve re-prompts, n delays |
    | `routing="pass"` | Box(0, 1, (2,)), float64 | model of the next pass, its delay |
    | `throttling=False` | | the same without delays |
    | `action="grid"` | Discrete(k) | the number of one of k such actions, `env.unwrapped.variant.actions.grid` |

    ## Observation Space
    Box, float32: the block `"game"`; the option `observe` adds others, such as `"history"` for a provider that routes
    pass by pass. The table is in `stackroute.envs.observation_space`.

    ## Rewards
    Minus the mean cost of a task: service cost and churn penalty. With `routing="pass"` minus that of the pass and
    of the answer to it. `info` names the parts.

    ## Starting State
    The provider is to commit. The game is the one given, or drawn from those given.

    ## Episode End
    An episode terminates after one step. With `routing="pass"` it is one task: success or abandonment terminates, a
    re-prompt after `max_passes` passes truncates.

    ## Arguments
    | name | default | meaning |
    |---|---|---|
    | `game` | `"g4b"` | a `stackroute.Game`, the name or file of one, or several (a batch, a list), from which each episode's game is drawn, such as `stackroute.analytic.stratified_games`; or a `stackroute.analytic.Traffic`, tasks of hidden types |
    | `user` | `"rational"` | the user: an object with a `patience` or `patience_by_model` method, or with `begin`, `update` and `stay`; or a registered name; `"informed"` sees which model served |
    | `tasks_per_commitment` | 1 | tasks over which the reward is averaged |
    | `routing` | `"cascade"` | `"lottery"`: re-prompts are served by a lottery; `"pass"`: the provider chooses before every pass, unseen |
    | `throttling` | True | whether the action has delays |
    | `observe` | `{"provider": ["game"], "user": ["game", "commitment"]}` | the blocks that each player observes |
    | `action` | `"box"` | `"grid"`: the action is a whole number |
    | `max_passes` | 1000 | passes before a task is truncated |
    | `reward_unit` | `"game"` | `"relative"`: rewards in units of the largest cost plus the churn penalty |
    | `render_mode` | None | `"ansi"`, `"rgb_array"` or `"human"`: the task so far; of several, the first |

    ## Version History
    * v0: initial version
    """  # noqa: E501

    metadata = {"render_modes": list(rendering.MODES), "render_fps": rendering.FRAMES_PER_SECOND}  # noqa: RUF012

    def __init__(
        self,
        game: GamesLike = "g4b",
        user: str | AnyUserPolicy = "rational",
        *,
        tasks_per_commitment: int = 1,
        render_mode: str | None = None,
        **options: Unpack[Options],
    ) -> None:
        variant = Variant.of(game, **options)
        self.user = find_user(user)
        self._served = _ServedTasks(variant, 1, self.user, tasks_per_commitment)
        self._set_up(variant, self._served.tasks, render_mode)
        self.action_space = variant.actions.space
        self.observation_space = variant.observation_space("provider")

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; a seed fixes its tasks and those of the episodes that follow."""
        super().reset(seed=seed)
        reseeded = seed is not None or not self._seeded
        self._seed(seed)
        self._served.begin(None, reseeded=reseeded)
        self._show()
        return self._observed(), {name: array[0].item() for name, array in self._served.begun().items()}

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Commit, and serve the tasks or the pass.

        Raises:
            ResetNeeded: There is no task in play.
            ValueError: The action has the wrong shape or is not allowed; nothing has changed.
        """
        self._check_in_play()
        actions = self.variant.actions.rows(action, ())[None]
        after_step = self._record if self.render_mode is not None else None
        before = self._observed()
        if self._served.by_pass:
            infos = self._served.choose(actions, after_step)
            observation, over = self._observed(), self.tasks.ends[:, 0]
        else:
            infos = self._served.commit(actions, after_step)
            if after_step is None:
                self.tasks.rows["end"] = rules.SOLVED
            observation, over = before, np.array([True, False])
        self._show()
        info = {name: array[0].item() for name, array in infos.items()}
        return observation, -(info["service_cost"] + info["churn_penalty"]), bool(over[0]), bool(over[1]), info

    def _observed(self) -> Observation:
        return self.tasks.observation[0, self.variant.columns["provider"]].copy()


class ProviderVectorEnv(TaskVectorEnv):
    """`ProviderEnv` with many slots, compiled; see there for the spaces, the rewards and the arguments.

    Args:
        num_envs: Number of slots n.
        game: As for `ProviderEnv`.
        user: As for `ProviderEnv`.
        tasks_per_commitment: As for `ProviderEnv`.
        max_episode_steps: As for `UserVectorEnv`.
        render_mode: None: many slots have no picture.
        **options: As for `ProviderEnv`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        game: GamesLike = "g4b",
        user: str | AnyUserPolicy = "rational",
        *,
        tasks_per_commitment: int = 1,
        max_episode_steps: int | None = None,
        render_mode: None = None,
        **options: Unpack[Options],
    ) -> None:
        variant = Variant.of(game, **options)
        self.user = find_user(user)
        self._served = _ServedTasks(variant, count("num_envs", num_envs), self.user, tasks_per_commitment)
        self._set_up(self._served.tasks, "provider", variant.actions.space, max_episode_steps, render_mode)

    def _advance(self, actions: Any) -> tuple[FloatArray, BoolArray, BoolArray]:
        rows = self.variant.actions.rows(actions, (self.num_envs,))
        if self._served.by_pass:
            self.step_infos = self._served.choose(rows)
            terminated, truncated = self._ends()
        else:
            observed = self.observation
            self.step_infos = self._served.commit(rows)
            terminated, truncated = self._ends_at_once(observed)
        return -(self.step_infos["service_cost"] + self.step_infos["churn_penalty"]), terminated, truncated

    def _begin(self, slots: npt.NDArray[np.int64] | None, *, reseeded: bool = False) -> None:
        self._served.begin(slots, reseeded=reseeded)

    def _reset_infos(self) -> Infos:
        return self._served.begun()
