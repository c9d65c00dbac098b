"""The Stackelberg equilibrium: the provider's optimum among the paper's cascades, or among all commitments."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from stackroute.analytic import kernels
from stackroute.analytic.commitment import Commitment
from stackroute.analytic.game import InvalidGameError, check
from stackroute.analytic.regimes import regime
from stackroute.analytic.response import tie_sign

if TYPE_CHECKING:
    from stackroute.analytic.game import BoolArray, FloatArray, Game, IntArray
    from stackroute.analytic.response import TieBreaking

Routing = Literal["cascade", "free"]
"""What the provider may commit to: `"cascade"`, a re-prompt moves to the next model with a committed probability, or
`"free"`, any sequence of models, random or not."""


def default_routing(game: Game) -> Routing:
    """What the provider may commit to where nothing else is said: the paper's cascades of up to two models, else free.

    Examples:
        >>> from stackroute.analytic import Game
        >>> default_routing(Game([0.5, 0.8], [0.1, 0.8], [0.6, 0.7], value=1, churn_penalty=5))
        'cascade'
    """
    return "cascade" if game.models <= 2 else "free"


class Route(enum.IntEnum):
    """What the provider does with a task at an equilibrium.

    Attributes:
        STATIC: One model serves as long as the task lasts; users that leave do so of themselves.
        CASCADE: Re-prompts move on to the next model with a probability above 0, and users stay, or mix.
        LOTTERY: Any other routing by which users stay, or mix.
        LEAVE_BY_DELAY: Users are made to leave after the first pass: the model they start on is slowed.
        LEAVE_BY_THREAT: Users leave after the first pass, on a model that is worth it, because re-prompts would go to
            one that is not, slowed or not.
    """

    STATIC = 0
    CASCADE = 1
    LOTTERY = 2
    LEAVE_BY_DELAY = 3
    LEAVE_BY_THREAT = 4

    @property
    def label(self) -> str:
        """The route in words."""
        return {
            Route.STATIC: "one model serves the task throughout",
            Route.CASCADE: "re-prompts move on to the next model",
            Route.LOTTERY: "re-prompts are served by a lottery",
            Route.LEAVE_BY_DELAY: "users are made to leave by a delay",
            Route.LEAVE_BY_THREAT: "users are made to leave by the threat of a model that is not worth the wait",
        }[self]


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """A Stackelberg equilibrium of each game.

    Attributes:
        game: The games.
        routing: What the provider may commit to.
        throttling: Whether the provider may delay.
        tie_breaking: How an indifferent user chooses.
        commitment: The provider's optimal commitment, shape (...).
        patience: The user's best response r to it, shape (...).
        provider_cost: The provider's expected cost of a task J*, money, shape (...).
        user_utility: The user's expected utility of a task, shape (...): the best for the user among the equilibria
            with this cost.
        user_utility_worst: The worst for the user among them (beyond the paper), shape (...); with throttling delays
            go up to the value, without a bound there would be no worst.
    """

    game: Game
    routing: Routing
    throttling: bool
    tie_breaking: TieBreaking
    commitment: Commitment
    patience: FloatArray
    provider_cost: FloatArray
    user_utility: FloatArray
    user_utility_worst: FloatArray

    @property
    def regime(self) -> IntArray:
        """Which models are worth a pass, of games of one or two: see `stackroute.analytic.regime`."""
        return regime(self.game)

    @property
    def hull(self) -> BoolArray:
        """Which models are on the lower hull of cost over utility of a solution, (u_k, kappa_k), shape (..., n).

        Only these need to serve re-prompts of users that stay, at an optimum over all commitments.
        """
        hull: BoolArray = kernels.lower_hull(self.game.net_value / self.game.success, self.game.cost_of_pass)
        return hull

    @property
    def route(self) -> IntArray:
        """What the provider does: `Route` values as integers, shape (...)."""
        start, moves, first = self.commitment.start, self.commitment.transition, self.commitment.first_model

        def of_first(array: FloatArray) -> FloatArray:
            chosen: FloatArray = np.take_along_axis(array, first[..., None], axis=-1)[..., 0]
            return chosen

        static = (of_first(start) == 1.0) & (of_first(np.diagonal(moves, axis1=-2, axis2=-1)) == 1.0)
        leaves = self.patience == 0.0
        sent_away = leaves & (of_first(self.game.net_value) > 0.0)
        slowed = of_first(self.commitment.delay) > 0.0
        codes: IntArray = np.select(
            [
                sent_away & slowed,
                sent_away,
                static | leaves,
                self.commitment.is_cascade,
            ],
            [Route.LEAVE_BY_DELAY, Route.LEAVE_BY_THREAT, Route.STATIC, Route.CASCADE],
            Route.LOTTERY,
        )
        return codes[()]


def solve(
    game: Game, routing: Routing = "cascade", throttling: bool = False, tie_breaking: TieBreaking = "strong"
) -> Equilibrium:
    """The provider's optimal commitment and the user's response (Mahmood 2026, Theorems 3 to 5).

    With two models the optimum lies among `static(0)`, `static(1)`, `cascade(0, 1)` and one more cascade, at s0 or sL;
    each is evaluated at the user's exact best response. With throttling (Mahmood 2026, Proposition 2, and its complete
    solution beyond the paper) the provider may also make a user that would stay leave after one pass: by the threat
    `cascade(0, 1)` with a slow second model, or by slowing the model it starts with, in each case just enough to make
    the user indifferent.

    With free routing (beyond the paper) the provider commits to any sequence of models. Let kappa_k = c_k / p_k be the
    cost of a solution and u_k = xi_k / p_k what it is worth to the user. C* is the least sum of y_k kappa_k over shares
    y >= 0 that sum to 1 with sum y_k u_k >= 0: at most two models have one. Then

        J* = min over i of c_i + (1 - p_i) K,    K = min(P, C*) if the user can be made to leave, K = C* otherwise:

    after a failed first pass a continuation solves the task on model k with probability y_k, is worth sum y_k u_k to
    the user, who may leave, and costs sum y_k kappa_k + P (1 - sum y_k). This is linear with sum y_k <= 1, so that y
    sums to 0 or to 1. A lottery attains it that serves every re-prompt on model k with probability proportional to
    y_k / p_k. Users leave where re-prompts go to a model with xi <= 0, or with throttling to one slowed to xi = 0.
    With one model both kinds of routing are the same.

    Among commitments of the same least cost the one that is best for the user is returned, then the one with the
    least delay, then the one that starts on the first model.

    Args:
        game: One game or a batch; of one or two models for `"cascade"`.
        routing: What the provider may commit to: the paper's cascades, or `"free"`.
        throttling: Allow delays.
        tie_breaking: How an indifferent user chooses. Against a user that chooses `"pessimistic"` an optimum at
            indifference is not attained but approached: the commitment goes a hair beyond, 1e-9 in the cascade
            probability or in a lottery and 1e-9 of the value in delays, and its cost is that of the infimum within
            about as much, with free routing as much over the least success probability.

    Returns:
        The equilibrium, of the game's batch shape.

    Raises:
        InvalidGameError: With `"cascade"`, there are more than two models, or the second is both worse and cheaper: the
            optimum may then be a mix of the user's that is no candidate. In all other games without the paper's orders
            the candidates were confirmed by brute force.
        ValueError: The routing or the tie-breaking has another value.

    Examples:
        >>> from stackroute.analytic import Game
        >>> game = Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5)
        >>> equilibrium = solve(game)
        >>> equilibrium.commitment.first_model.item(), equilibrium.commitment.cascade_probability.round(5)
        (0, array([0.30769]))
        >>> Route(equilibrium.route).label
        're-prompts move on to the next model'
        >>> three = Game([0.3, 0.6, 0.8], [0.1, 0.3, 0.8], [0.5, 0.5, 0.7], value=1.1, churn_penalty=5)
        >>> free = solve(three, routing="free")
        >>> free.commitment.start, free.commitment.transition[0].round(4), round(float(free.provider_cost), 4)
        (array([1., 0., 0.]), array([0.4848, 0.5152, 0.    ]), 0.4127)
    """
    if routing not in get_args(Routing):
        allowed = " or ".join(map(repr, get_args(Routing)))
        raise ValueError(f"routing: {routing!r} is not allowed; expected {allowed}")
    sign = tie_sign(tie_breaking)
    amounts = (game.success, game.cost, game.latency, game.value, game.churn_penalty, bool(throttling), sign)
    if routing == "free" or game.models == 1:
        start, lottery, delay, *results = kernels.solve_free(*amounts, np.empty(game.models))
        moves = np.broadcast_to(lottery[..., None, :], (*lottery.shape, game.models))
    else:
        _check_cascades(game)
        start, moves, delay, *results = kernels.solve_cascades(*amounts, np.empty((7, kernels.MAX_CANDIDATES)))
    commitment = Commitment.of_valid(start=start, transition=moves, delay=delay)
    return Equilibrium(game, routing, throttling, tie_breaking, commitment, *results)


def _check_cascades(game: Game) -> None:
    """Check that the optimum is among the candidates."""
    if game.models > 2:
        raise InvalidGameError("models", game.models, "one or two, for routing='cascade'")
    p, c = game.success, game.cost
    worse_and_cheaper = (p[..., 0] > p[..., 1]) & (c[..., 0] > c[..., 1])
    check("success", p[..., 1:], ~worse_and_cheaper[..., None], "a second model that is not both worse and cheaper")
    check("cost", c, c >= 0.0, "at least 0, for routing='cascade'")


@dataclass(frozen=True, eq=False)
class RoutingComparison:
    """What the paper's restriction to cascades costs the provider, and does to users.

    Attributes:
        cascade: The equilibrium over the paper's cascades.
        free: The equilibrium over all commitments.
    """

    cascade: Equilibrium
    free: Equilibrium

    @property
    def provider_saving(self) -> FloatArray:
        """What free routing saves, as a share of the cost with cascades, in [0, 1], shape (...)."""
        cost, least = self.cascade.provider_cost, self.free.provider_cost
        saving: FloatArray = np.divide(cost - least, cost, out=np.zeros(np.shape(cost)), where=cost > 0.0)
        return np.maximum(saving, 0.0)[()]

    @property
    def user_gain(self) -> FloatArray:
        """What users get more under free routing, utility, shape (...)."""
        return self.free.user_utility - self.cascade.user_utility


def compare_routing(game: Game, throttling: bool = False, tie_breaking: TieBreaking = "strong") -> RoutingComparison:
    """What it costs the provider to commit to the paper's cascades only (beyond the paper).

    Args:
        game: One game of one or two models, or a batch.
        throttling: Allow delays.
        tie_breaking: How an indifferent user chooses.

    Returns:
        Both equilibria.

    Raises:
        InvalidGameError: As for `solve` with cascades.

    Examples:
        >>> from stackroute.analytic import Game
        >>> compared = compare_routing(Game([0.22, 0.7], [0.09, 0.11], [0.04, 0.51], value=0.64, churn_penalty=4.83))
        >>> compared.provider_saving.round(3)
        np.float64(0.325)
    """
    return RoutingComparison(*(solve(game, routing, throttling, tie_breaking) for routing in get_args(Routing)))
