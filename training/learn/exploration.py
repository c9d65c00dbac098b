"""The commitments over which a user learns to respond."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import Commitment

if TYPE_CHECKING:
    from stackroute.analytic import Game
    from stackroute.analytic.game import FloatArray

_EDGE = 0.05


class ExploringProvider:
    """Commits at random so that a user meets every kind of commitment to two models often enough to learn its answer.

    Either model starts; the cascade probability is uniform with a little mass on exactly 0 and 1. With throttling,
    half of the commitments have no delay, a quarter delays that are mostly small (value times the cube of a uniform
    number), a quarter delays uniform up to the value: without delays the user must be exact, and a response learned
    from delayed commitments alone blurs into that edge.

    Args:
        throttling: Whether it delays.
    """

    def __init__(self, throttling: bool) -> None:
        self.throttling = throttling

    def commit(self, game: Game, random_numbers: FloatArray) -> Commitment:
        """A random commitment, shape (...)."""
        numbers = np.asarray(random_numbers)
        start, cascade, kind = numbers[..., 0], numbers[..., 1], numbers[..., 4, None]
        cascade = np.clip(cascade * (1 + 2 * _EDGE) - _EDGE, 0.0, 1.0)
        fraction = numbers[..., 2:4]
        delay = np.where(kind < 0.5, 0.0, np.where(kind < 0.75, fraction**3, fraction))
        first_model = (start >= 0.5).astype(np.int64)
        return Commitment.cascade(first_model, cascade, delay * self.throttling * game.value[..., None])
