"""The Gymnasium face of the provider: a policy plays the user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded

from stackroute.envs import rendering
from stackroute.envs.batch import serve_tasks
from stackroute.envs.games import count
from stackroute.envs.policies import find_user, patience_by_model
from stackroute.envs.rules import ABANDON, RE_PROMPT
from stackroute.envs.task import Task, task_seed
from stackroute.envs.variant import Variant

if TYPE_CHECKING:
    from typing import Unpack

    import numpy.typing as npt

    from stackroute.analytic import Commitment
    from stackroute.analytic.game import FloatArray
    from stackroute.envs.games import GamesLike
    from stackroute.envs.policies import AnyUserPolicy
    from stackroute.envs.variant import Options

    Observation = npt.NDArray[np.float32]


class ProviderEnv(rendering.Rendered, gymnasium.Env[Any, Any]):
    """The provider's side of the routing game; the user is a policy.

    ## Description
    The provider makes one commitment, which is served to `tasks_per_commitment` tasks of a user that sees it
    (Mahmood 2026, arXiv:2602.09902). `stackroute.analytic.solve` computes the best one.

    With `commitment="pass"` it has no power to commit: it chooses a model before every pass of a task, and the user,
    who does not see the choice, answers each failure with a patience of its own.

    ## Action Space
    | options | space | meaning |
    |---|---|---|
    | - | Box(0, 1, (2,)), float64 | start model (2 from 1/2 upwards), cascade probability |
    | `throttling` | Box(0, 1, (4,)), float64 | the same, and the delay of each model as a fraction of the value |
    | `commitment="pass"` | Box(0, 1, (1,)), float64 | model of the next pass (2 from 1/2 upwards) |
    | both | Box(0, 1, (2,)), float64 | the same, and the delay of the pass as a fraction of the value |
    | `action="grid"` | Discrete(k) | the number of one of k such actions, `env.unwrapped.variant.grid` |

    ## Observation Space
    Box(11,), float32: the game's scaled parameters; with `observe="history"` Box(13,): also the last model and the
    passes so far, which a provider that commits once does not need. The table is in
    `stackroute.envs.observation_space`.

    ## Rewards
    Minus the mean cost of a task: service cost and churn penalty. With `commitment="pass"` minus that of the pass and
    of the answer to it. `info` names the parts.

    ## Starting State
    The provider is to commit. The game is the one given, or drawn from those given.

    ## Episode End
    An episode terminates after one step. With `commitment="pass"` it is one task: success or abandonment terminates, a
    re-prompt after `max_passes` passes truncates.

    ## Arguments
    | name | default | meaning |
    |---|---|---|
    | `game` | `"g4b"` | a `stackroute.Game`, the name or file of one, or several (a batch, a list), from which each episode's game is drawn, such as `stackroute.analytic.stratified_games` |
    | `user` | `"rational"` | the user: an object with a `patience` or `patience_by_model` method, or a registered name; `"informed"` sees which model served |
    | `tasks_per_commitment` | 1 | tasks over which the reward is averaged |
    | `throttling` | False | whether the action has delays |
    | `observe` | `"commitment"` | `"history"`: the observation has room for what has been played |
    | `commitment` | `"task"` | `"pass"`: the provider chooses before every pass, unseen |
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
        self.variant = Variant.of(game, **options)
        self.user = find_user(user)
        self.tasks_per_commitment = count("tasks_per_commitment", tasks_per_commitment)
        if self.variant.per_pass and self.tasks_per_commitment > 1:
            raise ValueError(f"tasks_per_commitment: {tasks_per_commitment} is not allowed; expected 1 with 'pass'")
        self._set_up_rendering(render_mode)
        self.action_space = self.variant.provider_space
        self.observation_space = self.variant.observation_space
        self._seed: int | None = None
        self._number = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; a seed fixes its tasks and those of the episodes that follow."""
        super().reset(seed=seed)
        if seed is not None or self._seed is None:
            self._seed = task_seed(seed)
            self._number = 0
        else:
            self._number += self.tasks_per_commitment
        self.task = Task(self.variant, self._seed, self._number)
        if self.variant.per_pass:
            # The user sees nothing that could change its mind within the task.
            self._patience = patience_by_model(self.user, self.task.game, None, self.task.draws()[-1])
        self._show()
        return self.task.observe(), {}

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Commit, and serve the tasks or the pass.

        Raises:
            ResetNeeded: There is no task in play.
            ValueError: The action has the wrong shape or is not allowed; nothing has changed.
        """
        task = self.task
        if task is None or task.over:
            raise ResetNeeded("there is no task in play; call reset before step")
        before, commitment = task.observe(), task.commitment_from(action)
        if self.variant.per_pass:
            task.commit(commitment)
            info = self._answer_pass(task)
            observation, terminated, truncated = task.observe(), task.ended, task.truncated
        else:
            info = self._serve_tasks(task, commitment)
            observation, terminated, truncated = before, True, False
        self._show()
        return observation, -(info["service_cost"] + info["churn_penalty"]), terminated, truncated, info

    def _answer_pass(self, task: Task) -> dict[str, Any]:
        """Let the user answer a pass that failed; returns the info of both."""
        parts = task.parts
        if not task.over:
            task.answer(_answer(task, self._patience), route=False)
            parts = {name: part + task.parts[name] for name, part in parts.items()}
        return {**parts, "pass": task.passes, "model": task.model}

    def _serve_tasks(self, task: Task, commitment: Commitment) -> dict[str, Any]:
        """Serve the commitment to all its tasks; returns the means."""
        patience = patience_by_model(self.user, task.game, commitment, task.draws()[-1])
        seed, number, row = (np.array([whole]) for whole in (task.seed, task.number, task.game_row))
        means = serve_tasks(
            self.variant, seed, number, self.tasks_per_commitment, row, commitment.reshape(1), patience[None]
        )
        # The first of the tasks again, where it is to be seen pass by pass.
        task.commit(commitment)
        if self.render_mode is None:
            task.play_out(patience)
        while not task.over:
            task.answer(_answer(task, patience))
        return {name: float(mean[0]) for name, mean in means.items()}


def _answer(task: Task, patience: FloatArray) -> int:
    return RE_PROMPT if task.stays(float(patience[task.model - 1])) else ABANDON
