"""Hand-built features: what theory says matters, computed from what a player observes anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from gymnasium import spaces

from stackroute.envs.encoding import decoded_delay, observation_space

if TYPE_CHECKING:
    import numpy.typing as npt

FEATURES = 4
"""How many features there are."""

_SMALLEST = 1e-6
_LOG_RANGE = 5.0


def feature_space() -> spaces.Box:
    """The space of observations with features: those of `observation_space` without history, then four in [-1, 1].

    | index | content |
    |---|---|
    | 11, 12 | sign of each model's net value under its delay, xi - d |
    | 13, 14 | log(churn penalty / cost-of-pass) of each model, divided by 5 and cut off at -1 and 1 |
    """
    plain = observation_space()
    ends = np.ones(FEATURES, dtype=np.float32)
    return spaces.Box(np.concatenate([plain.low, -ends]), np.concatenate([plain.high, ends]), dtype=np.float32)


def with_features(observation: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Append the features to observations.

    They are what the theory's regimes are made of (Mahmood 2026, Theorems 1 to 5, Proposition 2): a learner that is
    given them is told part of the answer.

    Args:
        observation: Shape (..., 11).

    Returns:
        Shape (..., 15).
    """
    entries = observation.astype(np.float64)
    success, scaled = entries[..., 0:2], entries[..., 2:4]
    latency = np.where(scaled <= 1, scaled, 1 / np.maximum(2 - scaled, _SMALLEST))
    worth = np.sign(success - latency - decoded_delay(entries[..., 9:11]))
    cost, penalty = np.maximum(entries[..., 4:6], _SMALLEST), np.maximum(entries[..., 6:7], _SMALLEST)
    ratio = np.clip(np.log(penalty * success / cost) / _LOG_RANGE, -1.0, 1.0)
    return np.concatenate([observation, worth, ratio], axis=-1).astype(np.float32)
