"""The stable-baselines3 faces: batches as its `VecEnv`, which does not accept Gymnasium's vector environments."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv

from stackroute.envs.batch import PatienceBatch, ProviderBatch, UserBatch
from stackroute.envs.encoding import from_symmetric, observation_space, symmetric_space

if TYPE_CHECKING:
    from gymnasium import Env
    from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

    from stackroute.analytic.game import FloatArray

_Batch = PatienceBatch | ProviderBatch | UserBatch

PATIENCE_LEVELS = (0.0, 0.2, 0.4, 0.6, 0.75, 0.85, 0.9, 0.95, 0.975, 1.0)
"""The patiences among which a learning user chooses; 0 and 1 are exact."""

_GAIN_UNIT = 0.05


class _BatchVecEnv(VecEnv):
    """A `VecEnv` over a batch; the attributes that stable-baselines3 asks for are those of the batch."""

    batch: _Batch

    def __init__(self, batch: _Batch, action_space: spaces.Space[Any], seed: int) -> None:
        self.batch = batch
        self._began = time.time()
        self.render_mode = None
        super().__init__(batch.size, observation_space(), action_space)
        self.seed(seed)

    def reset(self) -> np.ndarray:
        """Start again from the seed given to `seed`, or go on to the next tasks without one."""
        self.batch.reset(self._seeds[0])
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
        """Set an attribute of the batch, which all slots share."""
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


class ProviderVecEnv(_BatchVecEnv):
    """Commitments as one-step episodes for stable-baselines3.

    Actions are in [-1, 1], of shape (2,) or, with throttling, (4,); dead zones at both ends make exactly 0 and 1
    reachable. The reward is minus the logarithm of a commitment's mean cost over its tasks, so that a step of the
    learner means the same relative saving in every game.

    Args:
        batch: The commitments to play.
        throttling: Whether actions have delays.
        seed: Seed of slot 0.
    """

    batch: ProviderBatch

    def __init__(self, batch: ProviderBatch, *, throttling: bool, seed: int = 0) -> None:
        super().__init__(batch, symmetric_space(throttling), seed)

    def step_wait(self) -> VecEnvStepReturn:
        """Serve every commitment to its tasks; every episode ends."""
        outcome = self.batch.step(from_symmetric(self._actions))
        cost = outcome["service_cost"] + outcome["churn_penalty"]
        return self._one_step_result(-np.log(np.maximum(cost, np.finfo(np.float64).tiny)), self.batch.observation)


class PatienceVecEnv(_BatchVecEnv):
    """A user's choice of patience as one-step episodes for stable-baselines3: Discrete over `PATIENCE_LEVELS`.

    The reward is arcsinh(20 gain / value), where gain is the mean utility after a failed first pass over the batch's
    tasks per commitment: small losses near a threshold count beside large ones far from it. It keeps the order of the
    gains up to the noise of those means.

    Args:
        batch: The users to play.
        seed: Seed of slot 0.
    """

    batch: PatienceBatch

    def __init__(self, batch: PatienceBatch, *, seed: int = 0) -> None:
        super().__init__(batch, spaces.Discrete(len(PATIENCE_LEVELS)), seed)

    def step_wait(self) -> VecEnvStepReturn:
        """Play every user's tasks; every episode ends."""
        before = self.batch.observation
        gain = self.batch.step(np.array(PATIENCE_LEVELS)[self._actions])
        return self._one_step_result(np.arcsinh(gain / (_GAIN_UNIT * float(self.batch.game.value))), before)


class UserVecEnv(_BatchVecEnv):
    """Failed passes to be answered one by one for stable-baselines3; rewards are in units of the value.

    Args:
        batch: The tasks to play.
        seed: Seed of slot 0.
    """

    batch: UserBatch

    def __init__(self, batch: UserBatch, *, seed: int = 0) -> None:
        super().__init__(batch, spaces.Discrete(2), seed)

    def step_wait(self) -> VecEnvStepReturn:
        """Answer every failure; slots whose task ends take up another."""
        utility, ended, truncated, before = self.batch.step(self._actions)
        return self._result(utility / float(self.batch.game.value), ended, truncated, before)
