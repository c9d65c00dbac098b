"""Ridge regressions by model that go on learning, with a bonus for what they do not know: the core of LinUCB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.agents.routers.baselines import Predicting
from stackroute.agents.routers.protocol import Prediction, dearest_mean_cost, mean_quality

if TYPE_CHECKING:
    from stackroute.agents.routers.protocol import Outcomes
    from stackroute.analytic.game import FloatArray


class LinearBandit(Predicting):
    """Success, cost and latency of each model are linear in the features; LinUCB (Li et al., arXiv:1003.0146).

    Attributes:
        gram_: Of success, cost and latency of each model: the penalty plus the sum of x x', shape (3, M, D, D).
        moment_: Of the same: the sum of x times what was observed, shape (3, M, D).
    """

    exploration: float

    def _begin(self, known: Outcomes, penalty: float) -> None:
        """Learn from a log by ridge regressions that are drawn towards each model's mean."""
        spread = known.features.std(axis=0)
        # What does not vary in the log may do so later.
        self.mean_, self.scale_ = known.features.mean(axis=0), np.where(spread > 1e-9, spread, 1.0)
        self.dearest_ = np.array(dearest_mean_cost(known))
        inputs = self._inputs(known.features)
        observed = np.stack([known.quality, known.cost, known.latency])
        seen = (~np.isnan(observed)).astype(np.float64)
        self.gram_ = np.einsum("knm,nd,ne->kmde", seen, inputs, inputs, optimize=True)
        self.gram_ += penalty * np.eye(inputs.shape[1])
        self.moment_ = np.einsum("knm,nd->kmd", np.nan_to_num(observed), inputs)
        self.moment_[..., 0] += penalty * np.stack([mean_quality(known), known.cost.mean(0), known.latency.mean(0)])

    def _inputs(self, features: FloatArray) -> FloatArray:
        """A one and the features in standard deviations from their means in the log, shape (N, D)."""
        return np.concatenate([np.ones((len(features), 1)), (features - self.mean_) / self.scale_], axis=1)

    def predict(self, features: FloatArray) -> Prediction:
        """What the regressions say: success in [0, 1], cost and latency at least 0."""
        weights = np.linalg.solve(self.gram_, self.moment_[..., None])[..., 0]
        success, cost, latency = np.einsum("nd,kmd->knm", self._inputs(features), weights)
        return Prediction(np.clip(success, 0.0, 1.0), np.maximum(cost, 0.0), np.maximum(latency, 0.0))

    def bonus(self, features: FloatArray) -> FloatArray:
        """How little is known of each model's success, sqrt(x' A^-1 x), times `exploration`, shape (N, M)."""
        inputs = self._inputs(features)
        known = np.linalg.solve(self.gram_[0], np.broadcast_to(inputs.T, (len(self.gram_[0]), *inputs.T.shape)))
        width: FloatArray = np.sqrt(np.einsum("nd,mdn->nm", inputs, known))
        return self.exploration * width

    def route(self, features: FloatArray, knob: float) -> FloatArray:
        """As `choose` on what is predicted, with the bonus on success, shape (N, M)."""
        expected = self.predict(features)
        return self.choose(expected._replace(success=expected.success + self.bonus(features)), knob)

    def update(self, features: FloatArray, model: int, quality: float, cost: float, latency: float) -> None:
        """Learn from one answer to a task of these features, shape (F,); what is NaN is not known."""
        inputs = self._inputs(features[None])[0]
        for target, value in enumerate((quality, cost, latency)):
            if not np.isnan(value):
                self.gram_[target, model] += np.outer(inputs, inputs)
                self.moment_[target, model] += value * inputs


__all__ = ["LinearBandit"]
