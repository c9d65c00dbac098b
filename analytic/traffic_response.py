"""What policies are worth on tasks of hidden difficulty, and how users answer them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.polynomial import Polynomial

from stackroute.analytic.commitment import Commitment
from stackroute.analytic.game import InvalidGameError
from stackroute.analytic.traffic import Ladders, Traffic

if TYPE_CHECKING:
    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.analytic.populations import Population

INDIFFERENT = 1e-8
"""Utilities that differ by less than this share of the largest net value of a pass are taken for equal by users."""

_REAL = 1e-9
"""Roots with a smaller imaginary part are taken for real."""


class TrafficPayoffs(NamedTuple):
    """What stopping after n failures, n = 1 to N, is worth under a policy.

    Attributes:
        user_utility: The user's expected utility of a task, shape (G, N); with types of users (m, G, N).
        provider_cost: The provider's expected cost of a task, money, of the same shape.
    """

    user_utility: FloatArray
    provider_cost: FloatArray


def _served(traffic: Traffic, policy: Ladders | Commitment, horizon: int) -> tuple[FloatArray, FloatArray]:
    """How likely each type's task comes to each attempt on each model, shape (T, N, n), and the delays that apply."""
    p = traffic.games.success
    served = np.zeros((len(traffic), horizon, traffic.models))
    if isinstance(policy, Commitment):
        if policy.shape not in ((), (len(traffic.contexts),)) or policy.models != traffic.models:
            expected = f"shape ({len(traffic.contexts)}, {traffic.models}) or ({traffic.models},)"
            raise InvalidGameError("start", f"shape {policy.start.shape}", expected)
        made = policy[traffic.context] if policy.shape else policy.broadcast_to(traffic.games.shape)
        reached = made.start
        for attempt in range(horizon):
            served[:, attempt] = reached
            reached = np.einsum("tj,tjk->tk", reached * (1.0 - p), made.transition)
        return served, made.delay[:, None]
    if policy.models.max() >= traffic.models:
        raise InvalidGameError("models", policy.models.max(), f"a model, a whole number from 0 to {traffic.models - 1}")
    attempts = np.arange(horizon)
    shape = (len(traffic.groups), len(traffic.contexts), len(policy.models))
    try:
        np.broadcast_to(policy.probability, shape)
    except ValueError:
        raise InvalidGameError("probability", f"shape {policy.probability.shape}", f"shape {shape}") from None
    chances = policy.chances(traffic.group, traffic.context)
    for ladder, chance in zip(policy.until(horizon), chances.T, strict=True):
        (mine,) = np.nonzero(chance)
        left = np.cumprod(1.0 - p[mine[:, None], ladder[:-1]], axis=1)
        reached = np.concatenate([np.ones((len(mine), 1)), left], axis=1)
        served[mine[:, None], attempts, ladder] += chance[mine, None] * reached
    return served, policy.delays(traffic.group, attempts[:, None]).T[..., None]


def traffic_payoffs(
    traffic: Traffic, policy: Ladders | Commitment, horizon: int = 12, users: Population | None = None
) -> TrafficPayoffs:
    """What a policy is worth to both players for every number of failures after which users stop (beyond the paper).

    U(n) = sum over m <= n of sum over types a of w_a S_a(m) (V p_ak - t_ak - d_m) and
    J(n) = P + sum over m <= n of sum over a of w_a S_a(m) (c_ak - P p_ak), where k is the model of attempt m and S_a(m)
    the probability that the attempts before it fail.

    Args:
        traffic: The tasks.
        policy: Ladders, or a commitment: of shape () for all tasks, or of shape (C,), one for each context.
        horizon: N, the most attempts.
        users: Types of users; their values, waiting costs and churn penalties take the place of the games'.

    Returns:
        Both for every n.

    Raises:
        InvalidGameError: The policy does not fit the traffic.

    Examples:
        >>> from stackroute.analytic import Game, Ladders, Traffic
        >>> games = Game([[0.9, 0.95], [0.1, 0.6]], [0.1, 0.8], [0.5, 1], value=4, churn_penalty=5)
        >>> found = traffic_payoffs(Traffic(games, [0.7, 0.3]), Ladders.switch(0, 1, after=1), horizon=3)
        >>> found.user_utility.round(3)
        array([[2.14 , 2.714, 2.875]])
    """
    served, delay = _served(traffic, policy, horizon)
    games, share = traffic.games, traffic.by_group
    value, waiting_cost, penalty = economics(traffic, users)
    solved = (served * games.success[:, None, :]).sum(axis=-1)
    waited = (served * (games.latency[:, None, :] + delay)).sum(axis=-1)
    spent = (served * games.cost[:, None, :]).sum(axis=-1)
    utility = share @ (value[..., None] * solved - waiting_cost[:, None, None] * waited)
    cost = share @ (spent - penalty[..., None] * solved)
    over_stops = np.cumsum(utility, axis=-1), np.cumsum(cost, axis=-1) + (penalty @ share.T)[..., None]
    return TrafficPayoffs(*(array[0] if users is None else array for array in over_stops))


