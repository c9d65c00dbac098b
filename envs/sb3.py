"""The stable-baselines3 faces: batches as its `VecEnv`, which does not accept Gymnasium's vector environments."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv

from stackroute.envs.batch import PatienceBatch, ProviderBatch
from stackroute.envs.encoding import from_symmetric, symmetric_space
from stackroute.envs.pass_batch import PassBatch
from stackroute.envs.user_batch import UserBatch
from stackroute.envs.user_env import patience_of, user_space

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gymnasium import Env
    from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

    from stackroute.analytic.game import FloatArray

_Batch = PassBatch | PatienceBatch | ProviderBatch | UserBatch

_GAIN_UNIT = 0.05
_LEAST_SPREAD = 0.01


class _BatchVecEnv(VecEnv):
    """A `VecEnv` over a batch; the attributes that stable-baselines3 asks for are those of the batch."""

    batch: _Batch

    def __init__(self, batch: _Batch, action_space: spaces.Space[Any], seed: int | None) -> None:
        self.batch = batch
        self._began = time.time()
        self.render_mode = None
        super().__init__(batch.size, batch.variant.observation_space, action_space)
        if seed is not None:
            self.seed(seed)
        self._returns = np.zeros(self.num_envs)
        self._lengths = np.zeros(self.num_envs, dtype=np.int64)

    def reset(self) -> np.ndarray:
        """Start again from the seed given to `seed`, or go on to the next tasks without one."""
        seeds = [seed for seed in self._seeds if seed is not None]
        self.batch.reset(seeds or None)
        self._reset_seeds()
        self._reset_options()
        self._returns = np.zeros(self.num_envs)
        self._lengths = np.zeros(self.num_envs, dtype=np.int64)
        return self.batch.observation.copy()

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    @abstractmethod
    def step_wait(self) -> VecEnvStepReturn:
        """Play the actions."""

    def _result(
        self, rewards: FloatArray, ended: np.ndarray, truncated: np.ndarray, before: np.ndarray
    ) -> VecEnvStepReturn:
        """A step's result; the infos of episodes that end are those of stable-baselines3 and its Monitor."""
        done = ended | truncated
        self._returns += rewards
        self._lengths += 1
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for slot in np.flatnonzero(done):
            infos[slot] = {
                "terminal_observation": before[slot],
                "TimeLimit.truncated": bool(truncated[slot]),
                "episode": {
                    "r": float(self._returns[slot]),
                    "l": int(self._lengths[slot]),
                    "t": round(time.time() - self._began, 6),
                },
            }
        self._returns[done] = 0.0
        self._lengths[done] = 0
        return self.batch.observation.copy(), rewards.astype(np.float32), done, infos

    def _game_actions(self) -> np.ndarray:
        """The actions as the batch takes them."""
        return from_symmetric(self._actions) if isinstance(self.action_space, spaces.Box) else self._actions

    def _one_step_result(self, rewards: FloatArray, before: np.ndarray) -> VecEnvStepReturn:
        ended = np.ones(self.num_envs, dtype=bool)
        return self._result(rewards, ended, ~ended, before)

    def close(self) -> None:
        """Nothing to release."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute, once for each slot asked for."""
        owner = self if attr_name == "render_mode" else self.batch
        return [getattr(owner, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the batch, which all slots share whichever are asked for."""
        setattr(self.batch, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the batch once; the result is repeated for each slot asked for."""
        result = getattr(self.batch, method_name)(*method_args, **method_kwargs)
        return [result for _ in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[Env[Any, Any]], indices: VecEnvIndices = None) -> list[bool]:
        """No slot is wrapped."""
        return [False for _ in self._get_indices(indices)]


def _expect(kind: type[_Batch], batch: object) -> None:
    if not isinstance(batch, kind):
        raise TypeError(f"batch: {batch!r} is not allowed; expected a {kind.__name__}")


def _learner_space(space: spaces.Box | spaces.Discrete[Any]) -> spaces.Space[Any]:
    return symmetric_space(space) if isinstance(space, spaces.Box) else space


def _relative(gain: FloatArray) -> FloatArray:
    """Gains relative to those of their group, shape (groups, group size)."""
    above = gain - gain.mean(axis=1, keepdims=True)
    result: FloatArray = above / (gain.std(axis=1, keepdims=True) + _LEAST_SPREAD)
    return result


class ProviderVecEnv(_BatchVecEnv):
    """Commitments as one-step episodes for stable-baselines3.

    Actions are in [-1, 1], of shape (2,) or, with throttling, (4,); dead zones at both ends make exactly 0 and 1
    reachable. With `action="grid"` they are Discrete. The reward is minus the logarithm of a commitment's mean cost
    over its tasks, so that a step of the learner means the same relative saving in every game. The mean of a logarithm
    is not the logarithm of the mean: choose `tasks_per_commitment` large (100 or more), or rare costs count too little.

    Args:
        batch: The commitments to play.
        seed: Seed of slot 0; None for the batch's own.
    """

    batch: ProviderBatch

    def __init__(self, batch: ProviderBatch, *, seed: int | None = None) -> None:
        _expect(ProviderBatch, batch)
        super().__init__(batch, _learner_space(batch.variant.provider_space), seed)

    def step_wait(self) -> VecEnvStepReturn:
        """Serve every commitment to its tasks; every episode ends."""
        before = self.batch.observation
        outcome = self.batch.step(self._game_actions())
        cost = outcome["service_cost"] + outcome["churn_penalty"]
        return self._one_step_result(-np.log(np.maximum(cost, np.finfo(np.float64).tiny)), before)


class PassVecEnv(_BatchVecEnv):
    """Passes to be routed one by one, without commitment, for stable-baselines3.

    Actions are in [-1, 1], of shape (1,) or, with throttling, (2,), or Discrete with `action="grid"`. Rewards are in
    the unit of the batch: for several games, choose `reward_unit="relative"`.

    Args:
        batch: The tasks to play.
        seed: Seed of slot 0; None for the batch's own.
    """

    batch: PassBatch

    def __init__(self, batch: PassBatch, *, seed: int | None = None) -> None:
        _expect(PassBatch, batch)
        super().__init__(batch, _learner_space(batch.variant.provider_space), seed)

    def step_wait(self) -> VecEnvStepReturn:
        """Serve every task's next pass; slots whose task ends take up another."""
        rewards, ended, truncated = self.batch.step(self._game_actions())
        return self._result(rewards, ended, truncated, self.batch.final_observation)


class PatienceVecEnv(_BatchVecEnv):
    """A user's choice of patience as one-step episodes for stable-baselines3.

    Actions are the patience in [-1, 1], with dead zones at both ends, or with `action="grid"` Discrete over
    `PATIENCE_LEVELS`. The reward is arcsinh(20 gain / value), where gain is the mean utility after a failed first pass
    over the batch's tasks per commitment: small losses near a threshold count beside large ones far from it. It keeps
    the order of the gains up to the noise of those means. The unit of the batch's rewards has no effect.

    Args:
        batch: The users to play.
        paired: If True, the reward is 20 (gain - gain of patience 1) / value, on the same tasks: less noise, and a mean
            that keeps the order of the gains whatever their noise.
        group: With a number, that many neighbouring slots share a seed, and with it the commitments and all coins. The
            reward is then (g - mean) / (standard deviation + 0.01) within the group, where g = gain / value. It says
            which patience is better even where all are nearly equal, so that a learner also finds optima strictly
            between 0 and 1.
        seed: Seed of slot 0, or with groups of the first; None for the batch's own, or with groups 0.

    Raises:
        TypeError: The batch is none of users who choose their patience.
        ValueError: The groups do not divide the batch, or are also to be paired.
    """

    batch: PatienceBatch

    def __init__(
        self, batch: PatienceBatch, *, paired: bool = False, group: int | None = None, seed: int | None = None
    ) -> None:
        _expect(PatienceBatch, batch)
        if group is not None and (group < 2 or batch.size % group):
            raise ValueError(
                f"group: {group} is not allowed; expected a number of at least 2 that divides {batch.size} slots"
            )
        if group is not None and paired:
            raise ValueError("group: is not possible with paired rewards")
        self._paired, self._group = paired, group
        # The batch's own seeds differ within a group.
        first = 0 if seed is None and group is not None else seed
        super().__init__(batch, _learner_space(user_space("task", batch.variant)), first)

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed the slots, or the groups, one after the other from the first seed; None for a random one."""
        super().seed(seed)
        if self._group is not None:
            self._seeds = [one for one in self._seeds[: self.num_envs // self._group] for _ in range(self._group)]
        return self._seeds

    def step_wait(self) -> VecEnvStepReturn:
        """Play every user's tasks; every episode ends."""
        before, value = self.batch.observation, self.batch.value
        levels = isinstance(self.action_space, spaces.Discrete)
        patience = patience_of(self._game_actions(), levels=levels)
        gain = self.batch.step(patience, baseline=1.0 if self._paired else None)
        if self._group is not None:
            return self._one_step_result(_relative((gain / value).reshape(-1, self._group)).ravel(), before)
        scaled = gain / (_GAIN_UNIT * value)
        return self._one_step_result(scaled if self._paired else np.arcsinh(scaled), before)


class UserVecEnv(_BatchVecEnv):
    """Failed passes to be answered one by one for stable-baselines3.

    Rewards are in the unit of the batch: for several games, choose `reward_unit="relative"`.

    Args:
        batch: The tasks to play.
        seed: Seed of slot 0; None for the batch's own.
    """

    batch: UserBatch

    def __init__(self, batch: UserBatch, *, seed: int | None = None) -> None:
        _expect(UserBatch, batch)
        super().__init__(batch, spaces.Discrete(2), seed)

    def step_wait(self) -> VecEnvStepReturn:
        """Answer every failure; slots whose task ends take up another."""
        utility, ended, truncated = self.batch.step(self._actions)
        return self._result(utility, ended, truncated, self.batch.final_observation)
