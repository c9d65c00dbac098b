"""UniRoute: clusters of tasks, and each model's errors on each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy
from sklearn.cluster import KMeans

from stackroute.agents.routers.baselines import Predicting
from stackroute.agents.routers.protocol import Prediction, checked, dearest_mean_cost, mean_quality

if TYPE_CHECKING:
    from typing import Self

    from stackroute.agents.routers.protocol import Outcomes
    from stackroute.analytic.game import FloatArray, IntArray

_LEAST = 1e-6
"""Probabilities of the learned map's loss are at least so far from 0 and 1."""


@dataclass
class UniRoute(Predicting):
    """Routes by the errors that each model makes on each cluster of tasks, after UniRoute (arXiv:2502.08773).

    Taken from the paper: K-means of the tasks; a model is described by its mean error on each cluster; the model with
    the least error + lambda x cost answers; with `learned`, a softmax of a linear map that says how likely a task is
    to belong to each cluster, trained by the log loss of the models' answers. Replaced: text embeddings by the given
    features; the cost of a model by its mean on the cluster, latency likewise. Beyond the paper: means are drawn
    towards those of all tasks, since clusters of a small log are small; the learned map begins at the posterior of
    equal Gaussians around the centres of K-means and is penalised for moving away, so that few tasks do not overfit it.

    Clusters are types that a provider sees: `clusters` gives contexts for a `Traffic`, on which
    `stackroute.analytic.solve_traffic` is the exact optimum of a provider that knows no more than this router.

    Args:
        clusters_at_most: K; there are fewer where fewer tasks differ.
        learned: Whether the map from features to clusters is learned, or the nearest centre is taken.
        prior: How many tasks of a cluster the mean over all tasks counts for.
        penalty: Of the squared distance of the learned map from its beginning.

    Examples:
        >>> import numpy as np
        >>> from stackroute.agents.routers import Outcomes
        >>> features, quality = np.array([[0.0], [0.1], [9.0]]), np.array([[1.0], [1.0], [0.0]])
        >>> log = Outcomes(features, quality, np.ones((3, 1)), np.ones((3, 1)))
        >>> router = UniRoute(clusters_at_most=2, prior=0.0).fit(log, np.random.default_rng(0))
        >>> router.predict(np.array([[0.0], [8.0]])).success.ravel()
        array([1., 0.])
    """

    clusters_at_most: int = 16
    learned: bool = False
    prior: float = 2.0
    penalty: float = 1.0

    def fit(self, log: Outcomes, rng: np.random.Generator) -> Self:
        """Find the clusters and take the means on them."""
        known = checked(log)
        count = min(self.clusters_at_most, len(np.unique(known.features, axis=0)))
        found = KMeans(count, n_init=4, random_state=int(rng.integers(2**31))).fit(known.features)
        variance = max(found.inertia_ / known.features.size, _LEAST)
        # |x - c|^2 without |x|^2: the nearest centre has the greatest score.
        centres = found.cluster_centers_.astype(np.float64)
        self.map_ = np.c_[-(centres**2).sum(axis=1) / 2.0, centres] / variance
        member = np.eye(count)[self.clusters(known.features)]
        seen = (~np.isnan(known.quality)).astype(np.float64)
        self.quality_ = self._means(member, np.nan_to_num(known.quality), seen, mean_quality(known))
        everywhere = np.ones_like(known.cost)
        self.cost_ = self._means(member, known.cost, everywhere, known.cost.mean(axis=0))
        self.latency_ = self._means(member, known.latency, everywhere, known.latency.mean(axis=0))
        self.dearest_ = np.array(dearest_mean_cost(known))
        if self.learned:
            self._learn(known)
        return self

    def _means(self, member: FloatArray, values: FloatArray, seen: FloatArray, overall: FloatArray) -> FloatArray:
        """Each model's mean on each cluster, that of all tasks where there is nothing else, shape (K, M)."""
        weight, total = member.T @ seen, member.T @ values
        means: FloatArray = np.where(weight > 0.0, total + self.prior * overall, overall)
        means /= np.where(weight > 0.0, weight + self.prior, 1.0)
        return means

    def _learn(self, log: Outcomes) -> None:
        """Move the map to where the answers of the log are most likely."""
        inputs, start = np.c_[np.ones(len(log.features)), log.features], self.map_
        seen, right = ~np.isnan(log.quality), np.nan_to_num(log.quality)

        def loss(flat: FloatArray) -> tuple[float, FloatArray]:
            weights = flat.reshape(start.shape)
            share = scipy.special.softmax(inputs @ weights.T, axis=1)
            p = np.clip(share @ self.quality_, _LEAST, 1.0 - _LEAST)
            lost = -(seen * (right * np.log(p) + (1.0 - right) * np.log1p(-p))).sum()
            by_share = (seen * (p - right) / (p * (1.0 - p))) @ self.quality_.T
            slope = (share * (by_share - (share * by_share).sum(axis=1, keepdims=True))).T @ inputs
            moved = weights - start
            return lost + self.penalty * (moved**2).sum(), (slope + 2.0 * self.penalty * moved).ravel()

        found = scipy.optimize.minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 200})
        self.map_ = found.x.reshape(start.shape)

    def _scores(self, features: FloatArray) -> FloatArray:
        scores: FloatArray = np.c_[np.ones(len(features)), features] @ self.map_.T
        return scores

    def clusters(self, features: FloatArray) -> IntArray:
        """The cluster to which each task most likely belongs, from 0, shape (N,)."""
        cluster: IntArray = self._scores(features).argmax(axis=1)
        return cluster

    def predict(self, features: FloatArray) -> Prediction:
        """The means of the nearest cluster, or of all clusters by how likely they are where the map is learned."""
        if self.learned:
            share = scipy.special.softmax(self._scores(features), axis=1)
        else:
            share = np.eye(len(self.map_))[self.clusters(features)]
        return Prediction(*(share @ means for means in (self.quality_, self.cost_, self.latency_)))


__all__ = ["UniRoute"]
