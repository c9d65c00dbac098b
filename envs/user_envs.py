"""The Gymnasium environments of the user, single and vector: a policy plays the provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import gymnasium
import numpy as np
from gymnasium import spaces

from stackroute.envs import rendering
from stackroute.envs.actions import answers_from, patience_from, patience_space
from stackroute.envs.failed_tasks import LOOKAHEAD, CommittedTasks, FailedTasks, RoutedTasks
from stackroute.envs.games import count
from stackroute.envs.policies import RoutingPolicy, find_provider
from stackroute.envs.rules import LATENCY, VALUE
from stackroute.envs.single import SingleTask
from stackroute.envs.tasks import Rollouts
from stackroute.envs.variant import Variant, choice
from stackroute.envs.vector import TaskVectorEnv

if TYPE_CHECKING:
    from typing import Unpack

    import numpy.typing as npt

    from stackroute.analytic.game import BoolArray, FloatArray
    from stackroute.envs.games import GamesLike
    from stackroute.envs.policies import AnyProviderPolicy
    from stackroute.envs.single import Observation
    from stackroute.envs.variant import Options

Decision = Literal["pass", "task"]


class _AskedUsers:
    """Users that answer failed passes one by one, or choose a patience once.

    Args:
        variant: The variant of the game.
        size: Number of slots n.
        provider: The provider's policy.
        decision: Whether users decide pass by pass or once a task.
        tasks_per_commitment: Tasks over which the outcome of a patience is averaged.
        lookahead: Tasks of a slot for which the provider commits at once.
    """

    def __init__(
        self,
        variant: Variant,
        size: int,
        provider: AnyProviderPolicy,
        decision: Decision,
        tasks_per_commitment: int,
        lookahead: int = LOOKAHEAD,
    ) -> None:
        self.decision = choice("decision", decision, Decision)
        self.each = count("tasks_per_commitment", tasks_per_commitment)
        if self.decision == "pass" and self.each > 1:
            raise ValueError(
                f"tasks_per_commitment: {tasks_per_commitment} is not allowed; expected 1 with decision='pass'"
            )
        if self.decision == "task" and variant.routing == "pass":
            raise ValueError("decision: 'task' is not allowed with routing='pass'; expected 'pass'")
        self.tasks: FailedTasks
        if isinstance(provider, RoutingPolicy):
            self.tasks = RoutedTasks(variant, size, provider)
        else:
            self.tasks = CommittedTasks(variant, size, provider, lookahead=lookahead, stride=self.each)

    @property
    def action_space(self) -> spaces.Box | spaces.Discrete[Any]:
        """The action space of a user."""
        return spaces.Discrete(2) if self.decision == "pass" else patience_space(self.tasks.variant.actions.kind)

    def answer(self, actions: npt.NDArray[np.int64]) -> tuple[FloatArray, dict[str, npt.NDArray[Any]]]:
        """Answer every failure; returns the users' rewards and the infos."""
        tasks = self.tasks
        tasks.step(answers=actions)
        infos = {
            "latency": tasks.parts[:, LATENCY].copy(),
            "value": tasks.parts[:, VALUE].copy(),
            "pass": tasks.rows["passes"].astype(np.int64),
            "model": tasks.rows["model"].astype(np.int64),
            "first_latency": tasks.first_latency,
        }
        return tasks.rewards[1].copy(), infos

    def begun(self) -> dict[str, npt.NDArray[Any]]:
        """The infos of tasks whose first pass has failed, under the names of all other infos."""
        tasks = self.tasks
        names = ("latency", "value") if self.decision == "pass" else ("utility", "utility_of_staying")
        infos: dict[str, npt.NDArray[Any]] = {name: np.zeros(tasks.size) for name in names}
        if self.decision == "pass":
            infos |= {"pass": tasks.rows["passes"].astype(np.int64), "model": tasks.rows["model"].astype(np.int64)}
        return infos | {"first_latency": tasks.first_latency}

    def settle(self, patience: FloatArray) -> tuple[FloatArray, dict[str, npt.NDArray[Any]]]:
        """Play all tasks with a patience, shape (n,); returns the users' rewards and the infos."""
        tasks, rows = self.tasks, self.tasks.rows
        compared = np.stack([patience, np.ones_like(patience)], axis=1)
        utility = Rollouts(
            tasks.variant, rows["seed"], rows["number"], self.each, rows["game"], tasks.commitment(), begun=1
        ).compare(compared)
        infos = {"utility": utility[:, 0], "utility_of_staying": utility[:, 1], "first_latency": tasks.first_latency}
        return utility[:, 0], infos


