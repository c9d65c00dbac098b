"""Learned thresholds: how much of a slow or weak model users bear before they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from gymnasium import spaces

from stackroute.agents.networks import actor_outputs
from stackroute.envs.observations import observation_space

if TYPE_CHECKING:
    import numpy.typing as npt
    from stable_baselines3.common.policies import ActorCriticPolicy

    from stackroute.analytic.game import FloatArray

_GAME = observation_space(2, ["game"])

SEEN = 4
"""The first numbers of an observation of two models: success probabilities and latencies, all that users answer to."""

THRESHOLD_SPACE = spaces.Box(_GAME.low[:SEEN], _GAME.high[:SEEN], dtype=np.float32)
"""What the network sees."""

KINDS = 2
"""Where users of one model alone stay and of the other leave: those who begin to stay, and those who cease to."""


class LearnedThresholds:
    """The cascade probabilities from which and up to which users stay, as a network has learned them.

    Args:
        policy: Its network has two outputs, log-odds of cascade probabilities from the first model: where users begin
            to stay who leave with the first model alone, and where users cease to stay who leave with the second alone.
        margin: How far on the safe side of a threshold to stay, as a cascade probability.

    Raises:
        ValueError: The policy has other observations or actions.
    """

    def __init__(self, policy: ActorCriticPolicy, margin: float) -> None:
        if policy.observation_space != THRESHOLD_SPACE or policy.action_space != spaces.Discrete(KINDS):
            raise ValueError(f"thresholds: {policy.observation_space} is not allowed; expected {THRESHOLD_SPACE}")
        self.policy, self.margin = policy, margin

    def places(self, observation: npt.NDArray[np.float32]) -> FloatArray:
        """The cascade probabilities on the safe side of both thresholds, shape (..., 2)."""
        seen = torch.from_numpy(np.ascontiguousarray(observation.reshape(-1, observation.shape[-1])[:, :SEEN]))
        with torch.no_grad():
            odds = actor_outputs(self.policy, seen).numpy().astype(np.float64)
        safe = 1 / (1 + np.exp(-odds)) + self.margin * np.array([1.0, -1.0])
        return np.clip(safe, 0.0, 1.0).reshape(*observation.shape[:-1], KINDS)

    def completed(self, commitments: FloatArray, observation: npt.NDArray[np.float32]) -> FloatArray:
        """Commitments, of which the last two get these places as cascade probabilities, for each game.

        Args:
            commitments: As actions of Provider-v0, shape (k, width).
            observation: Of the games, shape (..., seen).

        Returns:
            Shape (..., k, width).
        """
        rows = np.broadcast_to(commitments, (*observation.shape[:-1], *commitments.shape)).copy()
        rows[..., -KINDS:, 1] = self.places(observation)
        return rows
