"""What the Gymnasium vector environments share: seeds, spaces, and the conventions of infos and same-step autoreset."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from stackroute.envs.games import Specified, count
from stackroute.envs.tasks import task_seed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    from gymnasium import spaces

    from stackroute.analytic import Equilibrium, NashEquilibria, TrafficEquilibrium
    from stackroute.analytic.game import BoolArray, FloatArray
    from stackroute.envs.tasks import Tasks
    from stackroute.envs.variant import Player

    Observations = npt.NDArray[np.float32]
    Step = tuple[Observations, FloatArray, BoolArray, BoolArray, dict[str, Any]]


class TaskVectorEnv(Specified, VectorEnv[Any, Any, Any]):
    """Base of the vector environments: a slot whose episode ends begins the next in the same step.

    Attributes:
        tasks: The engine.
        variant: The variant of the game.
        observation: What the player observes in each slot, shape (n, width).
        final_observation: The same at the end of the episodes that ended with the last step; other rows are old.
        step_infos: The infos of the last step without Gymnasium's masks: an array of shape (n,) for each name.
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def _set_up(
        self,
        tasks: Tasks,
        player: Player,
        action_space: spaces.Space[Any],
        max_episode_steps: int | None,
        render_mode: str | None,
    ) -> None:
        if render_mode is not None:
            raise ValueError(
                f"render_mode: {render_mode!r} is not allowed; expected None: only single environments render"
            )
        self.render_mode = None
        self.tasks, self.variant = tasks, tasks.variant
        self.num_envs = tasks.size
        self.single_observation_space = self.variant.observation_space(player)
        self.single_action_space = action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(action_space, self.num_envs)
        self._columns = self.variant.columns[player]
        self.step_infos: dict[str, npt.NDArray[Any]] = {}
        self.final_observation = np.zeros_like(self.observation)
        # Gymnasium's -1 is no limit either.
        unlimited = max_episode_steps is None or max_episode_steps == -1
        self._most_steps = math.inf if unlimited else count("max_episode_steps", max_episode_steps or 0)
        self._steps = np.zeros(self.num_envs, dtype=np.int64)
        self._ready = False

    @property
    def equilibrium(self) -> Equilibrium | NashEquilibria | TrafficEquilibrium:
        """The exact solutions of the games in play under these options, shape (n,); see `Variant.equilibrium`."""
        return self.variant.equilibrium(self.tasks.game)

    @property
    def observation(self) -> Observations:
        """What the player observes in each slot, shape (n, width)."""
        return self.tasks.observation[:, self._columns].copy()

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Begin an episode in every slot.

        Args:
            seed: Slot i gets seed + i, or the i-th of a list of seeds; None goes on to the next tasks.
            options: Accepted for the API; `reset_mask` is not allowed, as slots reset themselves.

        Returns:
            Observations, shape (n, width), and infos.
        """
        if options and "reset_mask" in options:
            raise ValueError("options: 'reset_mask' is not allowed; slots begin anew in the step that ends an episode")
        seeds = task_seed(None) if seed is None and not self._ready else seed
        if seeds is not None:
            self.tasks.seed(seeds)
        super().reset(seed=seed if isinstance(seed, int) else None)
        self._steps[:] = 0
        self._begin(None, reseeded=seeds is not None)
        self._ready = True
        return self.observation, _masked(self._reset_infos(), np.ones(self.num_envs, dtype=bool))

    def step(self, actions: Any) -> Step:
        """Make a move in every slot; one whose episode ends begins the next in the same step.

        Args:
            actions: Of `action_space`.

        Returns:
            Observations, rewards, terminations, truncations and infos, where "final_obs" and "final_info" are those of
            the episodes that ended.

        Raises:
            ResetNeeded: `reset` was never called.
            ValueError: The actions are not allowed; nothing has changed.
        """
        rewards, terminated, truncated = self.advance(actions)
        over = terminated | truncated
        infos: dict[str, Any] = _masked(self.step_infos, ~over)
        if over.any():
            begun = self._reset_infos()
            infos = {name: np.where(over, begun[name], array) for name, array in self.step_infos.items()}
            infos = _masked(infos, np.ones_like(over))
            last = np.full(self.num_envs, None, dtype=object)
            last[over] = np.fromiter(self.final_observation[over], dtype=object)
            infos |= {"final_obs": last, "_final_obs": over, "final_info": _masked(self.step_infos, over)}
            infos |= {"_final_info": over}
        return self.observation, rewards, terminated, truncated, infos

    def advance(self, actions: Any) -> tuple[FloatArray, BoolArray, BoolArray]:
        """`step` without infos: rewards, terminations and truncations, each of shape (n,)."""
        if not self._ready:
            raise ResetNeeded("call reset before step")
        return self._advance(actions)

    def _advance(self, actions: Any) -> tuple[FloatArray, BoolArray, BoolArray]:
        """Play the actions, set `step_infos` and `final_observation`, and begin anew where an episode ended."""
        raise NotImplementedError

    def _begin(self, slots: npt.NDArray[np.int64] | None, *, reseeded: bool = False) -> None:
        """Begin episodes in all slots, or in some."""
        raise NotImplementedError

    def _reset_infos(self) -> dict[str, npt.NDArray[Any]]:
        """The infos of episodes that begin, shape (n,) each, under the names of `step_infos`."""
        raise NotImplementedError

    def _ends(self) -> tuple[BoolArray, BoolArray]:
        """Keep what was observed last, begin anew where an episode is over; returns terminations and truncations."""
        terminated, truncated = self.tasks.ends.copy()
        self.final_observation = self.observation
        self._steps += 1
        truncated |= self._steps >= self._most_steps
        over = np.flatnonzero(terminated | truncated)
        if len(over):
            self._steps[over] = 0
            self._begin(over)
        return terminated, truncated

    def _ends_at_once(self, observation: Observations) -> tuple[BoolArray, BoolArray]:
        """The same where every episode is over after one step."""
        self.final_observation = observation
        self._begin(None)
        terminated = np.ones(self.num_envs, dtype=bool)
        return terminated, np.full_like(terminated, self._most_steps == 1)


def _masked(values: Mapping[str, npt.NDArray[Any]], where: BoolArray) -> dict[str, Any]:
    """Infos as Gymnasium's vector environments give them: zeros where there is none, and a mask of where there is."""
    if not where.any():
        return {}
    infos: dict[str, Any] = {name: array * where for name, array in values.items()}
    return infos | {f"_{name}": where for name in values}
