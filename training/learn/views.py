"""How a learner sees a batch: with features, blind, or choosing from a list of commitments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnvWrapper

from stackroute.analytic import Commitment
from stackroute.envs.encoding import action_from_commitment, to_symmetric
from stackroute.envs.features import feature_space, with_features

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from stable_baselines3.common.vec_env import VecEnv
    from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

    from stackroute.analytic import Game
    from stackroute.analytic.game import FloatArray
    from stackroute.envs.sb3 import ProviderVecEnv

    Observation = npt.NDArray[np.float32]

_GAME = 7


class _ObservationView(VecEnvWrapper):
    """Shows a function of the observations."""

    def __init__(self, venv: VecEnv, space: spaces.Box, shown: Callable[[Observation], Observation]) -> None:
        super().__init__(venv, space)
        self._shown = shown

    def reset(self) -> Observation:
        return self._shown(np.asarray(self.venv.reset()))

    def step_wait(self) -> VecEnvStepReturn:
        observation, rewards, dones, infos = self.venv.step_wait()
        ended = np.flatnonzero(dones)
        if len(ended):
            last = self._shown(np.array([infos[slot]["terminal_observation"] for slot in ended]))
            for slot, shown in zip(ended, last, strict=True):
                infos[slot]["terminal_observation"] = shown
        return self._shown(np.asarray(observation)), rewards, dones, infos


def featured(venv: VecEnv, features: str) -> VecEnv:
    """A batch with hand-built features, if `features` is "theory", or as it is."""
    return _ObservationView(venv, feature_space(), with_features) if features == "theory" else venv


def blindfolded(venv: VecEnv) -> VecEnv:
    """A batch whose commitments are hidden."""

    def hidden(observation: Observation) -> Observation:
        shown = observation.copy()
        shown[..., _GAME:] = 0.0
        return shown

    space = venv.observation_space
    assert isinstance(space, spaces.Box)
    return _ObservationView(venv, space, hidden)


class ListedCommitments(VecEnvWrapper):
    """Commitments chosen by their number in a list.

    Args:
        venv: Commitments chosen freely.
        game: The game.
        commitments: The list, shape (k,).
        throttling: Whether the inner actions have delays.
    """

    def __init__(self, venv: ProviderVecEnv, game: Game, commitments: Commitment, throttling: bool) -> None:
        super().__init__(venv, action_space=spaces.Discrete(len(commitments.model)))
        self._actions: FloatArray = to_symmetric(action_from_commitment(game, commitments, throttling))

    def reset(self) -> Observation:
        """Pass the reset on."""
        return np.asarray(self.venv.reset())

    def step_async(self, actions: np.ndarray) -> None:
        """Look the actions up and pass them on."""
        self.venv.step_async(self._actions[actions])

    def step_wait(self) -> VecEnvStepReturn:
        """Pass the step on."""
        return self.venv.step_wait()
