"""OmniRouter: the least cost at which the whole batch is answered well enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy

from stackroute.agents.routers.baselines import LogisticRouter, NeighbourRouter
from stackroute.agents.routers.protocol import Prediction, best_of

if TYPE_CHECKING:
    from typing import Self

    from stackroute.agents.routers.protocol import Outcomes
    from stackroute.analytic.game import FloatArray

_TOLERANCE = 1e-10
"""By how much constraints may be missed."""

_GAP = 1e-7
"""How far from the optimum the search ends, as a share of the dearest answer's cost."""


@dataclass
class OmniRouter(LogisticRouter, NeighbourRouter):
    """Routes a batch for the least cost at which its mean success is high enough, after OmniRouter (arXiv:2502.20576).

    Taken from the paper: success and cost are predicted by a trained model and by similar tasks of the log together;
    then sum of x_im c_im is minimised subject to mean success >= alpha and at most a share L_m of the tasks on model
    m, by the Lagrangian dual, in which each task chooses by c_im - lambda p_im + mu_m. Replaced: the trained language
    model by the logistic regression of features; subgradient steps, which end near the optimum, by the dual's cutting
    planes (each a choice of all tasks), which end at it. Their mixture is the answer, so that few tasks are served by
    chance. Beyond the paper: alpha follows from the knob, from the mean success of the least cost to the best that the
    loads allow; with several attempts it is the eventual success 1 - (1 - p)^m that has to be high enough, and cost is
    that of the attempts until then.

    Args:
        neighbour_share: How much the neighbours count in the prediction, the regression counting for the rest.
        loads: The greatest share of the batch that each model may answer; empty: no limits.
        attempts: m, of the same model, by which a task has to be solved.

    Raises:
        ValueError: There is not one load for each model, or together they are less than all tasks.
    """

    neighbour_share: float = 0.5
    loads: tuple[float, ...] = ()
    attempts: int = 1

    def fit(self, log: Outcomes, rng: np.random.Generator) -> Self:
        """Fit both predictors."""
        LogisticRouter.fit(self, log, rng)
        NeighbourRouter.fit(self, log, rng)
        models = self.quality_.shape[1]
        if self.loads and (len(self.loads) != models or min(self.loads) < 0.0 or sum(self.loads) < 1.0):
            raise ValueError(f"loads: {self.loads} is not allowed; expected {models} shares >= 0, of at least 1 in sum")
        return self

    def predict(self, features: FloatArray) -> Prediction:
        """The weighted mean of what both predict."""
        pairs = zip(NeighbourRouter.predict(self, features), LogisticRouter.predict(self, features), strict=True)
        return Prediction(*(self.neighbour_share * near + (1.0 - self.neighbour_share) * far for near, far in pairs))

    def choose(self, expected: Prediction, knob: float) -> FloatArray:
        """The least cost of a mean success of alpha, shape (N, M)."""
        fails = 1.0 - expected.success
        success = 1.0 - fails**self.attempts
        cost = expected.cost * sum(fails**attempt for attempt in range(self.attempts))
        loads = np.array(self.loads or (1.0,) * success.shape[1])
        choices = [np.broadcast_to(loads / loads.sum(), success.shape)]
        best = _least(-success, success, 0.0, loads, choices)
        cheapest = _least(cost, success, 0.0, loads, choices)
        low, high = ((rows * success).sum(axis=1).mean() for rows in (cheapest, best))
        return _least(cost, success, low + knob * (high - low), loads, choices)


def _least(
    cost: FloatArray, success: FloatArray, alpha: float, loads: FloatArray, choices: list[FloatArray]
) -> FloatArray:
    """The mixture of choices of least cost, to which those are added that the dual asks for, shape (N, M)."""
    scale = max(float(np.abs(cost).max()), _TOLERANCE)

    def means(rows: FloatArray) -> FloatArray:
        spent, solved = ((rows * each).sum(axis=1).mean() for each in (cost / scale, success))
        return np.concatenate([[spent, -solved], rows.mean(axis=0)])

    found = [means(rows) for rows in choices]
    while True:
        spent, *used = np.column_stack(found)
        limits = np.r_[_TOLERANCE - alpha, loads + _TOLERANCE]
        mixed = scipy.optimize.linprog(spent, np.array(used), limits, np.ones((1, len(found))), [1.0])
        worth, *fees = -mixed.ineqlin.marginals
        reduced = cost / scale - worth * success + np.array(fees)
        asked = best_of(-reduced, cost)
        # What it asks for again is within the rounding of the multipliers.
        again = any(np.array_equal(asked, rows) for rows in choices)
        if again or reduced.min(axis=1).mean() >= mixed.eqlin.marginals[0] - _GAP:
            share = np.maximum(np.asarray(mixed.x), 0.0)
            answer: FloatArray = np.tensordot(share / share.sum(), np.array(choices), axes=1)
            return answer
        choices.append(asked)
        found.append(means(asked))


__all__ = ["OmniRouter"]
