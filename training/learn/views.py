"""How a learner sees a vector environment: with features, or with another reward."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from stable_baselines3.common.vec_env import VecEnvWrapper

from stackroute.envs.observations import feature_space, with_features
from stackroute.training.learn.sampling import GAIN_UNIT

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from stable_baselines3.common.vec_env import VecEnv
    from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

    from stackroute.envs.observations import Block

    Observation = npt.NDArray[np.float32]
    Rewards = npt.NDArray[np.float32]


def log_cost(rewards: Rewards) -> Rewards:
    """Minus the logarithm of a mean cost, from minus the cost: a step means the same relative saving in every game.

    The mean of a logarithm is not the logarithm of the mean: with few tasks for a commitment (below 100) rare costs
    count too little.
    """
    costs: Rewards = np.maximum(-rewards, np.finfo(np.float32).tiny)
    return -np.log(costs)


def scaled_gain(rewards: Rewards) -> Rewards:
    """arcsinh(20 gain), where gain is in units of the value: small losses near a threshold count beside large ones.

    It keeps the order of the gains up to the noise of their means.
    """
    scaled: Rewards = np.arcsinh(rewards / GAIN_UNIT)
    return scaled


class LearnerView(VecEnvWrapper):
    """A vector environment as a learner sees it.

    Args:
        venv: The vector environment.
        reward: What the learner is given, such as `log_cost`, of rewards of shape (n,); None for the rewards.
        blocks: What the environment shows, if hand-built features are to be appended; None for no features.
    """

    def __init__(
        self,
        venv: VecEnv,
        *,
        reward: Callable[[Rewards], Rewards] | None = None,
        blocks: tuple[Block, ...] | None = None,
    ) -> None:
        # Of game, or of game and commitment, the blocks have 3 n + 1 or 6 n - 1 numbers.
        models = (sum(venv.observation_space.shape or ()) + 1) // (3 * len(blocks)) if blocks else 0
        super().__init__(venv, feature_space(models, blocks) if blocks else None)
        self._reward, self._features = reward, blocks is not None

    def reset(self) -> Observation:
        """The first observations."""
        return self._shown(np.asarray(self.venv.reset()))

    def step_wait(self) -> VecEnvStepReturn:
        """The step as the learner sees it, also what is observed at the end of an episode."""
        observation, rewards, dones, infos = self.venv.step_wait()
        ended = np.flatnonzero(dones)
        if self._features and len(ended):
            last = with_features(np.array([infos[slot]["terminal_observation"] for slot in ended]))
            for slot, shown in zip(ended, last, strict=True):
                infos[slot]["terminal_observation"] = shown
        return self._shown(np.asarray(observation)), self._reward(rewards) if self._reward else rewards, dones, infos

    def _shown(self, observation: Observation) -> Observation:
        return with_features(observation) if self._features else observation
