"""PILOT: LinUCB that begins with what a log says, and a budget that is spent while tasks come in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.agents.routers.linear_bandit import LinearBandit
from stackroute.agents.routers.protocol import NEAR, best_of, checked

if TYPE_CHECKING:
    from typing import Self

    from stackroute.agents.routers.protocol import Outcomes, Prediction
    from stackroute.analytic.game import FloatArray


@dataclass
class PILOT(LinearBandit):
    """Routes by LinUCB with a prior from the log, and spends a budget online, after PILOT (arXiv:2508.21141).

    Taken from the paper: features and coefficients are compared in direction only; the bandit begins at coefficients
    learned offline, which count as much as `prior` observations; and the online multiple-choice knapsack (after
    Chakrabarty et al.): with a share z of the budget spent, models are eligible whose success for their cost is at
    least (U e / L)^z L / e, L and U being the limits between which 9 in 10 of these ratios of the log are, and of those
    the one with the greatest upper confidence bound answers. Replaced: embeddings trained on preferences by ridge
    regressions on the given features. Beyond the paper, where queries may go without an answer: what the cheapest
    models need for the tasks that are left is kept back, so that each task is answered and no more than the budget is
    spent, by what is predicted. The budget of a batch is the cost of its cheapest answers plus knob / (1 - knob) times
    what its best ones cost more.

    Failures are learned from: k of them multiply what is expected of the model on such tasks by prior / (prior + k),
    like the belief in a Beta distribution, so that with `RouterProvider(..., reprompt="update")` re-prompts go to other
    models by themselves.

    Args:
        exploration: Weight of the bonus for what is not known.
        prior: How many observations what the log says counts for, > 0.
        penalty: Of the squared coefficients that are learned from the log.
    """

    exploration: float = 0.1
    prior: float = 4.0
    penalty: float = 1.0

    def fit(self, log: Outcomes, rng: np.random.Generator) -> Self:
        """Learn where the bandit begins."""
        known = checked(log)
        self._begin(known, self.penalty)
        expected = self.predict(known.features)
        ratio = expected.success[expected.cost > 0.0] / expected.cost[expected.cost > 0.0]
        ratio = ratio[ratio > 0.0] if (ratio > 0.0).any() else np.ones(1)
        self.ratio_ = np.quantile(ratio, [0.05, 0.95])
        weights = np.linalg.solve(self.gram_, self.moment_[..., None])[..., 0]
        self.gram_ = np.broadcast_to(self.prior * np.eye(weights.shape[-1]), self.gram_.shape).copy()
        self.moment_ = self.prior * weights
        return self

    def _inputs(self, features: FloatArray) -> FloatArray:
        """Inputs of length 1, shape (N, D)."""
        inputs = super()._inputs(features)
        unit: FloatArray = inputs / np.linalg.norm(inputs, axis=1, keepdims=True)
        return unit

    def choose(self, expected: Prediction, knob: float) -> FloatArray:
        """The eligible model with the greatest success, task after task, shape (N, M)."""
        cost, rows = expected.cost, np.zeros_like(expected.cost)
        cheapest = cost.min(axis=1)
        more = float((best_of(expected.success, cost) * cost).sum() - cheapest.sum())
        spare = more * knob / (1.0 - knob) if knob < 1.0 else np.inf
        budget, spent = cheapest.sum() + spare, 0.0
        least, most = self.ratio_
        for task, (success, price) in enumerate(zip(expected.success, cost, strict=True)):
            threshold = (most * np.e / least) ** (spent / budget if budget > 0.0 else 0.0) * least / np.e
            dearer = price - cheapest[task]
            eligible = (success >= threshold * price) & (dearer <= spare * (1.0 + NEAR)) | (dearer <= 0.0)
            rows[task] = best_of(np.where(eligible, success, -np.inf)[None], price[None])[0]
            spent += float(rows[task] @ price)
            spare -= float(rows[task] @ dearer)
        return rows


__all__ = ["PILOT"]
