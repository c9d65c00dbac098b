"""A bi-level tabular Q-learner: two tables, of which the provider's is learned against the greedy user of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.envs.actions import PATIENCE_LEVELS
from stackroute.training.benchmark.problem import Solution, log_cost
from stackroute.training.learn.session import derived_seed

if TYPE_CHECKING:
    from stackroute.analytic.game import FloatArray
    from stackroute.training.benchmark.problem import Problem

_ROUNDS = 400
_COMMITMENTS = 64
_TASKS = 640
_USER_STEPS = 2
_FIRST_SHARE, _LAST_SHARE = 1.0, 0.05
# The user that the provider meets changes, and what was seen long ago has to be forgotten.
_LEAST_RATE = 0.1


class Table:
    """The values of entries, and how often each was seen.

    An entry moves at least by `least_rate` towards what is seen; 0 makes it the mean of all that it has seen.
    """

    def __init__(self, *shape: int, least_rate: float = 0.0) -> None:
        self.value, self.count = np.zeros(shape), np.zeros(shape)
        self._least_rate = least_rate

    def see(self, entries: tuple[np.ndarray, ...], rewards: FloatArray) -> None:
        """Update entries, some of which may occur several times, with rewards of shape (k,)."""
        places = np.ravel_multi_index(entries, self.value.shape)
        seen, number, times = np.unique(places, return_inverse=True, return_counts=True)
        mean = np.bincount(number, rewards) / times
        self.count.flat[seen] += times
        rate = np.maximum(times / self.count.flat[seen], self._least_rate)
        self.value.flat[seen] += rate * (mean - self.value.flat[seen])

    def greedy(self) -> np.ndarray:
        """The best entry along the last axis; one that was never seen is not chosen before one that was."""
        best: np.ndarray = np.where(self.count > 0, self.value, -np.inf).argmax(axis=-1)
        return best


def tabular_q(problem: Problem) -> Solution:
    """Bi-level Q-learning: a table over commitment and patience, and one over commitments against its greedy user."""
    arms = problem.commitment(problem.actions.grid)
    levels = np.array(PATIENCE_LEVELS)
    count = len(arms)
    user, provider = Table(count, len(levels)), Table(count, least_rate=_LEAST_RATE)
    play = problem.sampled("tabular")
    generator = np.random.default_rng(derived_seed(problem.seed, "tabular"))
    first = 0

    def exploring(share: float, best: np.ndarray, options: int) -> np.ndarray:
        return np.where(generator.random(best.shape) < share, generator.integers(options, size=best.shape), best)

    for step in range(_ROUNDS):
        share = _FIRST_SHARE * (_LAST_SHARE / _FIRST_SHARE) ** (step / _ROUNDS)
        tried = exploring(share, np.full(_COMMITMENTS, provider.greedy()), count)
        for _ in range(_USER_STEPS):
            answer = exploring(share, user.greedy()[tried], len(levels))
            gain = play.gain(arms[tried], levels[answer][:, None], _TASKS, first=first)[:, 0].mean(axis=1)
            user.see((tried, answer), gain)
            first += _TASKS
        cost = play.cost(arms[tried], levels[user.greedy()[tried]], _TASKS, first=first)
        provider.see((tried,), -log_cost(cost))
        first += _TASKS
        problem.choose(arms[int(provider.greedy())])
    best = int(provider.greedy())
    return Solution(arms[best], levels[user.greedy()[best]])
