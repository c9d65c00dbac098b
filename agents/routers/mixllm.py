"""MixLLM: a bandit that weighs quality, cost and waiting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.agents.routers.linear_bandit import LinearBandit
from stackroute.agents.routers.protocol import best_of, checked

if TYPE_CHECKING:
    from typing import Self

    from stackroute.agents.routers.protocol import Outcomes, Prediction
    from stackroute.analytic.game import FloatArray


@dataclass
class MixLLM(LinearBandit):
    """Routes by predicted quality, cost, uncertainty and waiting, and learns online, after MixLLM (arXiv:2502.18482).

    Taken from the paper: a predictor of quality and one of cost for each model; the model answers whose quality and
    cost, weighted by the knob, with a bonus for what is not known and a penalty for waiting, are best; each answer is
    learned from at once. Replaced: embeddings with tags by the given features; random forests and networks by ridge
    regressions, whose updates are exact and whose uncertainty is the bonus; the queue at a model, of which a log knows
    nothing, by the latency of its answer, and the penalty, whose form is for queues, by a linear one. The bonus counts
    with the quality, so that a knob of 0 is the cheapest model.

    Args:
        exploration: Weight of the bonus.
        waiting: What the mean latency of the slowest model counts for: 1 is as much as a certain success at a knob
            of 1.
        penalty: Of the squared distance of coefficients from those of a model whose answers are all alike.

    Examples:
        >>> import numpy as np
        >>> from stackroute.agents.routers import Outcomes
        >>> log = Outcomes(np.ones((1, 1)), np.array([[0.8, 0.7]]), np.ones((1, 2)), np.ones((1, 2)))
        >>> router = MixLLM().fit(log, np.random.default_rng(0))
        >>> router.route(np.ones((1, 1)), 0.5)
        array([[1., 0.]])
        >>> router.update(np.ones(1), model=0, quality=0.0, cost=np.nan, latency=np.nan)
        >>> router.route(np.ones((1, 1)), 0.5)
        array([[0., 1.]])
    """

    exploration: float = 0.1
    waiting: float = 0.1
    penalty: float = 1.0

    def fit(self, log: Outcomes, rng: np.random.Generator) -> Self:
        """Learn from all answers of the log."""
        known = checked(log)
        self._begin(known, self.penalty)
        self.slowest_ = np.array(known.latency.mean(axis=0).max())
        return self

    def choose(self, expected: Prediction, knob: float) -> FloatArray:
        """The model with the best quality, less cost and waiting, shape (N, M)."""
        cost, latency = (
            amount / scale if scale > 0.0 else amount
            for amount, scale in ((expected.cost, self.dearest_), (expected.latency, self.slowest_))
        )
        return best_of(knob * expected.success - (1.0 - knob) * cost - self.waiting * latency, cost)


__all__ = ["MixLLM"]
