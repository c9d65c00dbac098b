"""The user-aware rule: any predictor, and the price of users' patience in place of the router's own rule."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Literal

import numpy as np
from sklearn.cluster import KMeans
from sklearn.model_selection import KFold
from sklearn.neighbors import NearestNeighbors

from stackroute.agents.routers.protocol import Prediction
from stackroute.analytic import Game, Ladders, Pricing, Traffic, counting_response, solve, solve_traffic
from stackroute.analytic.ladders import MOST_MODELS

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from stackroute.agents.routers.protocol import Outcomes, Predictor
    from stackroute.analytic import Commitment
    from stackroute.analytic.game import FloatArray, IntArray

_STOPS = (1, 2, 3, 4, 6, 8, 12)
_PRICES = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Among which `UserAware.tune` chooses, the prices in units of P / V."""


def cross_predicted(
    make: Callable[[], Predictor], log: Outcomes, rng: np.random.Generator, folds: int = 5
) -> Prediction:
    """What a predictor expects on each task of a log when it has learned from the others only.

    Args:
        make: Makes a predictor that has learned nothing.
        log: The log.
        rng: Random numbers.
        folds: In how many parts the log is divided; one task by itself is predicted from itself.

    Returns:
        A row for each task of the log.
    """
    tasks = len(log.features)
    if tasks == 1:
        return make().fit(log, rng).predict(log.features)
    parts = KFold(min(folds, tasks), shuffle=True, random_state=int(rng.integers(2**31))).split(log.features)
    found = [(asked, make().fit(log.take(known), rng).predict(log.features[asked])) for known, asked in parts]
    order = np.argsort(np.concatenate([asked for asked, _ in found]))
    return Prediction(*(np.concatenate(array)[order] for array in zip(*(each for _, each in found), strict=True)))


