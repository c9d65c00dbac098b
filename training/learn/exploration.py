"""The commitments over which a user learns to respond."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import Commitment

if TYPE_CHECKING:
    from stackroute.analytic import Game
    from stackroute.analytic.equilibrium import Routing
    from stackroute.analytic.game import FloatArray

_EDGE = 0.05


class ExploringProvider:
    """Commits at random so that a user meets every kind of commitment often enough to learn its answer.

    Any model starts; a cascade probability is uniform with a little mass on exactly 0 and 1. A lottery mixes two models
    in such a share, and of more than two in half of the commitments all of them, uniformly. With throttling, half of
    the commitments have no delay, a quarter delays that are mostly small (value times the cube of a uniform number), a
    quarter delays uniform up to the value: without delays the user must be exact, and a response learned from delayed
    commitments alone blurs into that edge.

    Args:
        throttling: Whether it delays.
        routing: What it commits to.
    """

    def __init__(self, throttling: bool, routing: Routing = "cascade") -> None:
        self.throttling, self.routing = throttling, routing

    def commit(self, game: Game, random_numbers: FloatArray) -> Commitment:
        """A random commitment, shape (...)."""
        n, numbers = game.models, np.asarray(random_numbers)
        model = np.minimum((numbers[..., 0] * n).astype(np.int64), n - 1)
        routed, fraction, kind = numbers[..., 1:n], numbers[..., n:-1], numbers[..., -1, None]
        share = np.where(kind < 0.5, 0.0, np.where(kind < 0.75, fraction**3, fraction))
        delay = share * self.throttling * game.value[..., None]
        if self.routing == "free" and n > 1:
            # Where in its own interval the number lies that has chosen the start says nothing about the start.
            mixes_all = (n > 2) & (numbers[..., 0, None] * n - model[..., None] < 0.5)
            lottery = np.where(mixes_all, _uniform_lottery(routed), _lottery_of_two(routed[..., 0], n))
            return Commitment.lottery(np.eye(n)[model], lottery, delay)
        cascade = _stretched(routed)
        return Commitment.cascade(model, cascade[..., 0] if n == 2 else cascade, delay, models=n)


def _stretched(numbers: FloatArray) -> FloatArray:
    """Uniform numbers, a little of them on exactly 0 and 1."""
    return np.clip(numbers * (1 + 2 * _EDGE) - _EDGE, 0.0, 1.0)


def _lottery_of_two(numbers: FloatArray, models: int) -> FloatArray:
    """Lotteries of two models, shape (..., models), from uniform numbers of shape (...)."""
    pairs = np.array(list(itertools.combinations(np.eye(models), 2)))
    place = numbers * len(pairs)
    pair = np.minimum(place.astype(np.int64), len(pairs) - 1)
    share = _stretched(place - pair)[..., None]
    mixed: FloatArray = (1.0 - share) * pairs[pair, 0] + share * pairs[pair, 1]
    return mixed


def _uniform_lottery(numbers: FloatArray) -> FloatArray:
    """Lotteries uniform over the simplex, shape (..., n), from uniform numbers of shape (..., n - 1)."""
    return np.diff(np.sort(numbers, axis=-1), axis=-1, prepend=0.0, append=1.0)
