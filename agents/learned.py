"""Learned players: policies of stable-baselines3 behind the same protocol as every other player."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy

from stackroute.analytic import Commitment
from stackroute.envs.encoding import (
    check_unit_interval,
    commitment_from_action,
    commitment_space,
    from_symmetric,
    listed,
    observation_space,
    observe,
    symmetric_space,
)
from stackroute.envs.features import feature_space, with_features
from stackroute.envs.variant import provider_grid

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic import Game
    from stackroute.analytic.game import FloatArray

PATIENCE_SPACE = spaces.Box(0.0, 1.0, (1,), dtype=np.float64)
"""The actions of a user who chooses any patience."""


def sees_features(policy: BasePolicy) -> bool:
    """Whether a policy's observations have the hand-built features of `stackroute.envs.features`.

    Raises:
        TypeError: It is no policy of stable-baselines3.
        ValueError: Its observations are none of this package's.
    """
    if not isinstance(policy, BasePolicy):
        raise TypeError(f"policy: {type(policy).__name__} is not allowed; expected a policy of stable-baselines3")
    if policy.observation_space not in (observation_space(), feature_space()):
        raise ValueError(
            f"policy: observations {policy.observation_space} are not allowed; expected {observation_space()}"
        )
    return bool(policy.observation_space == feature_space())


def _actions(policy: BasePolicy, observation: npt.NDArray[np.float32], *, explores: bool = False) -> np.ndarray:
    """The policy's actions, shape (..., *action shape)."""
    action, _ = policy.predict(observation.reshape(-1, observation.shape[-1]), deterministic=not explores)
    return np.asarray(action).reshape((*observation.shape[:-1], *(policy.action_space.shape or ())))


class LearnedUser:
    """A user whose patience a policy has learned.

    Args:
        policy: A policy of stable-baselines3 over the observations of `stackroute.envs`, with or without features. Its
            actions are Discrete(len(levels)), each a patience; or a patience in [-1, 1], as of `PatienceVecEnv`, or in
            [0, 1]; or Discrete(2) as in User-v0, where the patience is the probability of re-prompting (for a
            value-based policy 0 or 1).
        levels: The patience that each discrete action stands for, or None.
        blind: Whether the commitment is hidden from it.
        explores: Whether its actions are drawn from its policy, as a learner draws them, with PyTorch's generator.

    Raises:
        TypeError: It is no policy of stable-baselines3.
        ValueError: The policy has other observations or actions.
    """

    def __init__(
        self, policy: BasePolicy, levels: tuple[float, ...] | None, *, blind: bool = False, explores: bool = False
    ) -> None:
        self.features = sees_features(policy)
        self._symmetric = policy.action_space == symmetric_space(PATIENCE_SPACE)
        boxes = () if levels is not None else (PATIENCE_SPACE, symmetric_space(PATIENCE_SPACE))
        expected = spaces.Discrete(2 if levels is None else len(levels))
        if policy.action_space not in (expected, *boxes):
            raise ValueError(f"policy: actions {policy.action_space} are not allowed; expected {expected}")
        self.policy, self.levels, self.blind, self.explores = policy, levels, blind, explores

    def patience(self, game: Game, commitment: Commitment | None, draws: FloatArray) -> FloatArray:
        """The learned patience, shape (...)."""
        seen = None if self.blind else commitment
        shape = game.shape if commitment is None else np.broadcast_shapes(game.shape, commitment.shape)
        observation = np.broadcast_to(observe(game, seen), (*shape, observation_space().shape[0]))
        return self.answer(with_features(observation) if self.features else observation)

    def answer(self, observation: npt.NDArray[np.float32]) -> FloatArray:
        """The patience at observations of shape (..., 11), or (..., 15) with features."""
        if self.levels is not None:
            return listed(_actions(self.policy, observation, explores=self.explores), self.levels)
        if isinstance(self.policy.action_space, spaces.Box):
            chosen = _actions(self.policy, observation, explores=self.explores)[..., 0]
            return from_symmetric(chosen) if self._symmetric else np.clip(chosen.astype(np.float64), 0.0, 1.0)
        if not isinstance(self.policy, ActorCriticPolicy):
            return 1.0 - _actions(self.policy, observation)
        flat = torch.tensor(observation.reshape(-1, observation.shape[-1]), device=self.policy.device)
        with torch.no_grad():
            distribution: Any = self.policy.get_distribution(flat).distribution
        re_prompts = distribution.probs[:, 0].cpu().numpy().astype(np.float64)
        answer: FloatArray = re_prompts.reshape(observation.shape[:-1])[()]
        return answer


def _checked_commitments(commitments: npt.ArrayLike, policy: BasePolicy) -> FloatArray:
    entries: FloatArray = np.array(commitments, dtype=np.float64)
    if entries.ndim != 2 or entries.shape[1] not in (2, 4):
        raise ValueError(f"commitments: shape {entries.shape} is not allowed; expected (k, 2) or (k, 4)")
    check_unit_interval(entries, commitments)
    expected = spaces.Discrete(len(entries))
    if policy.action_space != expected:
        raise ValueError(f"policy: actions {policy.action_space} are not allowed; expected {expected}")
    return entries


class LearnedProvider:
    """A provider whose commitment a policy has learned.

    Args:
        policy: A policy of stable-baselines3 over the observations of `stackroute.envs`, with or without features, and
            the actions of `stackroute.envs.sb3.ProviderVecEnv`, in [-1, 1] or discrete, or of Provider-v0, in [0, 1];
            it plays the mean of its actions.
        commitments: The actions in [0, 1] that its discrete actions stand for, shape (k, 2) or, with delays, (k, 4);
            None for the grid of Provider-v0 with as many.
        explores: Whether its actions are drawn from its policy instead, with PyTorch's generator.

    Raises:
        TypeError: It is no policy of stable-baselines3.
        ValueError: The policy has other observations or actions.
    """

    def __init__(self, policy: BasePolicy, *, commitments: npt.ArrayLike | None = None, explores: bool = False) -> None:
        self.features = sees_features(policy)
        self.policy, self.explores = policy, explores
        self.commitments = None if commitments is None else _checked_commitments(commitments, policy)
        boxes = [commitment_space(throttling) for throttling in (False, True)]
        self._symmetric = policy.action_space in [symmetric_space(box) for box in boxes]
        grids = {len(provider_grid(throttling)): provider_grid(throttling) for throttling in (False, True)}
        discrete = isinstance(policy.action_space, spaces.Discrete) and policy.action_space.start == 0
        self._grid = self.commitments
        if self._grid is None and discrete:
            self._grid = grids.get(int(policy.action_space.n))  # type: ignore[attr-defined]
        if self._grid is None and not self._symmetric and policy.action_space not in boxes:
            expected = "those of ProviderVecEnv or Provider-v0"
            raise ValueError(f"policy: actions {policy.action_space} are not allowed; expected {expected}")

    def commit(self, game: Game, draws: FloatArray) -> Commitment:
        """The learned commitment, shape (...)."""
        observation = observe(game)
        if self.explores:
            shape = np.broadcast_shapes(game.shape, np.shape(draws)[:-1])
            observation = np.broadcast_to(observation, (*shape, observation.shape[-1]))
        seen = with_features(observation) if self.features else observation
        action = _actions(self.policy, seen, explores=self.explores)
        if self._grid is not None:
            return commitment_from_action(game, listed(action, self._grid))
        return commitment_from_action(game, from_symmetric(action) if self._symmetric else action)
