"""PUMA: what is known of users under old models, moved to new ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy
from sklearn.cluster import KMeans
from sklearn.metrics.pairwise import rbf_kernel

from stackroute.analytic import Population, best_response, provider_cost, solve_population

if TYPE_CHECKING:
    from typing import Self

    from stackroute.analytic import Game
    from stackroute.analytic.game import BoolArray, FloatArray, IntArray

_GRID = np.linspace(-3.0, 3.0, 21)
"""Standard deviations from the prior mean at which a posterior is computed."""


def fit_profiles(
    chance: FloatArray, latency: FloatArray, stayed: BoolArray, typical: FloatArray, spread: float = 1.0
) -> FloatArray:
    """What users' decisions to re-prompt or to leave say of their value and their cost of waiting (beyond the paper).

    A user re-prompts with probability 1 / (1 + exp(-(V p - w t))), where p is the chance that the next pass succeeds
    and t its latency: V and w are in units of the noise of decisions. Found is the geometric mean over the posterior.

    Args:
        chance: p at each of a user's K decisions, shape (m, K).
        latency: t at each, shape (m, K).
        stayed: Whether the user re-prompted, shape (m, K).
        typical: V and w that are as likely above as below, shape (2,).
        spread: Standard deviation of the logarithms of V and w before anything is seen.

    Returns:
        V and w of each user, shape (m, 2).
    """
    around = np.stack(np.meshgrid(_GRID, _GRID), axis=-1).reshape(-1, 2)
    worth = np.stack([chance, -latency], axis=-1) @ (typical * np.exp(spread * around)).T
    likely = -np.logaddexp(0.0, np.where(stayed[..., None], -worth, worth)).sum(axis=1) - (around**2).sum(axis=1) / 2.0
    profiles: FloatArray = typical * np.exp(spread * scipy.special.softmax(likely, axis=1) @ around)
    return profiles


@dataclass
class PUMA:
    """Moves the profiles of users from one market of models to another, after PUMA (arXiv:2601.12034).

    Taken from the paper: what is known of users moves to new models by an adapter, common to all and trained on few of
    them, chosen by clustering, for whom alone it is learned anew. Replaced: soft prompts by values and costs of
    waiting; the network by kernel ridge regression of how much their logarithms change, which says the mean change
    where no chosen user is near; draws within clusters, by the variance of what users did, by those next to the centre.
    It is not a router: what it moves is a `Population`, and `migration_regret` says what its errors cost.

    Args:
        users: How many are chosen, at most.
        clusters: From how many groups; larger ones have more of them.
        reach: How far the change of one user says something of others, in standard deviations of the profiles.
        penalty: Of the kernel regression: the variance of what is learned anew, relative to that of the change.
    """

    users: int = 12
    clusters: int = 4
    reach: float = 1.0
    penalty: float = 0.5

    def choose_users(self, profiles: FloatArray, rng: np.random.Generator) -> IntArray:
        """Users to learn anew, by profiles of shape (m, 2): those next to the centre of each cluster, at least one."""
        known = (np.log(profiles) - np.log(profiles).mean(axis=0)) / np.maximum(np.log(profiles).std(axis=0), 1e-9)
        count = min(self.clusters, len(np.unique(known, axis=0)))
        distance = KMeans(count, n_init=4, random_state=int(rng.integers(2**31))).fit_transform(known)
        groups = [np.flatnonzero(distance.argmin(axis=1) == cluster) for cluster in range(count)]
        more = [max(self.users - count, 0) * len(group) // len(known) for group in groups]
        return np.concatenate([own[distance[own, k].argsort()][: 1 + more[k]] for k, own in enumerate(groups)])

    def fit(self, old: FloatArray, new: FloatArray) -> Self:
        """Train the adapter on the profiles of the same users in both markets, each of shape (n, 2)."""
        known, change = np.log(old), np.log(new) - np.log(old)
        self.mean_, self.scale_ = known.mean(axis=0), np.maximum(known.std(axis=0), 1e-9)
        self.known_, self.change_ = (known - self.mean_) / self.scale_, change.mean(axis=0)
        kernel = rbf_kernel(self.known_, gamma=0.5 / self.reach**2) + self.penalty * np.eye(len(known))
        self.weights_ = np.linalg.solve(kernel, change - self.change_)
        return self

    def move(self, old: FloatArray) -> FloatArray:
        """New profiles of users whose old ones are known, each of shape (m, 2)."""
        near = rbf_kernel((np.log(old) - self.mean_) / self.scale_, self.known_, gamma=0.5 / self.reach**2)
        moved: FloatArray = old * np.exp(self.change_ + near @ self.weights_)
        return moved


def migration_regret(game: Game, users: Population, supposed: FloatArray, refitted: FloatArray) -> float:
    """How much more a provider pays who takes users for what they are not, than one who has learned all anew.

    Both play their optimum against the users that they suppose (`solve_population`); users answer by what they are.

    Args:
        game: The new market; its value and churn penalty do not count.
        users: What the users are.
        supposed: Their values and costs of waiting as the one takes them, shape (m, 2).
        refitted: As the other takes them, shape (m, 2).

    Returns:
        Money a task.
    """

    def pays(profiles: FloatArray) -> float:
        guess = Population(profiles[:, 0], profiles[:, 1], users.churn_penalty, users.share)
        commitment, games = solve_population(game, guess).commitment, users.games(game)
        return float(users.share @ provider_cost(games, commitment, best_response(games, commitment)))

    return pays(supposed) - pays(refitted)


__all__ = ["PUMA", "fit_profiles", "migration_regret"]
