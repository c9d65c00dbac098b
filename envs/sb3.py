"""The vector environments as the `VecEnv` of stable-baselines3, which does not accept Gymnasium's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv as _VecEnv

from stackroute.envs.actions import from_symmetric, symmetric_space
from stackroute.envs.provider_envs import ProviderVectorEnv
from stackroute.envs.vector import TaskVectorEnv

if TYPE_CHECKING:
    import numpy.typing as npt
    from gymnasium import Env
    from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn


class VecEnv(_VecEnv):
    """A vector environment of the provider or the user for stable-baselines3.

    Actions that are numbers in [0, 1] become numbers in [-1, 1], with dead zones at both ends that make exactly 0 and 1
    reachable, and no delay at the centre (`stackroute.envs.actions.from_symmetric`); discrete ones stay. Rewards are
    those of the environment: for several games, choose `reward_unit="relative"`.

    Args:
        env: The environment.
        seed: Seed of slot 0; None for a random one.

    Attributes:
        env: The environment; `env.step_infos` are the infos of the last step as arrays over all slots.

    Examples:
        >>> from stackroute.envs import ProviderVectorEnv
        >>> VecEnv(ProviderVectorEnv(2, "g1"), seed=0).reset().shape
        (2, 7)
    """

    def __init__(self, env: TaskVectorEnv, *, seed: int | None = None) -> None:
        if not isinstance(env, TaskVectorEnv):
            raise TypeError(f"env: {env!r} is not allowed; expected a ProviderVectorEnv or a UserVectorEnv")
        self.env = env
        self._began = time.time()
        self.render_mode = None
        space = env.single_action_space
        self._symmetric = isinstance(space, spaces.Box)
        self._delays = env.variant.actions.delays if isinstance(env, ProviderVectorEnv) else 0
        shown = symmetric_space(space) if isinstance(space, spaces.Box) else space
        super().__init__(env.num_envs, env.single_observation_space, shown)
        if seed is not None:
            self.seed(seed)
        self._returns = np.zeros(self.num_envs)
        self._lengths = np.zeros(self.num_envs, dtype=np.int64)

    def reset(self) -> npt.NDArray[np.float32]:
        """Start again from the seed given to `seed`, or go on to the next tasks without one."""
        seeds = [seed for seed in self._seeds if seed is not None]
        self.env.reset(seed=seeds or None)
        self._reset_seeds()
        self._reset_options()
        self._returns[:] = 0.0
        self._lengths[:] = 0
        return self.env.observation

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Play the actions; the infos of episodes that end are those of stable-baselines3 and its Monitor."""
        actions = from_symmetric(self._actions, self._delays) if self._symmetric else self._actions
        rewards, terminated, truncated = self.env.advance(actions)
        over = terminated | truncated
        self._returns += rewards
        self._lengths += 1
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        passed = round(time.time() - self._began, 6)
        last = self.env.final_observation
        for slot in np.flatnonzero(over).tolist():
            infos[slot] = {
                "terminal_observation": last[slot],
                "TimeLimit.truncated": bool(truncated[slot]),
                "episode": {"r": float(self._returns[slot]), "l": int(self._lengths[slot]), "t": passed},
            }
        self._returns[over] = 0.0
        self._lengths[over] = 0
        return self.env.observation, rewards.astype(np.float32), over, infos

    def close(self) -> None:
        """Nothing to release."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute, once for each slot asked for."""
        owner = self if attr_name == "render_mode" else self.env
        return [getattr(owner, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the environment, which all slots share whichever are asked for."""
        setattr(self.env, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the environment once; the result is repeated for each slot asked for."""
        result = getattr(self.env, method_name)(*method_args, **method_kwargs)
        return [result for _ in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[Env[Any, Any]], indices: VecEnvIndices = None) -> list[bool]:
        """No slot is wrapped."""
        return [False for _ in self._get_indices(indices)]
