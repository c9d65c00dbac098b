"""A part of the commitments, in which a user has learned more finely than elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from stackroute.analytic import Commitment
from stackroute.envs.encoding import observation_space, observe

if TYPE_CHECKING:
    from typing import Self

    import numpy.typing as npt

    from stackroute.analytic import Game
    from stackroute.analytic.game import BoolArray, FloatArray

_CASCADE = 8
_SAME_DELAY = 1e-9


@dataclass(frozen=True)
class Window:
    """The commitments that share start model and delays, with a cascade probability in an interval.

    Attributes:
        model: The model of the first pass.
        low: The least cascade probability.
        high: The largest.
        delay: Delays of the two models, utility.
    """

    model: int
    low: float
    high: float
    delay: tuple[float, float]

    @classmethod
    def around(cls, centre: Commitment, half_width: float) -> Self:
        """The window around a single commitment, cut off at 0 and 1."""
        low, high = (float(np.clip(centre.cascade + side, 0, 1)) for side in (-half_width, half_width))
        first, second = centre.delay.tolist()
        return cls(int(centre.model), low, high, (first, second))

    def commitments(self, place: FloatArray) -> Commitment:
        """The commitments at places between -1, the low end, and 1, the high end; shape (...)."""
        cascade = np.clip(self.low + (self.high - self.low) * (place + 1) / 2, self.low, self.high)
        return Commitment(np.full(cascade.shape, self.model), cascade, np.broadcast_to(self.delay, (*cascade.shape, 2)))

    def contains(self, commitment: Commitment) -> BoolArray:
        """Whether commitments lie in the window, shape (...)."""
        same = np.abs(commitment.delay - self.delay).max(axis=-1) <= _SAME_DELAY * max(1.0, *self.delay)
        inside: BoolArray = (commitment.cascade >= self.low) & (commitment.cascade <= self.high)
        found: BoolArray = same & inside & (commitment.model == self.model)
        return found

    def magnified(self, observation: npt.NDArray[np.float32], cascade: FloatArray) -> npt.NDArray[np.float32]:
        """Observations whose cascade probability is replaced by its place in the window.

        Args:
            observation: Shape (..., 11).
            cascade: The cascade probabilities, shape (...).

        Returns:
            Shape (..., 11).
        """
        place = 2 * (cascade - self.low) / max(self.high - self.low, np.finfo(float).tiny) - 1
        changed = observation.copy()
        changed[..., _CASCADE] = np.clip(place, -1.0, 1.0)
        return changed

    def observe(self, game: Game, commitment: Commitment) -> npt.NDArray[np.float32]:
        """What a user sees through the window, shape (..., 11)."""
        return self.magnified(observe(game, commitment), commitment.cascade)

    def as_json(self) -> dict[str, Any]:
        """The fields, for a file."""
        return {"model": self.model, "low": self.low, "high": self.high, "delay": list(self.delay)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """From what `as_json` gave."""
        first, second = content["delay"]
        return cls(int(content["model"]), float(content["low"]), float(content["high"]), (float(first), float(second)))


def window_space() -> spaces.Box:
    """The observation space of a user behind a window: the cascade entry reaches from -1 to 1."""
    plain = observation_space()
    low = plain.low.copy()
    low[_CASCADE] = -1.0
    return spaces.Box(low, plain.high, dtype=np.float32)
