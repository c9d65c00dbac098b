"""How a learner sees a vector environment: with features, with another reward, or choosing from a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnvWrapper

from stackroute.envs.actions import to_symmetric
from stackroute.envs.observations import feature_space, with_features

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from stable_baselines3.common.vec_env import VecEnv
    from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

    from stackroute.analytic import Commitment, Game
    from stackroute.analytic.game import FloatArray
    from stackroute.envs import ProviderActions
    from stackroute.envs.observations import Block

    Observation = npt.NDArray[np.float32]
    Rewards = npt.NDArray[np.float32]

_GAIN_UNIT = 0.05


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
    scaled: Rewards = np.arcsinh(rewards / _GAIN_UNIT)
    return scaled


class RewardView(VecEnvWrapper):
    """Gives a function of the rewards.

    Args:
        venv: The vector environment.
        given: The function, such as `log_cost`, of rewards of shape (n,).
    """

    def __init__(self, venv: VecEnv, given: Callable[[Rewards], Rewards]) -> None:
        super().__init__(venv)
        self._given = given

    def reset(self) -> Observation:
        """Pass the reset on."""
        return np.asarray(self.venv.reset())

    def step_wait(self) -> VecEnvStepReturn:
        """The step with other rewards."""
        observation, rewards, dones, infos = self.venv.step_wait()
        return observation, self._given(rewards), dones, infos


class FeatureView(VecEnvWrapper):
    """Shows the hand-built features too, also at the end of an episode.

    Args:
        venv: The vector environment.
        blocks: What it shows.
    """

    def __init__(self, venv: VecEnv, blocks: tuple[Block, ...]) -> None:
        super().__init__(venv, feature_space(2, blocks))

    def reset(self) -> Observation:
        """The first observations with features."""
        return with_features(np.asarray(self.venv.reset()))

    def step_wait(self) -> VecEnvStepReturn:
        """The step with features."""
        observation, rewards, dones, infos = self.venv.step_wait()
        ended = np.flatnonzero(dones)
        if len(ended):
            last = with_features(np.array([infos[slot]["terminal_observation"] for slot in ended]))
            for slot, shown in zip(ended, last, strict=True):
                infos[slot]["terminal_observation"] = shown
        return with_features(np.asarray(observation)), rewards, dones, infos


class ListedCommitments(VecEnvWrapper):
    """Commitments chosen by their number in a list.

    Args:
        venv: Commitments chosen freely.
        game: The game.
        commitments: The list, shape (k,).
        actions: The actions of the inner environment.
    """

    def __init__(self, venv: VecEnv, game: Game, commitments: Commitment, actions: ProviderActions) -> None:
        super().__init__(venv, action_space=spaces.Discrete(len(commitments)))
        self._actions: FloatArray = to_symmetric(actions.action(game, commitments))

    def reset(self) -> Observation:
        """Pass the reset on."""
        return np.asarray(self.venv.reset())

    def step_async(self, actions: np.ndarray) -> None:
        """Look the actions up and pass them on."""
        self.venv.step_async(self._actions[actions])

    def step_wait(self) -> VecEnvStepReturn:
        """Pass the step on."""
        return self.venv.step_wait()