def solved_share(traffic: Traffic, policy: Ladders | Commitment, horizon: int = 12) -> FloatArray:
    """The share of tasks that are solved where users stop after n failures, n = 1 to `horizon`, shape (G, N).

    Args:
        traffic: The tasks.
        policy: As of `traffic_payoffs`.
        horizon: N, the most attempts.

    Examples:
        >>> from stackroute.analytic import Game, Ladders, Traffic
        >>> games = Game([[0.9, 0.95], [0.1, 0.6]], [0.1, 0.8], [0.5, 1], value=4, churn_penalty=5)
        >>> solved_share(Traffic(games, [0.7, 0.3]), Ladders.static(0), horizon=3).round(3)
        array([[0.66 , 0.75 , 0.781]])
    """
    served, _ = _served(traffic, policy, horizon)
    solved = (served * traffic.games.success[:, None, :]).sum(axis=-1)
    found: FloatArray = np.cumsum(traffic.by_group @ solved, axis=-1)
    return found


def economics(traffic: Traffic, users: Population | None) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Value (m, T), cost of waiting (m,) and churn penalty (m, T) of m types of users; without any, of the games."""
    if users is None:
        return traffic.games.value[None], np.ones(1), traffic.games.churn_penalty[None]
    shape = (len(users.share), len(traffic))
    value, penalty = (np.broadcast_to(array[:, None], shape) for array in (users.value, users.churn_penalty))
    return value, users.waiting_cost, penalty


def counting_response(
    traffic: Traffic, policy: Ladders | Commitment, horizon: int = 12, users: Population | None = None
) -> tuple[IntArray, TrafficPayoffs]:
    """After how many failures users stop, who know the policy and what failures say of a task (beyond the paper).

    What a user knows within a task is only how often it has failed, so that its strategies are to stop after n
    failures. Of several n that are best for it, it takes the one that costs the provider least.

    Args:
        traffic: The tasks.
        policy: Ladders or a commitment.
        horizon: N, the most attempts; users that would go on stop there.
        users: Types of users.

    Returns:
        n of each group, shape (G,), or of each type of users (m, G), and what every n is worth.

    Examples:
        >>> from stackroute.analytic import Game, Ladders, Traffic
        >>> games = Game([[0.9, 0.95], [0.1, 0.6]], [0.1, 0.8], [0.5, 1], value=4, churn_penalty=5)
        >>> counting_response(Traffic(games, [0.7, 0.3]), Ladders.static(0))[0]
        array([2])
    """
    found = traffic_payoffs(traffic, policy, horizon, users)
    return best_stops(traffic, found, users), found


def best_stops(traffic: Traffic, found: TrafficPayoffs, users: Population | None = None) -> IntArray:
    """The n of `counting_response` for what every n is worth, of any batch of policies on the first axes."""
    width = _indifference(traffic, users)[slice(None) if users is not None else 0]
    utility = found.user_utility
    near = utility >= utility.max(axis=-1, keepdims=True) - width[..., None, None]
    stop: IntArray = np.where(near, found.provider_cost, np.inf).argmin(axis=-1) + 1
    return stop


def _indifference(traffic: Traffic, users: Population | None) -> FloatArray:
    """By how much utilities may differ that users of each type take for equal, shape (m,)."""
    value, waiting_cost, _ = economics(traffic, users)
    net = value[..., None] * traffic.games.success - waiting_cost[:, None, None] * traffic.games.latency
    width: FloatArray = INDIFFERENT * np.abs(net).max(axis=(1, 2))
    return width


class StationaryResponse(NamedTuple):
    """How users answer who re-prompt with the same probability after every failure, and what it is worth.

    Attributes:
        patience: Their probability of re-prompting, shape (G,).
        user_utility: Their expected utility of a task, shape (G,).
        provider_cost: The provider's expected cost of a task, money, shape (G,).
    """

    patience: FloatArray
    user_utility: FloatArray
    provider_cost: FloatArray


def stationary_response(traffic: Traffic, policy: Ladders | Commitment, horizon: int = 12) -> StationaryResponse:
    """How the paper's users, whose patience is stationary, answer on tasks of hidden difficulty (beyond the paper).

    U(r) = sum over m of r^(m - 1) u_m, where u_m is what attempt m adds to the utility of users who go on: a
    polynomial, whose maximum is at 0, 1 or a root of its derivative. Of several patiences that are best for them, they
    take the one that costs the provider least.

    Args:
        traffic: The tasks.
        policy: As of `traffic_payoffs`.
        horizon: N, the most attempts.

    Returns:
        The answer of each group.

    Raises:
        InvalidGameError: The policy does not fit the traffic.

    Examples:
        >>> from stackroute.analytic import Game, Ladders, Traffic
        >>> games = Game([[0.9, 0.95], [0.1, 0.6]], [0.1, 0.8], [0.5, 1], value=4, churn_penalty=5)
        >>> stationary_response(Traffic(games, [0.7, 0.3]), Ladders.static(0)).patience.round(3)
        array([0.762])
    """
    found = traffic_payoffs(traffic, policy, horizon)
    width = _indifference(traffic, None)[0]
    answers = []
    for utility, cost in zip(*found, strict=True):
        gains, costs = (Polynomial(np.diff(over_stops, prepend=0.0)) for over_stops in (utility, cost))
        turns = [root.real for one in (gains, costs) for root in one.trim().deriv().roots() if abs(root.imag) < _REAL]
        patience = np.clip([0.0, 1.0, *turns], 0.0, 1.0)
        worth, spent = gains(patience), costs(patience)
        at = int(np.where(worth >= worth.max() - width, spent, np.inf).argmin())
        answers.append((patience[at], worth[at], spent[at]))
    return StationaryResponse(*np.array(answers).T)