class UserEnv(SingleTask, gymnasium.Env[Any, Any]):
    """The user's side of the routing game; the provider is a policy.

    ## Description
    The provider has committed and the first pass has failed: a task solved at once asks nothing of the user. After each
    failed pass the user re-prompts or abandons (Mahmood 2026, arXiv:2602.09902). With `decision="task"` it chooses once
    the probability of re-prompting after every failed pass of the task, its patience.
    `stackroute.analytic.best_response` computes the best one, and `informed_response` that of a user which sees the
    model that served (`"history"` among the blocks that it observes).

    ## Action Space
    | options | space | meaning |
    |---|---|---|
    | - | Discrete(2) | 0 re-prompt, 1 abandon |
    | `decision="task"` | Box(0, 1, (1,)), float64 | patience |
    | `decision="task"`, `action="grid"` | Discrete(10) | one of `stackroute.envs.PATIENCE_LEVELS` |

    ## Observation Space
    Box, float32: the blocks `"game"` and `"commitment"`; the option `observe` adds or removes blocks: without
    `"commitment"` the routing is hidden, with `"history"` the user sees which model has served and how often. The table
    is in `stackroute.envs.observation_space`.

    ## Rewards
    Re-prompting: minus the pass's latency and delay, plus the value if it succeeds. Abandoning: 0. `info` names the
    parts. With `decision="task"` the mean over `tasks_per_commitment` tasks of the sum of these, the user's own random
    numbers averaged out: the k-th re-prompt counts with the k-th power of the patience. `info` then has what patience 1
    would have earned on the same tasks (`utility_of_staying`). The first pass, which asks nothing of the user, is left
    out.

    ## Starting State
    A task whose first pass has failed; `info` has that pass's latency (`first_latency`). The game is the one given,
    or drawn from those given: equally often where the user observes the game and the commitment. Where one
    of them is hidden, games and commitments come up in proportion to how often their first pass fails.

    ## Episode End
    Success or abandonment terminates. A re-prompt after `max_passes` passes truncates. With `decision="task"` an
    episode terminates after one step.

    ## Arguments
    | name | default | meaning |
    |---|---|---|
    | `game` | `"g4b"` | a `stackroute.Game`, the name or file of one, or several (a batch, a list), from which each task's game is drawn, such as `stackroute.analytic.stratified_games`; or a `stackroute.analytic.Traffic`, tasks of hidden types |
    | `provider` | `"random"` | the provider: an object with a `commit` method, or a registered name |
    | `decision` | `"pass"` | `"task"`: the user chooses a patience once |
    | `tasks_per_commitment` | 1 | with `decision="task"` the tasks over which the reward is averaged |
    | `routing` | `"cascade"` | `"lottery"`: how the commitment is shown; a provider given by name commits so; `"pass"`: the provider has a `route` method, such as `stackroute.agents.LadderProvider` |
    | `observe` | `{"user": ["game", "commitment"]}` | the blocks that the user observes |
    | `action` | `"box"` | `"grid"`: with `decision="task"` the patience is one of ten levels |
    | `throttling` | True | whether a provider given by name may delay; an object does as it likes |
    | `max_passes` | 1000 | passes before truncation |
    | `reward_unit` | `"game"` | `"relative"`: rewards in units of the value |
    | `render_mode` | None | `"ansi"`, `"rgb_array"` or `"human"`: the task so far |

    ## Version History
    * v0: initial version
    """  # noqa: E501

    metadata = {"render_modes": list(rendering.MODES), "render_fps": rendering.FRAMES_PER_SECOND}  # noqa: RUF012

    tasks: FailedTasks

    def __init__(
        self,
        game: GamesLike = "g4b",
        provider: str | AnyProviderPolicy = "random",
        *,
        decision: Decision = "pass",
        tasks_per_commitment: int = 1,
        render_mode: str | None = None,
        **options: Unpack[Options],
    ) -> None:
        variant = Variant.of(game, **options)
        self.provider = find_provider(provider, variant.actions)
        self._asked = _AskedUsers(variant, 1, self.provider, decision, tasks_per_commitment, lookahead=1)
        self._set_up(variant, self._asked.tasks, render_mode)
        self.action_space = self._asked.action_space
        self.observation_space = variant.observation_space("user")

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin the next task; a seed fixes it and those that follow."""
        super().reset(seed=seed)
        self._seed(seed)
        self.tasks.begin()
        self._record()
        self._show()
        return self._observed(), {name: array[0].item() for name, array in self._asked.begun().items()}

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Answer the failed pass, or all of the task's with `decision="task"`.

        Raises:
            ResetNeeded: There is no task in play.
            ValueError: The action is not allowed; nothing has changed.
        """
        self._check_in_play()
        if self._asked.decision == "pass":
            rewards, infos = self._asked.answer(answers_from(action, ()).reshape(1))
            self._record()
            observation, (ended, truncated) = self._observed(), self.tasks.ends[:, 0].tolist()
        else:
            patience = patience_from(action, self.variant.actions.kind, ()).reshape(1)
            observation, ended, truncated = self._observed(), True, False
            rewards, infos = self._asked.settle(patience)
            self._play(patience)
        self._show()
        info = {name: array[0].item() for name, array in infos.items()}
        return observation, float(rewards[0]), ended, truncated, info

    def _play(self, patience: FloatArray) -> None:
        """Play the task to its end with a patience, so that it can be seen."""
        by_model = np.repeat(patience[:, None], self.variant.models, axis=1)
        while not self._over:
            self.tasks.step(answers=self.tasks.answers_of(by_model))
            self._record()

    def _observed(self) -> Observation:
        return self.tasks.observation[0, self.variant.columns["user"]].copy()


