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
    """Commits at random so that a user meets every kind of commitment often enough to learn its answer.

    Either model starts; the cascade probability is uniform with a little mass on exactly 0 and 1. With throttling,
    half of the commitments have no delay, a quarter delays that are mostly small (value times the cube of a uniform
    number), a quarter delays uniform up to the value: without delays the user must be exact, and a response learned
    from delayed commitments alone blurs into that edge.

    Args:
        throttling: Whether it delays.
    """

    def __init__(self, throttling: bool) -> None:
        self.throttling = throttling

    def commit(self, game: Game, draws: FloatArray) -> Commitment:
        """A random commitment, shape (...)."""
        start, cascade, first, second = np.moveaxis(np.asarray(draws), -1, 0)
        cascade = np.clip(cascade * (1 + 2 * _EDGE) - _EDGE, 0.0, 1.0)
        delay = np.zeros((*start.shape, 2))
        if self.throttling:
            # The first number decides the kind of delay; what is left of it is uniform again.
            uniform = np.stack([first * 4 % 1, second], axis=-1)
            small, large = (first >= 0.5) & (first < 0.75), first >= 0.75
            delay = np.where(small[..., None], uniform**3, np.where(large[..., None], uniform, 0.0))
        return Commitment(np.where(start < 0.5, 1, 2), cascade, delay * game.value[..., None])
