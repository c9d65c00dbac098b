"""The Gymnasium faces: one player learns, a policy plays the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from stackroute.envs.batch import FIRST_FAILURE_TRIES, ProviderBatch
from stackroute.envs.encoding import check_shape, commitment_space, observation_space, observe
from stackroute.envs.games import GameLike, count, find_game
from stackroute.envs.policies import ProviderPolicy, UserPolicy, find_provider, find_user
from stackroute.envs.rules import ABANDON
from stackroute.envs.task import DEFAULT_MAX_PASSES, Task, task_seed

if TYPE_CHECKING:
    import numpy.typing as npt

    Observation = npt.NDArray[np.float32]


class ProviderEnv(gymnasium.Env[Any, Any]):
    """The provider's side of the routing game; the user is a policy.

    ## Description
    The provider makes one commitment, which is served to `tasks_per_commitment` tasks of a user that sees it.

    ## Action space
    Box(0, 1, (2,)), float64: start model (2 from 1/2 upwards) and cascade probability; with throttling Box(0, 1, (4,)),
    adding the delay of each model as a fraction of the value.

    ## Observation space
    Box(11,), float32: the game's scaled parameters; see `stackroute.envs.observation_space`.

    ## Rewards
    Minus the mean cost of a task: service cost and churn penalty. `info` names the parts.

    ## Starting state
    The provider is to commit. The game is fixed.

    ## Episode end
    Every episode terminates after one step.

    ## Arguments
    | name | default | meaning |
    |---|---|---|
    | `game` | `"g4b"` | a `stackroute.Game`, or the name or file of a game |
    | `user` | `"rational"` | the user: an object with a `patience` method, or a registered name |
    | `throttling` | False | whether the action has delays |
    | `tasks_per_commitment` | 1 | tasks over which the reward is averaged |
    | `max_passes` | 1000 | passes before a task is truncated |

    ## Version history
    * v0: initial version
    """

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self,
        game: GameLike = "g4b",
        user: str | UserPolicy = "rational",
        *,
        throttling: bool = False,
        tasks_per_commitment: int = 1,
        max_passes: int = DEFAULT_MAX_PASSES,
        render_mode: None = None,
    ) -> None:
        self.game = find_game(game)
        self.user = find_user(user)
        self.render_mode = render_mode
        self.action_space = commitment_space(throttling)
        self.observation_space = observation_space()
        self._batch = ProviderBatch(
            self.game, self.user, 1, tasks_per_commitment=tasks_per_commitment, max_passes=max_passes
        )
        self._seeded = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; a seed fixes its tasks and those of the episodes that follow."""
        super().reset(seed=seed)
        if seed is not None or not self._seeded:
            self._batch.reset(task_seed(seed))
            self._seeded = True
        return observe(self.game), {}

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Commit, and serve the tasks.

        Raises:
            ValueError: The action has the wrong shape or lies outside [0, 1].
        """
        check_shape(action, self.action_space)
        info = {name: float(mean[0]) for name, mean in self._batch.step(np.asarray(action)[None]).items()}
        return observe(self.game), -(info["service_cost"] + info["churn_penalty"]), True, False, info


class UserEnv(gymnasium.Env[Any, Any]):
    """The user's side of the routing game; the provider is a policy.

    ## Description
    The provider has committed and the first pass has failed: a task solved at once asks nothing of the user, and is
    passed over. After each failed pass the user re-prompts or abandons.

    ## Action space
    Discrete(2): 0 re-prompt, 1 abandon.

    ## Observation space
    Box(11,), float32: the game's scaled parameters and the commitment; see `stackroute.envs.observation_space`.

    ## Rewards
    Re-prompting: minus the pass's latency and delay, plus the value if it succeeds. Abandoning: 0.

    ## Starting state
    A task whose first pass has failed; `info` of `reset` holds that pass's latency and the number of tasks passed over.
    Where 1,000 tasks in a row are solved at once, the last one's first pass is declared a failure (`info["declared"]`).

    ## Episode end
    Success or abandonment terminates. A re-prompt after `max_passes` passes truncates.

    ## Arguments
    | name | default | meaning |
    |---|---|---|
    | `game` | `"g4b"` | a `stackroute.Game`, or the name or file of a game |
    | `provider` | `"random"` | the provider: an object with a `commit` method, or a registered name |
    | `max_passes` | 1000 | passes before truncation |

    ## Version history
    * v0: initial version
    """

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self,
        game: GameLike = "g4b",
        provider: str | ProviderPolicy = "random",
        *,
        max_passes: int = DEFAULT_MAX_PASSES,
        render_mode: None = None,
    ) -> None:
        self.game = find_game(game)
        self.provider = find_provider(provider)
        self.max_passes = count("max_passes", max_passes)
        self.render_mode = render_mode
        self.action_space = spaces.Discrete(2)
        self.observation_space = observation_space()
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
            self.task = Task(self.game, self._seed, self._number, self.max_passes)
            commitment = self.provider.commit(self.game, self.task.draws()[:-1])
            self.task.commit(commitment)
            if not self.task.solved:
                break
        latency = float(self.game.latency[self.task.model - 1] + commitment.delay[self.task.model - 1])
        declared = self.task.solved
        self.task.solved = False
        info = {"latency": latency, "passed_over": passed_over, "declared": declared}
        return observe(self.game, commitment), info

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Answer the failed pass.

        Raises:
            ResetNeeded: There is no task in play.
            ValueError: The action is neither 0 nor 1.
        """
        if self._seed is None or self.task.ended or self.task.truncated:
            raise ResetNeeded("the task has ended; call reset before step")
        if not self.action_space.contains(action):
            raise ValueError(f"action: {action!r} is not allowed; expected 0 (re-prompt) or 1 (abandon)")
        task = self.task
        _, utility = task.abandon() if action == ABANDON else task.re_prompt()
        value = float(self.game.value) if task.solved else 0.0
        info = {"latency": value - utility, "value": value, "pass": task.passes, "model": task.model}
        return observe(self.game, task.commitment), utility, task.ended, task.truncated, info
