"""Users that the provider cannot tell apart, and users of bounded rationality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy

from stackroute.analytic import kernels
from stackroute.analytic.commitment import Commitment
from stackroute.analytic.game import Game, InvalidGameError, as_floats, check, non_negative

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic.game import FloatArray

_ROUNDS = 10_000
_GRID = 65
"""Lotteries of two models among which the search of a logit user's optimum begins."""


@dataclass(frozen=True, eq=False, init=False)
class Population:
    """Types of users, each with its share (beyond the paper).

    Args:
        value: What a solved task is worth to a user of each type, utility, > 0, shape (m,).
        waiting_cost: What a unit of the game's latency costs it, > 0, shape (m,).
        churn_penalty: What its leaving costs the provider, money, >= 0, shape (m,).
        share: How much of the users it is, >= 0, shape (m,); the shares are divided by their sum.

    Raises:
        InvalidGameError: A number is not allowed, or the lengths differ.
    """

    value: FloatArray
    waiting_cost: FloatArray
    churn_penalty: FloatArray
    share: FloatArray

    def __init__(
        self,
        value: npt.ArrayLike,
        waiting_cost: npt.ArrayLike,
        churn_penalty: npt.ArrayLike,
        share: npt.ArrayLike,
    ) -> None:
        given = {"value": value, "waiting_cost": waiting_cost, "churn_penalty": churn_penalty, "share": share}
        arrays = {name: np.atleast_1d(as_floats(name, array)) for name, array in given.items()}
        for name, array in arrays.items():
            non_negative(name, array)
            if name in ("value", "waiting_cost"):
                check(name, array, array > 0.0, "a finite number > 0")
        if len({array.shape for array in arrays.values()}) > 1 or arrays["share"].ndim > 1:
            listed = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
            raise InvalidGameError("population", listed, "one number for each type")
        if not arrays["share"].sum() > 0.0:
            raise InvalidGameError("share", arrays["share"].tolist(), "shares of which one is more than 0")
        arrays["share"] = arrays["share"] / arrays["share"].sum()
        for name, array in arrays.items():
            object.__setattr__(self, name, array)

    def games(self, game: Game) -> Game:
        """What the game is to each type of users, shape (m,); with the shares a `Traffic` that environments play.

        Examples:
            >>> from stackroute.analytic import Game, Traffic
            >>> users = Population(value=[1.0, 1.4], waiting_cost=[1, 2], churn_penalty=[0.7, 5], share=[0.5, 0.5])
            >>> game = Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1, churn_penalty=0)
            >>> Traffic(users.games(game), users.share).games.latency
            array([[0.65, 0.7 ],
                   [1.3 , 1.4 ]])
        """
        latency = self.waiting_cost[:, None] * game.latency
        return Game(game.success, game.cost, latency, self.value, self.churn_penalty)


@dataclass(frozen=True, eq=False)
class PopulationEquilibrium:
    """The provider's optimum against a population.

    Attributes:
        commitment: A lottery, the same for all users. Delays by which users are made to leave are not in it.
        stays: Whether each type stays until its task is solved, shape (m,).
        provider_cost: The provider's expected cost of a task, money.
        user_utility: The expected utility of each type, shape (m,).
        waiting: Latency of a solution after a failure, in the game's unit, which separates those that stay: V_j / w_j
            is at least as much for them; infinite where nobody stays.
    """

    commitment: Commitment
    stays: npt.NDArray[np.bool_]
    provider_cost: float
    user_utility: FloatArray
    waiting: float


def solve_population(game: Game, population: Population, throttling: bool = False) -> PopulationEquilibrium:
    """The provider's optimum over all commitments against users that it cannot tell apart (beyond the paper).

    A user of type j stays with a lottery exactly when it waits at most V_j / w_j for a solution, where it waits
    tau(y) = sum y_k t_k / p_k. So the provider chooses how long users wait, along the lower hull of (tau_k, kappa_k),
    and with it who stays:

        J = min over start i and tau of c_i + (1 - p_i) sum over j of m_j [C(tau) if tau <= V_j / w_j, else P_j].

    The least cost of a wait C is convex, so that the optimum is at a corner of the hull or where a type is indifferent;
    an indifferent type chooses for the provider. No sequence of models keeps some and sends others away for less.

    Args:
        game: One game; its own value and churn penalty do not count.
        population: The users.
        throttling: Whether the provider may delay re-prompts.

    Returns:
        The optimum.

    Raises:
        InvalidGameError: It is a batch of games.

    Examples:
        >>> from stackroute.analytic import Game
        >>> game = Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1, churn_penalty=0)
        >>> users = Population(value=[1.0, 1.4], waiting_cost=[1, 1], churn_penalty=[0.7, 5], share=[0.5, 0.5])
        >>> found = solve_population(game, users)
        >>> found.stays, round(found.provider_cost, 4)
        (array([False,  True]), 0.325)
    """
    if game.shape:
        raise InvalidGameError("game", f"shape {game.shape}", "one game")
    p, kappa, tau = game.success, game.cost_of_pass, game.latency / game.success
    limit = population.value / population.waiting_cost
    corner = kernels.lower_hull(-tau, kappa)
    if not throttling:
        # With delays, waiting longer than on the cheapest model is free.
        corner |= kernels.lower_hull(tau, kappa)
    corners = np.flatnonzero(corner)[np.argsort(tau[corner])]
    reach, costs = tau[corners], kappa[corners]
    longest = np.inf if throttling else reach[-1]
    levels = np.unique(np.r_[reach, limit[(limit >= reach[0]) & (limit <= longest)]])
    cost = np.interp(levels, reach, costs)
    indifferent = limit == levels[:, None]
    keeps = np.where(indifferent, cost[:, None] <= population.churn_penalty, limit >= levels[:, None])
    continued = np.where(keeps, cost[:, None], population.churn_penalty) @ population.share
    if throttling or longest > limit.max():
        levels, keeps = np.r_[levels, np.inf], np.vstack([keeps, np.zeros(len(limit), dtype=bool)])
        continued = np.r_[continued, population.churn_penalty @ population.share]
    at = int(continued.argmin())
    by_start = game.cost + (1.0 - p) * continued[at]
    first = int(by_start.argmin())
    waiting = float(levels[at])

    reached = min(waiting, float(reach[-1]))
    share = np.zeros(game.models)
    share[corners] = [np.interp(reached, reach, one) for one in np.eye(len(corners))]
    lottery = share / p / (share / p).sum()
    xi = population.value[:, None] * p - population.waiting_cost[:, None] * game.latency
    kept = population.value - population.waiting_cost * waiting if np.isfinite(waiting) else np.zeros(len(limit))
    return PopulationEquilibrium(
        Commitment.lottery(np.eye(game.models)[first], lottery),
        keeps[at],
        float(by_start[first]),
        xi[:, first] + np.where(keeps[at], (1.0 - p[first]) * kept, 0.0),
        waiting,
    )


