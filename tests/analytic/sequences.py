"""The provider's optimum over mixtures of all sequences of models, by linear programs that share nothing with `solve`.

Any commitment, random and dependent on the past or not, is to the users a mixture of infinite sequences of models: all
that they see is that a pass failed. Payoffs are linear in the mixture, so that the least cost at which users choose a
given strategy is a linear program (Conitzer and Sandholm 2006), whose columns are priced by dynamic programming.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linprog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stackroute.analytic import Game

    Array = NDArray[np.float64]
    Models = NDArray[np.int64]

NEGLIGIBLE = 1e-10


@dataclass(frozen=True)
class Users:
    """What users can do: strategy j sends pass m, if all before it failed, with probability weights[j, m].

    After the last column the weights go on as a geometric sequence of this ratio, and one model serves for ever. That
    is exact where all ratios are 0 or 1; otherwise it binds the provider, and its cost can only be too high.
    """

    weights: Array
    ratio: Array

    @classmethod
    def that_stop(cls, after: Sequence[float]) -> Users:
        """Users that stop after one of these numbers of passes; infinity is never."""
        counts = np.array(after, dtype=np.float64)[:, None]
        weights = (np.arange(counts[np.isfinite(counts)].max() + 1) < counts).astype(np.float64)
        return cls(weights, weights[:, -1])

    @classmethod
    def of_patience(cls, patience: Sequence[float], horizon: int) -> Users:
        """Users that re-prompt with one of these fixed probabilities."""
        ratio = np.array(patience, dtype=np.float64)
        return cls(ratio[:, None] ** np.arange(horizon + 1), ratio)


class Program:
    """One game against one kind of users, money counted in the largest cost and utility in the value.

    With `throttling` every pass may be delayed by up to the value; a delay in between is a mixture of none and all.
    """

    def __init__(self, game: Game, users: Users, throttling: bool = False) -> None:
        self.users, copies = users, 2 if throttling else 1
        self.money, self.value = float(game.cost.max()) or 1.0, float(game.value)
        self.success, self.cost = np.tile(game.success, copies), np.tile(game.cost, copies) / self.money
        self.net = np.tile(game.net_value, copies) / self.value - np.repeat([0.0, 1.0], game.models)[: len(self.cost)]
        self.penalty = float(game.churn_penalty) / self.money
        # A strategy's expected passes on a model that serves from the last column on, once that is reached.
        self.tail = users.weights[:, -1:] / (1.0 - users.ratio[:, None] * (1.0 - self.success))

    def least_cost(self, target: int, floor: float = -np.inf) -> float:
        """The least cost at which `target` is a best strategy and worth `floor` or more to the user, or infinity."""
        costs = self.costs(target)
        ways = np.indices((len(self.cost), len(self.cost))).reshape(2, -1).T
        sequences = ways[:, [0] + [1] * (len(costs) - 1)]
        violation, sequences = self._generate(target, floor, sequences, np.zeros_like(costs), np.inf)
        if violation > NEGLIGIBLE:
            return np.inf
        return self._generate(target, floor, sequences, costs, violation)[0] * self.money

    def costs(self, target: int) -> Array:
        """What each pass of the target strategy costs on each model, and what the tail does."""
        stay, ratio = self.users.weights[target], self.users.ratio[target]
        abandoned = self.penalty * (1.0 - self.success)
        costs: Array = np.outer(stay, self.cost)
        costs[:-1] += np.outer(stay[:-1] - stay[1:], abandoned)
        costs[-1] = (self.cost + (1.0 - ratio) * abandoned) * self.tail[target]
        return costs

    def _generate(
        self, target: int, floor: float, sequences: Models, costs: Array, allowed: float
    ) -> tuple[float, Models]:
        """The least cost by column generation, or the least violation of the constraints where that is unlimited."""
        searching = np.isinf(allowed)
        while True:
            cost, utility = self.payoffs(sequences, costs)
            rows, limits = utility - utility[target], np.zeros(len(utility))
            if np.isfinite(floor):
                rows, limits = np.vstack([rows, -utility[target]]), np.append(limits, -floor / self.value)
            result = linprog(
                np.append(cost, float(searching)),
                np.column_stack([rows, np.full(len(rows), -1.0)]),
                limits,
                np.append(np.ones(len(cost)), 0.0)[None],
                [1.0],
                bounds=[(0.0, None)] * len(cost) + [(0.0, allowed)],
                options={"primal_feasibility_tolerance": NEGLIGIBLE, "dual_feasibility_tolerance": NEGLIGIBLE},
            )
            assert result.success, result.message
            least = float(result.fun or 0.0)
            multipliers = -result.ineqlin.marginals
            share = -multipliers[: len(utility)]
            share[target] += multipliers.sum()
            bound = result.eqlin.marginals[0] - 1e-12 * max(1.0, abs(least))
            new = self._better(share, costs, bound)
            known = (new[:, None] == sequences).all(axis=-1).any(axis=-1)
            if known.all() or (searching and least <= NEGLIGIBLE):
                return least, sequences
            sequences = np.vstack([sequences, new[~known]])

    def payoffs(self, sequences: Models, costs: Array) -> tuple[Array, Array]:
        """What each sequence costs, and what it is worth with each strategy, shape (strategies, sequences)."""
        failed = np.cumprod(1.0 - self.success[sequences[:, :-1]], axis=1)
        reached = np.column_stack([np.ones(len(sequences)), failed])
        worth = reached * self.net[sequences]
        utility = self.users.weights[:, :-1] @ worth[:, :-1].T + self.tail[:, sequences[:, -1]] * worth[:, -1]
        return (reached * costs[np.arange(len(costs)), sequences]).sum(axis=1), utility

    def _better(self, share: Array, costs: Array, bound: float) -> Models:
        """The best sequence from each first model, of those below `bound`: cost less utilities times their share."""
        passes = np.vstack([np.outer(share @ self.users.weights[:, :-1], np.ones_like(self.net)), share @ self.tail])
        prices = costs - passes * self.net
        order = [int(prices[-1].argmin())]
        rest = prices[-1, order[0]]
        for price in prices[-2:0:-1]:
            total = price + (1.0 - self.success) * rest
            order.insert(0, int(total.argmin()))
            rest = total[order[0]]
        first = np.flatnonzero(prices[0] + (1.0 - self.success) * rest < bound)
        return np.column_stack([first, np.tile(order, (len(first), 1))])
