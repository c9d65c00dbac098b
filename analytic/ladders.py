"""The exact optimum for tasks of hidden difficulty: linear programs over mixtures of ladders."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy

from stackroute.analytic.game import InvalidGameError
from stackroute.analytic.traffic import Ladders
from stackroute.analytic.traffic_response import economics

if TYPE_CHECKING:
    from stackroute.analytic.game import BoolArray, FloatArray, IntArray
    from stackroute.analytic.populations import Population
    from stackroute.analytic.traffic import Traffic

MOST_MODELS = 4
"""How many models the solver takes: the number of pasts grows with the horizon to the power of the models."""

_CONVERGED = 1e-9
_NEGLIGIBLE = 1e-12
_FEASIBLE = 1e-9


@dataclass(frozen=True, eq=False)
class TrafficEquilibrium:
    """The provider's optimum over all mixtures of ladders, by group; with m types of users, theirs are (m, G, ...).

    Attributes:
        provider_cost: The provider's expected cost of a task, money, shape (G,).
        user_utility: The user's expected utility of a task, shape (G,) or (m, G).
        stop: The number of failures after which users stop, shape (G,) or (m, G); the horizon where they never do.
        policy: The ladders, with probabilities of shape (G, C, L) and delays of shape (G, N).
        multipliers: What the provider would save if where users stop were worth a unit of utility more to them than
            stopping after n failures, money per utility, >= 0, shape (G, N) or (m, G, N): the price of patience.
    """

    provider_cost: FloatArray
    user_utility: FloatArray
    stop: IntArray
    policy: Ladders
    multipliers: FloatArray


class _Columns(NamedTuple):
    """Ladders, each for a context: their models, what each stop is worth, shape (m, k, N), and how many come to it."""

    context: IntArray
    models: IntArray
    utility: FloatArray
    cost: FloatArray
    reached: FloatArray


class _Program(NamedTuple):
    """The solution of the linear program for one choice of stops."""

    cost: float
    stop: IntArray
    chance: FloatArray
    waiting: FloatArray
    multipliers: FloatArray


class _Group:
    """The tasks of one group, and the ladders found for them so far.

    What the past says of a task is how often each model has failed, in any order: the tables of what a pass is worth
    are over these counts, for each attempt, summed over the types of each context, each player's in a unit of its size.
    """

    def __init__(
        self,
        traffic: Traffic,
        group: int,
        horizon: int,
        users: Population | None = None,
        beliefs: FloatArray | None = None,
    ) -> None:
        mine = np.flatnonzero(traffic.group == group)
        games, weight = traffic.games[mine], traffic.by_group[group, mine]
        value, self.waiting_cost, penalty = economics(traffic, users)
        value, penalty = value[:, mine], penalty[:, mine]
        self.share = np.ones(1) if users is None else users.share
        self.penalty = float(self.share @ penalty @ weight)
        labels = traffic.context[mine] if beliefs is None else np.arange(len(beliefs))
        self.contexts, context = np.unique(labels, return_inverse=True)
        in_context = scipy.sparse.csr_array(
            (weight, (context, np.arange(len(mine)))) if beliefs is None else beliefs,
            shape=(len(self.contexts), len(mine)),
        )

        gains = value[..., None] * games.success - self.waiting_cost[:, None, None] * games.latency
        costs = games.cost - penalty[..., None] * games.success
        self.utility_unit, self.money_unit = np.abs(gains).max(axis=(1, 2)), float(np.abs(costs).max() or 1.0)
        gains, costs = gains / self.utility_unit[:, None, None], costs / self.money_unit
        self.waiting_cost = self.waiting_cost / self.utility_unit

        one = np.eye(games.models, dtype=np.int64)
        counts, log_failure = np.zeros((1, games.models), dtype=np.int64), np.log1p(-games.success)
        self.following: list[IntArray] = []
        self.reached: list[FloatArray] = []
        self.gains: list[FloatArray] = []
        self.costs: list[FloatArray] = []
        for _ in range(horizon):
            left = np.exp(log_failure @ counts.T)
            self.reached.append(in_context @ left)
            for tables, worth in ((self.gains, gains), (self.costs, costs)):
                by_model = [[in_context @ (left * one[:, k, None]) for one in worth] for k in range(games.models)]
                tables.append(np.stack(by_model, axis=-1))
            shape = counts.shape
            counts, index = np.unique((counts[:, None] + one).reshape(-1, shape[1]), axis=0, return_inverse=True)
            self.following.append(index.reshape(shape))
        static = [np.full((len(self.contexts), horizon), k) for k in range(games.models)]
        self.columns = self._worth(np.tile(np.arange(len(self.contexts)), games.models), np.concatenate(static))

    def _worth(self, context: IntArray, models: IntArray) -> _Columns:
        """The columns of ladders, each for a context."""
        at = np.zeros(len(context), dtype=np.int64)
        gains: list[FloatArray] = []
        costs: list[FloatArray] = []
        reached = []
        for m, following in enumerate(self.following):
            gains.append(self.gains[m][:, context, at, models[:, m]])
            costs.append(self.costs[m][:, context, at, models[:, m]])
            reached.append(self.reached[m][context, at])
            at = following[at, models[:, m]]
        utility, cost = (np.cumsum(np.stack(one, axis=-1), axis=-1) for one in (gains, costs))
        return _Columns(context, models, utility, cost, np.stack(reached, axis=-1))

    def best_ladders(self, by_cost: FloatArray, by_gain: FloatArray) -> tuple[FloatArray, IntArray]:
        """For each context the least sum over attempts m and users j of by_cost[j, m] cost - by_gain[j, m] gain.

        By dynamic programming from the last attempt; the sums, shape (C,), and the ladders, shape (C, N).
        """
        after = np.zeros((len(self.contexts), int(self.following[-1].max()) + 1))
        choices = []
        for m in reversed(range(len(self.following))):
            net = np.tensordot(by_cost[:, m], self.costs[m], 1) - np.tensordot(by_gain[:, m], self.gains[m], 1)
            total = net + after[:, self.following[m]]
            choices.append(total.argmin(axis=-1))
            after = total.min(axis=-1)
        row, at, ladder = np.arange(len(self.contexts)), np.zeros(len(self.contexts), dtype=np.int64), []
        for following, choice in zip(self.following, reversed(choices), strict=True):
            ladder.append(choice[row, at])
            at = following[at, ladder[-1]]
        return after[:, 0], np.stack(ladder, axis=-1)

    def solve(self, stop: IntArray, throttling: bool, most: float) -> _Program | None:
        """The least cost at which users of each type choose these stops; None where it is above `most`, or none does.

        Columns are generated twice: for the least utility that users lack to choose so, then for the least cost.
        """
        users, horizon, contexts = len(stop), len(self.following), len(self.contexts)
        counted = (np.arange(horizon) < stop[:, None]).astype(np.float64)
        others = [(j, n) for j in range(users) for n in range(horizon) if n != stop[j] - 1]
        j, n = np.array(others, dtype=np.int64).reshape(-1, 2).T
        # How much more is counted of an attempt up to the stop than up to n.
        more = counted[j] - (np.arange(horizon) <= n[:, None])
        waits = self.waiting_cost[j, None] * more[:, 1:]
        delays = waits.shape[1] if throttling else 0
        least, solution = np.inf, np.zeros(0)
        for lacking in (True, False):
            while True:
                columns = self.columns
                cost = self.share @ np.take_along_axis(columns.cost, stop[:, None, None] - 1, axis=-1)[..., 0]
                chosen = np.take_along_axis(columns.utility, stop[:, None, None] - 1, axis=-1)
                loses = columns.utility[j, :, n] - chosen[j, :, 0]
                belongs = (columns.context == np.arange(contexts)[:, None]).astype(np.float64)
                master = scipy.optimize.linprog(
                    np.r_[np.zeros(len(cost)) if lacking else cost, np.zeros(delays), float(lacking)],
                    A_ub=np.c_[loses, waits[:, :delays], -np.ones(len(j))],
                    b_ub=np.zeros(len(j)),
                    A_eq=np.c_[belongs, np.zeros((contexts, delays + 1))],
                    b_eq=np.ones(contexts),
                    bounds=[*[(0.0, np.inf)] * (len(cost) + delays), (0.0, np.inf if lacking else 5.0 * _CONVERGED)],
                    options={"primal_feasibility_tolerance": _FEASIBLE, "dual_feasibility_tolerance": _FEASIBLE},
                )
                assert master.fun is not None
                assert master.x is not None
                least, solution = master.fun, master.x
                multipliers = np.zeros((users, horizon))
                multipliers[j, n] = -master.ineqlin.marginals
                by_gain = np.zeros((users, horizon))
                np.add.at(by_gain, j, multipliers[j, n][:, None] * more)
                by_cost = np.zeros_like(counted) if lacking else self.share[:, None] * counted
                found, ladders = self.best_ladders(by_cost, by_gain)
                reduced = found - master.eqlin.marginals
                bound = least + np.minimum(reduced, 0.0).sum()
                if bound > (_CONVERGED if lacking else most):
                    return None
                better = reduced < -2.0 * _FEASIBLE
                # The duals of the master are not exact: what it has already is no better.
                better[better] = ~_among(np.c_[np.flatnonzero(better), ladders[better]], columns)
                if not better.any() or (lacking and least <= _CONVERGED):
                    break
                new = self._worth(np.flatnonzero(better), ladders[better])
                self.columns = _Columns(
                    np.r_[columns.context, new.context],
                    np.r_[columns.models, new.models],
                    np.concatenate([columns.utility, new.utility], axis=1),
                    np.concatenate([columns.cost, new.cost], axis=1),
                    np.r_[columns.reached, new.reached],
                )
        return _Program(least, stop, solution[: len(cost)], solution[len(cost) : len(cost) + delays], multipliers)


def _among(priced: IntArray, columns: _Columns) -> BoolArray:
    """Which contexts with ladders, rows of shape (k, 1 + N), are among columns."""
    have = np.c_[columns.context, columns.models]
    mine = np.isin(have[:, 0], priced[:, 0])
    _, number = np.unique(np.concatenate([have[mine], priced]), axis=0, return_inverse=True)
    number = number.reshape(-1)
    found: BoolArray = np.isin(number[mine.sum() :], number[: mine.sum()])
    return found


class Pricing:
    """Finds the best ladder of each context where users' utility has a price: a rule for each context by itself.

    With the multipliers of `solve_traffic` its ladders are optimal (beyond the paper); where users leave after the
    first failure and nothing has a price they have the least (1 - p) P + c, by which published routers go.

    Args:
        traffic: The tasks, of one group.
        horizon: N, the most attempts.
        beliefs: How likely each type is in each context, >= 0, shape (C, T), in place of the contexts of the traffic.

    Examples:
        >>> from stackroute.analytic import Game, Traffic
        >>> games = Game([[0.9, 0.95], [0.1, 0.6]], [0.1, 0.8], [0.5, 1], value=4, churn_penalty=5)
        >>> traffic = Traffic(games, [0.7, 0.3], context=["easy", "hard"])
        >>> Pricing(traffic, horizon=4).ladders(stop=2, multipliers=np.zeros(4))
        array([[0, 0, 0, 0],
               [1, 1, 0, 0]])
    """

    def __init__(self, traffic: Traffic, horizon: int = 12, beliefs: FloatArray | None = None) -> None:
        self._group, self.horizon = _Group(traffic, 0, horizon, beliefs=beliefs), horizon

    def ladders(self, stop: int, multipliers: FloatArray, utility_price: float = 0.0) -> IntArray:
        """The ladders of least J(n) - mu U(n) + sum over n' of lambda_n' (U(n') - U(n)).

        Args:
            stop: n, where users are to stop.
            multipliers: lambda, money per utility, >= 0, shape (N,).
            utility_price: mu, what users' utility is worth to the provider by itself, money per utility, >= 0.

        Returns:
            The models of all attempts, shape (C, N).
        """
        group, attempts = self._group, np.arange(self.horizon)
        counted = (attempts < stop).astype(np.float64)
        # How much more is counted of an attempt up to the stop than up to n', by n'.
        more = counted - (attempts <= attempts[:, None])
        price = (utility_price * counted + multipliers @ more) * (group.utility_unit[0] / group.money_unit)
        return group.best_ladders(counted[None], price[None])[1]


def solve_traffic(
    traffic: Traffic, horizon: int = 12, throttling: bool = False, users: Population | None = None
) -> TrafficEquilibrium:
    """The provider's optimum over all commitments, tasks being of hidden difficulty (beyond the paper).

    A commitment is a random, history-dependent choice of models, which may depend on group and context: a mixture of
    ladders for each. Users of a group know it, count their failures and stop after the n for which it is best
    (`counting_response`). For each n that they are to choose, the mixture of least J(n) subject to U(n) >= U(n') for
    all n' is a linear program (Conitzer and Sandholm 2006); its columns are priced exactly by dynamic programming over
    how often each model has failed. Groups are separate problems; contexts share the users' constraints.

    Users of a higher V / w stop no sooner, so that of all combinations of stops only those in this order are tried.

    Args:
        traffic: The tasks, with up to 4 models.
        horizon: N, the most attempts.
        throttling: Whether the provider may delay attempts after the first.
        users: Types of users, which the provider cannot tell apart; None: the games' own.

    Returns:
        The optimum of each group.

    Raises:
        InvalidGameError: There are more models, or the horizon is below 1.

    Examples:
        >>> from stackroute.analytic import Game, Traffic
        >>> games = Game([[0.9, 0.95], [0.1, 0.6]], [0.1, 0.8], [0.5, 1], value=4, churn_penalty=5)
        >>> found = solve_traffic(Traffic(games, [0.7, 0.3]))
        >>> found.provider_cost.round(3), found.stop
        (array([0.431]), array([12]))
    """
    if traffic.models > MOST_MODELS:
        raise InvalidGameError("models", traffic.models, f"at most {MOST_MODELS}")
    if horizon < 1:
        raise InvalidGameError("horizon", horizon, "at least 1")
    patience = np.zeros(1) if users is None else users.value / users.waiting_cost
    in_order = np.argsort(np.argsort(patience, kind="stable"), kind="stable")
    groups = [_Group(traffic, number, horizon, users) for number in range(len(traffic.groups))]
    solved = []
    for group in groups:
        best: _Program | None = None
        for ascending in combinations_with_replacement(range(1, horizon + 1), len(patience)):
            found = group.solve(np.array(ascending)[in_order], throttling, np.inf if best is None else best.cost)
            if found is not None and (best is None or found.cost < best.cost):
                best = found
        assert best is not None, "users stop somewhere, whatever the provider does"
        solved.append(best)

    ladders, row = np.unique(
        np.concatenate([group.columns.models[: len(one.chance)] for group, one in zip(groups, solved, strict=True)]),
        axis=0,
        return_inverse=True,
    )
    chance = np.zeros((len(groups), len(traffic.contexts), len(ladders)))
    delay = np.zeros((len(groups), horizon))
    cost, utility, multipliers = [], [], []
    begins = 0
    for number, (group, one) in enumerate(zip(groups, solved, strict=True)):
        mine = slice(len(one.chance))
        columns = group.columns
        # The inverse has a second axis in NumPy 2.0.
        at = group.contexts[columns.context[mine]], row.reshape(-1)[begins : begins + len(one.chance)]
        begins += len(one.chance)
        np.add.at(chance[number], at, np.where(one.chance > _NEGLIGIBLE, one.chance, 0.0))
        delay[number, 1 : 1 + len(one.waiting)] = (
            one.waiting / (one.chance @ columns.reached[mine])[1 : 1 + len(one.waiting)]
        )
        cost.append(group.penalty + one.cost * group.money_unit)
        stop = one.stop[:, None, None] - 1
        reached = np.take_along_axis(columns.utility[:, mine], stop, axis=-1)[..., 0] @ one.chance
        lost = group.waiting_cost * np.array([one.waiting[: n - 1].sum() for n in one.stop])
        utility.append((reached - lost) * group.utility_unit)
        multipliers.append(one.multipliers * group.money_unit / group.utility_unit[:, None])
    used = chance.any(axis=(0, 1))
    # Contexts that a group does not have may be served by anything.
    chance[~chance.any(axis=-1), np.flatnonzero(used)[0]] = 1.0
    chance = chance[..., used] / chance.sum(axis=-1, keepdims=True)
    which = 0 if users is None else slice(None)
    return TrafficEquilibrium(
        np.array(cost),
        np.stack(utility, axis=-1)[which],
        np.stack([one.stop for one in solved], axis=-1)[which],
        Ladders(ladders[used], chance, delay),
        np.stack(multipliers, axis=1)[which],
    )
