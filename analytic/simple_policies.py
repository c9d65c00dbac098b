"""What policies simpler than the optimum lose on tasks of hidden difficulty."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stackroute.analytic.commitment import Commitment
from stackroute.analytic.equilibrium import solve
from stackroute.analytic.ladders import solve_traffic
from stackroute.analytic.traffic import Ladders
from stackroute.analytic.traffic_response import TrafficPayoffs, best_stops, counting_response, traffic_payoffs

if TYPE_CHECKING:
    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.analytic.populations import Population
    from stackroute.analytic.traffic import Traffic

_GRID, _ROUNDS = 41, 3
"""Probabilities of a cascade that are tried in each round of the search, and the rounds."""


class SimplePolicy(NamedTuple):
    """The best policy of a kind, and how users answer it.

    Attributes:
        policy: The policy.
        provider_cost: The provider's expected cost of a task, money.
        user_utility: The user's expected utility of a task, of each of m types of users shape (m,).
        stop: The number of failures after which users stop, of each type of users shape (m,).
    """

    policy: Ladders | Commitment
    provider_cost: float
    user_utility: FloatArray
    stop: IntArray


@dataclass(frozen=True, eq=False)
class PolicyComparison:
    """The best of the simpler policies for a group, beside the optimum.

    Attributes:
        optimum: The least cost, that of `solve_traffic`, money.
        static: The best single model.
        switch: The best ladder that serves m attempts with one model and all later ones with another.
        cascade: The best memoryless cascade from one model to another: after each failure the task moves on with a
            probability.
        independent: What is best where attempts are taken for independent with the mean success: the commitment of
            `solve(traffic.mean, routing="free")`.
        predicted_cost: What that theory expects it to cost, money.
    """

    optimum: float
    static: SimplePolicy
    switch: SimplePolicy
    cascade: SimplePolicy
    independent: SimplePolicy
    predicted_cost: float


def _cost(policy: SimplePolicy) -> float:
    return policy.provider_cost


def _cascade(models: int, first: int, then: int, probability: float) -> Commitment:
    moves = np.eye(models)
    moves[first, first], moves[first, then] = 1.0 - probability, probability
    return Commitment(np.eye(models)[first], moves)


def compare_policies(
    traffic: Traffic, horizon: int = 12, throttling: bool = False, users: Population | None = None
) -> list[PolicyComparison]:
    """What the optimum gains over simpler policies, where tasks differ in their hidden difficulty (beyond the paper).

    The simpler ones do not see contexts, and users answer each as they do the optimum: they count failures.

    Args:
        traffic: The tasks, with up to 4 models.
        horizon: N, the most attempts.
        throttling: Whether the optimum, and the theory of independent attempts, may delay.
        users: Types of users; None: the games' own. The theory of independent attempts knows the games' own only.

    Returns:
        A comparison for each group.

    Raises:
        InvalidGameError: As of `solve_traffic`.

    Examples:
        >>> from stackroute.analytic import Game, Traffic
        >>> games = Game([[0.9, 0.95], [0.1, 0.6]], [0.1, 0.8], [0.5, 1], value=4, churn_penalty=5)
        >>> (found,) = compare_policies(Traffic(games, [0.7, 0.3]))
        >>> round(found.optimum, 3), round(found.switch.provider_cost, 3), round(found.static.provider_cost, 3)
        (0.431, 0.431, 0.989)
    """
    optimum = solve_traffic(traffic, horizon, throttling, users)
    expected = solve(traffic.mean, "free", throttling)
    pairs = list(permutations(range(traffic.models), 2))
    compared = []
    for group in range(len(traffic.groups)):
        mine = traffic.in_group(group)

        def answered(policy: Ladders | Commitment, mine: Traffic = mine) -> SimplePolicy:
            stop, found = counting_response(mine, policy, horizon, users)
            at = [np.take_along_axis(array, stop[..., None] - 1, axis=-1)[..., 0, 0] for array in found]
            return SimplePolicy(policy, float(at[1] if users is None else users.share @ at[1]), at[0], stop[..., 0])

        def costs(found: TrafficPayoffs, mine: Traffic = mine) -> FloatArray:
            at = best_stops(mine, found, users)[..., None] - 1
            cost: FloatArray = np.take_along_axis(found.provider_cost, at, axis=-1)[..., 0, 0]
            return cost if users is None else cost @ users.share

        static = min((answered(Ladders.static(k)) for k in range(traffic.models)), key=_cost)
        switches, cascades = [static], [static]
        for first, then in pairs:
            ladders = [Ladders.switch(first, then, m) for m in range(1, horizon + 1)]
            found = [traffic_payoffs(mine, ladder, horizon, users) for ladder in ladders]
            worth = [np.stack(each) for each in zip(*found, strict=True)]
            switches.append(answered(ladders[int(costs(TrafficPayoffs(*worth)).argmin())]))
            low, high = 0.0, 1.0
            for _ in range(_ROUNDS):
                grid = np.linspace(low, high, _GRID)
                # A cascade is a mixture of ladders: within the horizon it moves on after m failures, or never.
                stays = (1.0 - grid[:, None]) ** np.arange(horizon)
                moves = np.c_[grid[:, None] * stays[:, :-1], stays[:, -1]]
                at = int(costs(TrafficPayoffs(*(np.tensordot(moves, one, 1) for one in worth))).argmin())
                low, high = grid[max(at - 1, 0)], grid[min(at + 1, _GRID - 1)]
                cascades.append(answered(_cascade(traffic.models, first, then, grid[at])))
        compared.append(
            PolicyComparison(
                float(optimum.provider_cost[group]),
                static,
                min(switches, key=_cost),
                min(cascades, key=_cost),
                answered(expected.commitment[group]),
                float(expected.provider_cost[group]),
            )
        )
    return compared