@dataclass
class UserAware:
    """What to serve where users count failures, from a predictor's expectations (beyond the paper).

    A new task is taken for one of those of the log of which the predictor expected the same: their types are its
    hidden types, however wrong the predictor is. It is served by the ladder with the least
    J(n) + sum over n' of lambda_n' (U(n') - U(n)). The optimum of the log's tasks in groups of similar expectations,
    by `solve_traffic`, has an n and multipliers lambda, the price of users' patience. It leaves users indifferent,
    and those of new tasks may well leave: `tune` adds to the price, or aims at another n.

    Args:
        contexts: The number of groups of similar expectations, at most, for which the optimum is found.
        neighbours: How many tasks of the log a new task is taken for.
        horizon: The most attempts.
        rule: `"ladders"`, or `"lottery"` for the first model and the lottery that are optimal in each task for itself
            if attempts were independent: `solve(..., routing="free")`.

    Attributes:
        models_: The models that it uses, at most 4: those which together have the least mean of
            c - P p - (P / V) (V p - t), what a pass costs less what it is worth to users, each task being served by the
            best of them.
        aim_: The n that is aimed at.
        price_: What is added to the price of patience, in units of P / V: of users' utility of going on to n rather
            than stopping before.
    """

    contexts: int = 24
    neighbours: int = 30
    horizon: int = 12
    rule: Literal["ladders", "lottery"] = "ladders"

    def fit(self, expected: FloatArray, traffic: Traffic, rng: np.random.Generator) -> Self:
        """Find the price of users' patience.

        Args:
            expected: The success that the predictor expects of each model on each task of the log, from the others
                (`cross_predicted`), shape (N, M).
            traffic: The tasks of the log: the types of context i are those of its row i.
            rng: Random numbers.

        Raises:
            ValueError: There are more or fewer tasks in the traffic.
        """
        if len(expected) != len(traffic.contexts):
            raise ValueError(f"traffic: {len(traffic.contexts)} contexts are not allowed; expected {len(expected)}")
        games, weight = traffic.games, traffic.weight
        self.price_unit_ = weight @ games.churn_penalty / (weight @ games.value)
        worth = games.value[:, None] * games.success - games.latency
        loss = games.cost - games.churn_penalty[:, None] * games.success - self.price_unit_ * worth
        self.models_ = _best_models(loss, weight)
        self.all_models_ = np.array(traffic.models)
        self.success_, self.cost_, self.latency_ = (
            array[:, self.models_] for array in (games.success, games.cost, games.latency)
        )
        self.value_, self.churn_penalty_ = games.value, games.churn_penalty
        self.context_, self.weight_, self.expected_ = traffic.context, weight, expected[:, self.models_]
        distinct = len(np.unique(self.expected_, axis=0))
        groups = KMeans(min(self.contexts, distinct), n_init=1, random_state=int(rng.integers(2**31)))
        label = groups.fit_predict(self.expected_)[traffic.context]
        best = solve_traffic(Traffic(self._games(), weight, label), self.horizon)
        self.stop_, self.multipliers_ = np.array(best.stop[0]), best.multipliers[0]
        self.aim_, self.price_ = self.stop_, np.array(0.0)
        return self

    def tune(self, expected: FloatArray, traffic: Traffic, types_known: bool = False) -> Self:
        """Choose the n that is aimed at and the price of patience that cost least on other tasks, users reacting.

        Args:
            expected: The success that the predictor expects of each model on each of these tasks, shape (C, M).
            traffic: The tasks, of which the types of context i are those of row i.
            types_known: Whether new tasks will be served by their own types, as `policy` may.
        """
        if self.rule == "ladders":
            pricing, least = self._pricing(expected, traffic if types_known else None), np.inf
            stops = dict.fromkeys([int(self.stop_), *(n for n in _STOPS if n <= self.horizon)])
            best = self.aim_, self.price_
            for self.aim_, self.price_ in product(map(np.array, stops), map(np.array, _PRICES)):
                (stop,), found = counting_response(traffic, self._ladders(pricing), self.horizon)
                if found.provider_cost[0, stop - 1] < least:
                    least, best = found.provider_cost[0, stop - 1], (self.aim_, self.price_)
            self.aim_, self.price_ = best
        return self

    def policy(self, expected: FloatArray, types: Traffic | None = None) -> Ladders | Commitment:
        """What to serve on new tasks: a mixture of ladders, or a commitment, by context.

        Args:
            expected: The success that the predictor expects of each model, shape (C, M).
            types: The new tasks' own types, in place of those of similar tasks of the log: for comparison, as nobody
                knows them beforehand. The lottery does without.
        """
        if self.rule == "ladders":
            return self._ladders(self._pricing(expected, types))
        beliefs = self._beliefs(expected)
        share = beliefs / beliefs.sum(axis=1, keepdims=True)
        games = self.success_, self.cost_, self.latency_, self.value_, self.churn_penalty_
        alone = solve(Game(*(share @ array for array in games)), "free").commitment
        return _over(alone, self.models_, int(self.all_models_))

    def _beliefs(self, expected: FloatArray) -> FloatArray:
        """How likely each type of the log is on each new task, shape (C, T)."""
        near = NearestNeighbors(n_neighbors=min(self.neighbours, len(self.expected_))).fit(self.expected_)
        neighbours = near.kneighbors(expected[:, self.models_], return_distance=False)
        belongs = np.zeros((len(expected), len(self.expected_)))
        np.put_along_axis(belongs, neighbours, 1.0, axis=1)
        beliefs: FloatArray = belongs[:, self.context_] * self.weight_
        return beliefs

    def _pricing(self, expected: FloatArray, types: Traffic | None) -> Pricing:
        if types is None:
            return Pricing(Traffic(self._games()), self.horizon, self._beliefs(expected))
        games = types.games
        success, cost, latency = (array[:, self.models_] for array in (games.success, games.cost, games.latency))
        used = Game(success, cost, latency, games.value, games.churn_penalty)
        return Pricing(Traffic(used, types.weight, types.context), self.horizon)

    def _ladders(self, pricing: Pricing) -> Ladders:
        aim, attempts = int(self.aim_), np.arange(1, self.horizon + 1)
        prices = np.where(attempts < aim, float(self.price_) * float(self.price_unit_), 0.0)
        if aim == self.stop_:
            prices += self.multipliers_
        ladders, ladder = np.unique(self.models_[pricing.ladders(aim, prices)], axis=0, return_inverse=True)
        return Ladders(ladders, np.eye(len(ladders))[ladder.reshape(-1)])

    def _games(self) -> Game:
        """The types of the log, of the models that are used."""
        return Game(self.success_, self.cost_, self.latency_, self.value_, self.churn_penalty_)


def _best_models(loss: FloatArray, weight: FloatArray) -> IntArray:
    """The models of least mean loss, each type being served by the best of them, chosen one after the other."""
    chosen: list[int] = []
    least = np.full(len(loss), np.inf)
    for _ in range(min(MOST_MODELS, loss.shape[1])):
        with_each = weight @ np.minimum(least[:, None], loss)
        with_each[chosen] = np.inf
        chosen.append(int(with_each.argmin()))
        least = np.minimum(least, loss[:, chosen[-1]])
    return np.array(sorted(chosen))


def _over(commitment: Commitment, models: IntArray, count: int) -> Commitment:
    """A commitment over some models as one over all; the others keep the tasks that they never get."""
    start = np.zeros((len(commitment), count))
    moves = np.tile(np.eye(count), (len(commitment), 1, 1))
    start[:, models] = commitment.start
    moves[:, models[:, None], models] = commitment.transition
    return type(commitment)(start, moves)


__all__ = ["UserAware", "cross_predicted"]