class UserVectorEnv(TaskVectorEnv):
    """`UserEnv` with many slots, compiled; see there for the spaces, the rewards and the arguments.

    Args:
        num_envs: Number of slots n.
        game: As for `UserEnv`.
        provider: As for `UserEnv`; it is asked for the commitments of several tasks ahead.
        decision: As for `UserEnv`.
        tasks_per_commitment: As for `UserEnv`.
        lookahead: Tasks of a slot for which the provider commits at once; 1 where it learns meanwhile.
        max_episode_steps: Steps after which an episode is truncated, as by Gymnasium's `TimeLimit`; None for no limit.
        render_mode: None: many slots have no picture.
        **options: As for `UserEnv`.
    """

    tasks: FailedTasks

    def __init__(
        self,
        num_envs: int = 1,
        game: GamesLike = "g4b",
        provider: str | AnyProviderPolicy = "random",
        *,
        decision: Decision = "pass",
        tasks_per_commitment: int = 1,
        lookahead: int = LOOKAHEAD,
        max_episode_steps: int | None = None,
        render_mode: None = None,
        **options: Unpack[Options],
    ) -> None:
        variant = Variant.of(game, **options)
        self.provider = find_provider(provider, variant.actions)
        size = count("num_envs", num_envs)
        self._asked = _AskedUsers(variant, size, self.provider, decision, tasks_per_commitment, lookahead)
        self._set_up(self._asked.tasks, "user", self._asked.action_space, max_episode_steps, render_mode)

    def _advance(self, actions: Any) -> tuple[FloatArray, BoolArray, BoolArray]:
        shape = (self.num_envs,)
        if self._asked.decision == "pass":
            rewards, self.step_infos = self._asked.answer(answers_from(actions, shape))
            return rewards, *self._ends()
        patience = patience_from(actions, self.variant.actions.kind, shape)
        rewards, self.step_infos = self._asked.settle(patience)
        return rewards, *self._ends_at_once(self.observation)

    def _begin(self, slots: npt.NDArray[np.int64] | None, *, reseeded: bool = False) -> None:
        self.tasks.begin(slots)

    def _reset_infos(self) -> dict[str, npt.NDArray[Any]]:
        return self._asked.begun()
