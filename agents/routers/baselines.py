"""What every router has to beat: single models and their mixtures, nearest neighbours, regression, random choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors

from stackroute.agents.routers.protocol import (
    NEAR,
    Prediction,
    checked,
    dearest_mean_cost,
    filled,
    mean_quality,
    trade_off,
)

if TYPE_CHECKING:
    from typing import Self

    from stackroute.agents.routers.protocol import Outcomes
    from stackroute.analytic.game import FloatArray


@dataclass
class RandomRouter:
    """Each model answers equally often, whatever the knob."""

    def fit(self, log: Outcomes, rng: np.random.Generator) -> Self:
        """Count the models."""
        self.models_ = np.array(checked(log).models)
        return self

    def route(self, features: FloatArray, knob: float) -> FloatArray:
        """The same probability for each model."""
        return np.full((len(features), int(self.models_)), 1.0 / int(self.models_))


@dataclass
class SingleModelRouter:
    """The best single model: the one whose mean quality and mean cost trade off best at the knob."""

    def fit(self, log: Outcomes, rng: np.random.Generator) -> Self:
        """Take the means."""
        known = checked(log)
        self.quality_, self.cost_ = mean_quality(known), known.cost.mean(axis=0)
        return self

    def route(self, features: FloatArray, knob: float) -> FloatArray:
        """The same model for all tasks."""
        mean = Prediction(self.quality_[None], self.cost_[None], np.zeros_like(self.cost_)[None])
        return np.repeat(trade_off(mean, knob, float(self.cost_.max())), len(features), axis=0)


@dataclass
class MixedModelRouter:
    """The best mix of single models: two neighbours on the upper hull of mean quality against mean cost.

    The knob is the position between the cheapest and the best model, by cost. No router that does not look at the task
    reaches more quality at the same cost.
    """

    def fit(self, log: Outcomes, rng: np.random.Generator) -> Self:
        """Find the hull."""
        known = checked(log)
        quality, cost = mean_quality(known), known.cost.mean(axis=0)
        hull = [int(np.lexsort((-quality, cost))[0])]
        while True:
            better = np.flatnonzero((quality > quality[hull[-1]] + NEAR) & (cost >= cost[hull[-1]]))
            if not len(better):
                break
            rise = quality[better] - quality[hull[-1]]
            run = cost[better] - cost[hull[-1]]
            steepest = rise / np.maximum(run, NEAR * max(float(cost.max()), NEAR))
            hull.append(int(better[np.lexsort((-run, -steepest))[0]]))
        self.hull_, self.hull_cost_, self.models_ = np.array(hull), cost[hull], np.array(len(cost))
        return self

    def route(self, features: FloatArray, knob: float) -> FloatArray:
        """The same mix for all tasks."""
        place = self.hull_cost_[0] + knob * (self.hull_cost_[-1] - self.hull_cost_[0])
        row = np.zeros(int(self.models_))
        later = int(np.searchsorted(self.hull_cost_, place, side="right"))
        if later == len(self.hull_):
            row[self.hull_[-1]] = 1.0
        else:
            low, high = self.hull_cost_[later - 1 : later + 1]
            row[self.hull_[later]] = (place - low) / (high - low)
            row[self.hull_[later - 1]] = 1.0 - row[self.hull_[later]]
        return np.repeat(row[None], len(features), axis=0)


class Predicting:
    """A router that chooses by `trade_off`; subclasses have `predict`, and a `fit` that sets `dearest_`."""

    dearest_: FloatArray

    def predict(self, features: FloatArray) -> Prediction:
        """What is to be expected on tasks of these features, shape (N, F)."""
        raise NotImplementedError

    def choose(self, expected: Prediction, knob: float) -> FloatArray:
        """The model with the best trade-off of expected success and cost, shape (N, M)."""
        return trade_off(expected, knob, float(self.dearest_))

    def route(self, features: FloatArray, knob: float) -> FloatArray:
        """As `choose` on what is predicted, shape (N, M)."""
        return self.choose(self.predict(features), knob)


@dataclass
class NeighbourRouter(Predicting):
    """The means over the nearest tasks of the log.

    Args:
        neighbours: How many.
    """

    neighbours: int = 20

    def fit(self, log: Outcomes, rng: np.random.Generator) -> Self:
        """Keep the log."""
        known = checked(log)
        self.features_, self.quality_ = known.features, filled(known)
        self.cost_, self.latency_ = known.cost, known.latency
        self.dearest_ = np.array(dearest_mean_cost(known))
        return self

    def predict(self, features: FloatArray) -> Prediction:
        """The means over the neighbours."""
        count = min(self.neighbours, len(self.features_))
        near = NearestNeighbors(n_neighbors=count).fit(self.features_).kneighbors(features, return_distance=False)
        return Prediction(*(array[near].mean(axis=1) for array in (self.quality_, self.cost_, self.latency_)))


class Standardising:
    """A router that counts features in standard deviations from their means in the log."""

    mean_: FloatArray
    scale_: FloatArray

    def _keep_scales(self, features: FloatArray) -> None:
        """Take the means and the standard deviations of a log."""
        self.mean_, self.scale_ = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-9)

    def _standard(self, features: FloatArray) -> FloatArray:
        standard: FloatArray = (features - self.mean_) / self.scale_
        return standard


class LinearCosts(Standardising, Predicting):
    """A router whose costs and latencies are ridge regressions on the features; subclasses predict the success."""

    def _fit_costs(self, known: Outcomes) -> FloatArray:
        """Fit them to a log, and return its features as `_standard` does."""
        self._keep_scales(known.features)
        features = self._standard(known.features)
        inputs = np.c_[np.ones(len(features)), features]
        ridge = inputs.T @ inputs + np.diag(np.r_[0.0, np.ones(features.shape[1])])
        self.cost_weights_ = np.linalg.solve(ridge, inputs.T @ known.cost).T
        self.latency_weights_ = np.linalg.solve(ridge, inputs.T @ known.latency).T
        self.dearest_ = np.array(dearest_mean_cost(known))
        return features

    def _prediction(self, features: FloatArray, success: FloatArray) -> Prediction:
        """A prediction of success with those of cost and latency, which are at least 0."""
        inputs = np.c_[np.ones(len(features)), self._standard(features)]
        cost, latency = (np.maximum(inputs @ weights.T, 0.0) for weights in (self.cost_weights_, self.latency_weights_))
        return Prediction(success, cost, latency)


@dataclass
class LogisticRouter(LinearCosts):
    """A logistic regression of success for each model, and linear ones of cost and latency.

    Args:
        penalty: Of the squared coefficients of success.
    """

    penalty: float = 1.0

    def fit(self, log: Outcomes, rng: np.random.Generator) -> Self:
        """Fit by maximum likelihood, an answer of quality q being q successes and 1 - q failures."""
        known = checked(log)
        features = self._fit_costs(known)
        self.weights_ = np.stack([self._regression(features, quality) for quality in known.quality.T])
        return self

    def _regression(self, features: FloatArray, quality: FloatArray) -> FloatArray:
        """Intercept and coefficients of a model, shape (F + 1,)."""
        seen = ~np.isnan(quality)
        right, features = quality[seen], features[seen]
        if not 0.0 < right.sum() < len(right):
            # All right, all wrong or never asked: a constant, as of one more right and one more wrong answer.
            log_odds = np.log((right.sum() + 1.0) / (len(right) - right.sum() + 1.0))
            return np.concatenate([[log_odds], np.zeros(features.shape[1])])
        labels, weights = np.repeat([1, 0], len(right)), np.r_[right, 1.0 - right]
        used = weights > 0.0
        fitted = LogisticRegression(C=1.0 / self.penalty, max_iter=1000).fit(
            np.tile(features, (2, 1))[used], labels[used], sample_weight=weights[used]
        )
        return np.concatenate([fitted.intercept_, fitted.coef_[0]])

    def predict(self, features: FloatArray) -> Prediction:
        """What the regressions say; cost and latency are at least 0."""
        inputs = np.c_[np.ones(len(features)), self._standard(features)]
        return self._prediction(features, 1.0 / (1.0 + np.exp(-inputs @ self.weights_.T)))


@dataclass
class OracleRouter(Predicting):
    """Knows every task of the batch: an upper bound, which no router that sees features alone can reach.

    Args:
        truth: What each model does on the tasks that are routed, in their order.
    """

    truth: Prediction

    def fit(self, log: Outcomes, rng: np.random.Generator) -> Self:
        """Learn nothing but the scale of the costs."""
        self.dearest_ = np.array(dearest_mean_cost(checked(log)))
        return self

    def predict(self, features: FloatArray) -> Prediction:
        """The truth.

        Raises:
            ValueError: There are more or fewer tasks than it knows.
        """
        if len(features) != len(self.truth.success):
            known = f"{len(self.truth.success)}, the tasks that the oracle knows"
            raise ValueError(f"features: {len(features)} tasks are not allowed; expected {known}")
        return self.truth


__all__ = ["LogisticRouter", "MixedModelRouter", "NeighbourRouter", "OracleRouter", "RandomRouter", "SingleModelRouter"]