@dataclass(frozen=True, eq=False)
class LogitEquilibrium:
    """The provider's optimum against a user of bounded rationality.

    Attributes:
        commitment: A lottery.
        patience: The probability that the user re-prompts after a failure.
        provider_cost: The provider's expected cost of a task, money.
        user_utility: The user's expected utility.
    """

    commitment: Commitment
    patience: float
    provider_cost: float
    user_utility: float


def solve_logit(game: Game, precision: float) -> LogitEquilibrium:
    """The provider's optimum over lotteries against a user of bounded rationality (beyond the paper).

    After a failure the user stays with probability s = 1 / (1 + exp(-beta W)), where
    W = z . xi + (1 - z . p) log(1 + exp(beta W)) / beta is what staying is worth to one that will choose so again; the
    solution is unique. A failed task then costs K = (s z . c + (1 - s) P) / (1 - s (1 - z . p)), and the provider
    starts where c_i + (1 - p_i) K is least. K is minimised over lotteries of two models, on a grid and then by a
    bounded search. For large beta this is `solve(game, routing="free")`.

    Args:
        game: One game.
        precision: beta, > 0, per unit of utility.

    Returns:
        The optimum.

    Raises:
        InvalidGameError: It is a batch of games, or the precision is not a finite number > 0.

    Examples:
        >>> from stackroute.analytic import Game
        >>> game = Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5)
        >>> [round(solve_logit(game, precision).provider_cost, 2) for precision in (1, 100, 10_000)]
        [1.37, 0.45, 0.39]
    """
    if game.shape:
        raise InvalidGameError("game", f"shape {game.shape}", "one game")
    beta = float(as_floats("precision", precision))
    check("precision", np.asarray(beta), np.asarray(0.0 < beta < np.inf), "a finite number > 0")

    def after_failure(lottery: FloatArray) -> tuple[FloatArray, FloatArray]:
        worth = _logit_worth(lottery @ game.net_value, lottery @ game.success, beta)
        stays = np.exp(-np.logaddexp(0.0, -beta * worth))
        cost = stays * (lottery @ game.cost) + (1.0 - stays) * game.churn_penalty
        return cost / (1.0 - stays * (1.0 - lottery @ game.success)), stays

    unit, grid = np.eye(game.models), np.linspace(0.0, 1.0, _GRID)
    best, least = unit[0], np.inf
    for i in range(game.models):
        for j in range(i + 1 if game.models > 1 else i, game.models):
            mixed = (1.0 - grid[:, None]) * unit[i] + grid[:, None] * unit[j]
            cost = after_failure(mixed)[0]
            at = int(cost.argmin())
            around = (grid[max(at - 1, 0)], grid[min(at + 1, _GRID - 1)])
            found = scipy.optimize.minimize_scalar(
                lambda share, i=i, j=j: float(after_failure((1.0 - share) * unit[i] + share * unit[j])[0]),
                bounds=around,
                method="bounded",
                options={"xatol": 1e-12},
            )
            share = found.x if found.fun < cost[at] else grid[at]
            if min(found.fun, cost[at]) < least:
                best, least = (1.0 - share) * unit[i] + share * unit[j], min(float(found.fun), float(cost[at]))
    cost, stays = after_failure(best)
    by_start = game.cost + (1.0 - game.success) * cost
    first = int(by_start.argmin())
    played = stays * (best @ game.net_value) / (1.0 - stays * (1.0 - best @ game.success))
    utility = game.net_value[first] + (1.0 - game.success[first]) * played
    return LogitEquilibrium(Commitment.lottery(unit[first], best), float(stays), float(by_start[first]), float(utility))


def _logit_worth(gain: FloatArray, success: FloatArray, beta: float) -> FloatArray:
    """The solution W of W = gain + (1 - success) log(1 + exp(beta W)) / beta, by Newton's method."""
    # The right side is convex in W with a slope below 1: from above, every step stays above.
    worth: FloatArray = np.maximum(gain, 0.0) / success + (1.0 - success) * np.log(2.0) / beta / success
    for _ in range(_ROUNDS):
        excess = worth - gain - (1.0 - success) * np.logaddexp(0.0, beta * worth) / beta
        step = excess / (1.0 - (1.0 - success) * np.exp(-np.logaddexp(0.0, -beta * worth)))
        worth = worth - step
        if (np.abs(step) <= 1e-15 * (np.abs(worth) + 1.0 / beta)).all():
            break
    return worth
