"""The Gymnasium face of the user: a policy plays the provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from stackroute.envs import rendering
from stackroute.envs.encoding import check_shape, listed, regular
from stackroute.envs.kernels import FIRST_FAILURE_TRIES
from stackroute.envs.policies import commitment_by, find_provider
from stackroute.envs.rules import ABANDON, PARTS, RE_PROMPT
from stackroute.envs.task import Task, answer_of, task_seed
from stackroute.envs.variant import Variant, choice

if TYPE_CHECKING:
    from typing import Unpack

    import numpy.typing as npt

    from stackroute.analytic.game import FloatArray
    from stackroute.envs.games import GamesLike
    from stackroute.envs.policies import ProviderPolicy
    from stackroute.envs.variant import Options

    Observation = npt.NDArray[np.float32]

Decision = Literal["pass", "task"]

PATIENCE_LEVELS = (0.0, 0.2, 0.4, 0.6, 0.75, 0.85, 0.9, 0.95, 0.975, 1.0)
"""The patiences among which a user with a discrete choice decides; 0 and 1 are exact."""


def user_space(decision: Decision, variant: Variant) -> spaces.Box | spaces.Discrete[Any]:
    """The action space of a user: of answers to a failed pass, or of patiences for a whole task."""
    if decision == "pass":
        return spaces.Discrete(2)
    if variant.action == "grid":
        return spaces.Discrete(len(PATIENCE_LEVELS))
    return spaces.Box(0.0, 1.0, (1,), dtype=np.float64)


def patience_of(actions: npt.ArrayLike, levels: bool) -> FloatArray:
    """The patiences that actions of a user who decides for whole tasks stand for.

    Args:
        actions: Numbers of `PATIENCE_LEVELS`, shape (...), or patiences, shape (..., 1).
        levels: Whether they are the former.

    Returns:
        In [0, 1], shape (...).

    Raises:
        ValueError: An action is not allowed.
    """
    if levels:
        return listed(actions, PATIENCE_LEVELS)
    given = regular(actions)
    if given.dtype.kind not in "fiu" or given.shape[-1:] != (1,) or not ((given >= 0) & (given <= 1)).all():
        raise ValueError(f"action: {actions!r} is not allowed; expected a patience in [0, 1], shape (..., 1)")
    patience: FloatArray = given[..., 0].astype(np.float64)
    return patience


class UserEnv(rendering.Rendered, gymnasium.Env[Any, Any]):
    """The user's side of the routing game; the provider is a policy.

    ## Description
    The provider has committed and the first pass has failed: a task solved at once asks nothing of the user, and is
    passed over. After each failed pass the user re-prompts or abandons (Mahmood 2026, arXiv:2602.09902). With
    `decision="task"` it chooses once the probability of re-prompting after every failed pass of the task, its patience.
    `stackroute.analytic.best_response` computes the best one, and `informed_response` that of a user which sees the
    model that served (`observe="history"`).

    ## Action Space
    | options | space | meaning |
    |---|---|---|
    | - | Discrete(2) | 0 re-prompt, 1 abandon |
    | `decision="task"` | Box(0, 1, (1,)), float64 | patience |
    | `decision="task"`, `action="grid"` | Discrete(10) | one of `stackroute.envs.PATIENCE_LEVELS` |

    ## Observation Space
    Box(11,), float32: the game's scaled parameters and the commitment, which `commitment="pass"` hides; with
    `observe="history"` Box(13,): also the last model and the passes so far. The table is in
    `stackroute.envs.observation_space`.

    ## Rewards
    Re-prompting: minus the pass's latency and delay, plus the value if it succeeds. Abandoning: 0. With
    `decision="task"` the sum of these over the task. `info` names the parts. The first pass, which asks nothing of the
    user, is left out.

    ## Starting State
    A task whose first pass has failed; `info` of `reset` holds that pass's latency (`first_latency`) and the number of
    tasks passed over (`passed_over`). So games and commitments whose first pass often fails come up more often. Where 1,000 tasks in a row are solved at once, the last one's first pass is
    declared a failure (`declared`).

    ## Episode End
    Success or abandonment terminates. A re-prompt after `max_passes` passes truncates.

    ## Arguments
    | name | default | meaning |
    |---|---|---|
    | `game` | `"g4b"` | a `stackroute.Game`, the name or file of one, or several (a batch, a list), from which each task's game is drawn, such as `stackroute.analytic.stratified_games` |
    | `provider` | `"random"` | the provider: an object with a `commit` method, or a registered name |
    | `decision` | `"pass"` | `"task"`: the user chooses a patience once |
    | `observe` | `"commitment"` | `"history"`: the user also sees what has been played |
    | `commitment` | `"task"` | `"pass"`: the provider's routing is hidden from the user |
    | `action` | `"box"` | `"grid"`: with `decision="task"` the patience is one of ten levels |
    | `throttling` | False | whether a provider given by name may delay; an object does as it likes |
    | `max_passes` | 1000 | passes before truncation |
    | `reward_unit` | `"game"` | `"relative"`: rewards in units of the value |
    | `render_mode` | None | `"ansi"`, `"rgb_array"` or `"human"`: the task so far |

    ## Version History
    * v0: initial version
    """  # noqa: E501

    metadata = {"render_modes": list(rendering.MODES), "render_fps": rendering.FRAMES_PER_SECOND}  # noqa: RUF012

    def __init__(
        self,
        game: GamesLike = "g4b",
        provider: str | ProviderPolicy = "random",
        *,
        decision: Decision = "pass",
        render_mode: str | None = None,
        **options: Unpack[Options],
    ) -> None:
        self.variant = Variant.of(game, **options)
        self.provider = find_provider(provider, self.variant.throttling)
        self.decision = choice("decision", decision, Decision)
        self._set_up_rendering(render_mode)
        self.action_space = user_space(self.decision, self.variant)
        self.observation_space = self.variant.observation_space
        self._seed: int | None = None
        self._number = -1

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Take up the next task whose first pass fails; a seed fixes it and those that follow."""
        super().reset(seed=seed)
        if seed is not None or self._seed is None:
            self._seed = task_seed(seed)
            self._number = -1
        passed_over = -1
        for _ in range(FIRST_FAILURE_TRIES):
            self._number += 1
            passed_over += 1
            task = Task(self.variant, self._seed, self._number)
            task.commit(commitment_by(self.provider, task.game, task.draws()[:-1]))
            if not task.solved:
                break
        info = {"first_latency": task.parts["latency"], "passed_over": passed_over, "declared": task.solved}
        if task.solved:
            task.declare_failure()
        self.task = task
        self._show()
        return task.observe(), info

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Answer the failed pass, or all of the task's with `decision="task"`.

        Raises:
            ResetNeeded: There is no task in play.
            ValueError: The action is not allowed; nothing has changed.
        """
        task = self.task
        if task is None or task.over:
            raise ResetNeeded("there is no task in play; call reset before step")
        if self.decision == "pass":
            task.answer(answer_of(action))
            parts = task.parts
        else:
            check_shape(action, self.action_space)
            patience = float(patience_of(action, levels=self.variant.action == "grid"))
            parts = dict.fromkeys(PARTS, 0.0)
            while not task.over:
                task.answer(RE_PROMPT if task.stays(patience) else ABANDON)
                parts = {name: part + task.parts[name] for name, part in parts.items()}
        info = {"latency": parts["latency"], "value": parts["value"], "pass": task.passes, "model": task.model}
        self._show()
        return task.observe(), parts["value"] - parts["latency"], task.ended, task.truncated, info
