"""The Gymnasium vector faces: compiled batches behind `gymnasium.make_vec`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from stackroute.envs.batch import ProviderBatch
from stackroute.envs.games import count
from stackroute.envs.pass_batch import PassBatch
from stackroute.envs.rules import PARTS
from stackroute.envs.task import task_seed
from stackroute.envs.user_batch import LOOKAHEAD, UserBatch
from stackroute.envs.user_env import Decision, patience_of, user_space
from stackroute.envs.variant import choice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Unpack

    import numpy.typing as npt
    from gymnasium import spaces

    from stackroute.analytic.game import BoolArray, FloatArray
    from stackroute.envs.games import GamesLike
    from stackroute.envs.policies import AnyUserPolicy, ProviderPolicy
    from stackroute.envs.variant import Options

    Observations = npt.NDArray[np.float32]
    Step = tuple[Observations, FloatArray, BoolArray, BoolArray, dict[str, Any]]


class _BatchVectorEnv(VectorEnv[Any, Any, Any]):
    """What both vector faces share: seeds, spaces, and Gymnasium's conventions for infos and same-step autoreset."""

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    batch: PassBatch | ProviderBatch | UserBatch

    def _set_up(self, batch: PassBatch | ProviderBatch | UserBatch, action_space: spaces.Space[Any]) -> None:
        self.batch = batch
        self.variant = batch.variant
        self.num_envs = batch.size
        self.single_observation_space = batch.variant.observation_space
        self.single_action_space = action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(action_space, self.num_envs)
        self._ready = False

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Begin an episode in every slot.

        Args:
            seed: Slot i gets seed + i, or the i-th of a list of seeds; None goes on to the next tasks.
            options: Accepted for the API; `reset_mask` is not allowed, as slots reset themselves.

        Returns:
            Observations, shape (n, 11) or (n, 13), and infos.
        """
        if options and "reset_mask" in options:
            raise ValueError("options: 'reset_mask' is not allowed; slots begin anew in the step that ends an episode")
        if isinstance(seed, list | tuple) and None in seed:
            raise ValueError(f"seed: {seed!r} is not allowed; expected a seed for every slot, or None for all")
        if seed is None:
            self.batch.reset(None if self._ready else task_seed(None))
        else:
            self.batch.reset(seed)
        super().reset(seed=seed if isinstance(seed, int) else None)
        self._ready = True
        return self.batch.observation.copy(), self._of_reset(np.ones(self.num_envs, dtype=bool))

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
        if not self._ready:
            raise ResetNeeded("call reset before step")
        return self._step(actions)

    def _step(self, actions: Any) -> Step:
        raise NotImplementedError

    def _of_reset(self, where: BoolArray) -> dict[str, Any]:
        """The infos of episodes that begin."""
        return {}

    def _result(
        self,
        rewards: FloatArray,
        terminated: BoolArray,
        truncated: BoolArray,
        final: Observations,
        told: Mapping[str, npt.NDArray[Any]],
    ) -> Step:
        over = terminated | truncated
        infos = _masked(told, ~over)
        if over.any():
            last = np.full(self.num_envs, None, dtype=object)
            last[over] = np.fromiter(final[over], dtype=object)
            infos |= {"final_obs": last, "_final_obs": over, "final_info": _masked(told, over), "_final_info": over}
            infos |= self._of_reset(over)
        return self.batch.observation.copy(), rewards, terminated, truncated, infos


class ProviderVectorEnv(_BatchVectorEnv):
    """`ProviderEnv` with many slots, compiled; see there for the spaces, the rewards and the arguments.

    Args:
        num_envs: Number of slots n.
        game: As for `ProviderEnv`.
        user: As for `ProviderEnv`.
        tasks_per_commitment: As for `ProviderEnv`.
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
        render_mode: None = None,
        **options: Unpack[Options],
    ) -> None:
        _no_rendering(render_mode)
        self.render_mode = None
        size = count("num_envs", num_envs)
        batch: PassBatch | ProviderBatch
        if options.get("commitment") == "pass":
            if count("tasks_per_commitment", tasks_per_commitment) > 1:
                raise ValueError(f"tasks_per_commitment: {tasks_per_commitment} is not allowed; expected 1 with 'pass'")
            batch = PassBatch(game, user, size, **options)
        else:
            batch = ProviderBatch(game, user, size, tasks_per_commitment=tasks_per_commitment, **options)
        self._set_up(batch, batch.variant.provider_space)

    def _step(self, actions: Any) -> Step:
        if isinstance(self.batch, ProviderBatch):
            before = self.batch.observation
            told: dict[str, npt.NDArray[Any]] = {**self.batch.step(actions)}
            ended = np.ones(self.num_envs, dtype=bool)
            return self._result(-(told["service_cost"] + told["churn_penalty"]), ended, ~ended, before, told)
        assert isinstance(self.batch, PassBatch), "a provider's batch"
        rewards, terminated, truncated = self.batch.step(actions)
        told = {**dict(zip(PARTS, self.batch.parts.T, strict=True)), **self.batch.where}
        return self._result(rewards, terminated, truncated, self.batch.final_observation, told)


class UserVectorEnv(_BatchVectorEnv):
    """`UserEnv` with many slots, compiled; see there for the spaces, the rewards and the arguments.

    Args:
        num_envs: Number of slots n.
        game: As for `UserEnv`.
        provider: As for `UserEnv`; it is asked for the commitments of several tasks ahead.
        decision: As for `UserEnv`.
        lookahead: Tasks of a slot for which the provider commits at once; 1 where it learns meanwhile.
        render_mode: None: many slots have no picture.
        **options: As for `UserEnv`.
    """

    batch: UserBatch

    def __init__(
        self,
        num_envs: int = 1,
        game: GamesLike = "g4b",
        provider: str | ProviderPolicy = "random",
        *,
        decision: Decision = "pass",
        lookahead: int = LOOKAHEAD,
        render_mode: None = None,
        **options: Unpack[Options],
    ) -> None:
        _no_rendering(render_mode)
        self.render_mode = None
        self.decision = choice("decision", decision, Decision)
        batch = UserBatch(game, provider, count("num_envs", num_envs), lookahead=lookahead, **options)
        self._set_up(batch, user_space(self.decision, batch.variant))

    def _step(self, actions: Any) -> Step:
        if self.decision == "pass":
            rewards, terminated, truncated = self.batch.step(actions)
        else:
            rewards, terminated, truncated = self.batch.play_out(
                patience_of(actions, levels=self.variant.action == "grid")
            )
        parts = dict(zip(PARTS, self.batch.parts.T, strict=True))
        told = {"latency": parts["latency"], "value": parts["value"], **self.batch.where}
        return self._result(rewards, terminated, truncated, self.batch.final_observation, told)

    def _of_reset(self, where: BoolArray) -> dict[str, Any]:
        told = {
            "first_latency": self.batch.first_latency,
            "passed_over": self.batch.passed_over,
            "declared": self.batch.declared,
        }
        return _masked(told, where)


def _masked(told: Mapping[str, npt.NDArray[Any]], where: BoolArray) -> dict[str, Any]:
    """Infos as Gymnasium's vector environments give them: zeros where there is none, and a mask of where there is."""
    if not where.any():
        return {}
    infos: dict[str, Any] = {name: values * where for name, values in told.items()}
    return infos | {f"_{name}": where for name in told}


def _no_rendering(render_mode: str | None) -> None:
    if render_mode is not None:
        raise ValueError(f"render_mode: {render_mode!r} is not allowed; expected None: only single environments render")
