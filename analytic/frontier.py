"""What a user's utility costs the provider: one curve, and the questions that it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import kernels
from stackroute.analytic.commitment import Commitment
from stackroute.analytic.game import InvalidGameError, as_floats, probability

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic.game import FloatArray, Game


@dataclass(frozen=True, eq=False)
class Branch:
    """The least cost of a user's utility while users stay, or while they leave after a failure: convex and rising.

    Attributes:
        user_utility: At the m corners, utility, ascending, shape (m,).
        provider_cost: At the corners, money, shape (m,).
        start: Probability that the first pass is on each model, shape (m, n).
        lottery: Probability that a re-prompt is served by each model, shape (m, n); where users leave, by the model
            that makes them.
    """

    user_utility: FloatArray
    provider_cost: FloatArray
    start: FloatArray
    lottery: FloatArray

    def cost(self, user_utility: npt.ArrayLike) -> FloatArray:
        """The least cost of giving users at least a utility, money, of its shape; infinite where that is impossible."""
        wanted = as_floats("user_utility", user_utility)
        least: FloatArray = np.interp(wanted, self.user_utility, self.provider_cost, right=np.inf)
        return least[()]


@dataclass(frozen=True, eq=False)
class Frontier:
    """The least provider's cost J(v) of giving users a utility of at least v (beyond the paper).

    It is the lower of two branches, and the least of all commitments under which users either stay until their task is
    solved or leave after its first failure; see `frontier`.

    Attributes:
        game: The game.
        stay: While users stay until their task is solved; None where no model is worth the wait.
        leave: While users leave after a failed pass; None where they cannot be made to.
    """

    game: Game
    stay: Branch | None
    leave: Branch | None

    @property
    def branches(self) -> list[Branch]:
        """The branches that exist."""
        return [branch for branch in (self.stay, self.leave) if branch is not None]

    @property
    def greatest_utility(self) -> float:
        """The greatest utility that the provider can give."""
        return max(float(branch.user_utility[-1]) for branch in self.branches)

    def cost(self, user_utility: npt.ArrayLike) -> FloatArray:
        """The least cost of giving users at least a utility, where they stay until the end or leave at once.

        Args:
            user_utility: v, utility, shape (...).

        Returns:
            J(v), money, shape (...); infinite above the greatest utility.
        """
        least: FloatArray = np.min([branch.cost(user_utility) for branch in self.branches], axis=0)
        return least[()]

    def utility(self, provider_cost: float) -> float:
        """The greatest utility that costs the provider no more than some money: the inverse of `cost`.

        Args:
            provider_cost: Money.

        Returns:
            Utility; minus infinity where everything costs more.
        """
        reached = [
            float(np.interp(provider_cost, branch.provider_cost, branch.user_utility, left=-np.inf))
            for branch in self.branches
        ]
        return max(reached)

    def commitment(self, user_utility: float) -> Commitment:
        """A commitment that gives users at least a utility at the least cost, against a user that helps the provider.

        A commitment's delays hold for the first pass too. Where users leave because of a delay and every model may
        start, it slows the first pass of one of them and gives less than the frontier, whose delays are for re-prompts.

        Args:
            user_utility: v, utility.

        Returns:
            The commitment: a lottery, mixed of those of two corners.

        Raises:
            InvalidGameError: No commitment gives as much.
        """
        if user_utility > self.greatest_utility:
            allowed = f"at most {self.greatest_utility:g}, the greatest that the provider can give"
            raise InvalidGameError("user_utility", user_utility, allowed)
        branch = min(self.branches, key=lambda each: float(each.cost(user_utility)))
        weight = np.array([np.interp(user_utility, branch.user_utility, one) for one in np.eye(len(branch.start))])
        start = weight @ branch.start
        if branch is self.leave:
            return self._leaving(start)
        # Lotteries are mixed by the tasks that reach them and how long these stay in them.
        p = self.game.success
        passes = (branch.start @ (1.0 - p)) / (branch.lottery @ p)
        lottery = (weight * passes) @ branch.lottery
        return Commitment.lottery(start, lottery / lottery.sum())

    def _leaving(self, start: FloatArray) -> Commitment:
        """Users leave: re-prompts go to the model that is worth least, slowed until it is worth nothing."""
        xi = self.game.net_value
        slowest = np.eye(self.game.models)[(start * xi).argmin() if (xi > 0.0).all() else xi.argmin()]
        return Commitment.lottery(start, slowest, slowest * np.maximum(xi, 0.0))


def frontier(game: Game, throttling: bool = False) -> Frontier:
    """What every user's utility costs the provider (beyond the paper).

    While users stay, a commitment is a distribution over pairs of the model i that starts and the model k that solves
    the task after a failure. A pair costs c_i + (1 - p_i) kappa_k, gives users xi_i + (1 - p_i) u_k, and adds
    (1 - p_i) u_k to what staying is worth, which must not be negative in all. The corners of J(v) are the pairs that
    are worth it themselves, and mixtures of two of which one is not, at a worth of 0; the curve is their lower hull.
    While users leave, it is the lower hull of (xi_i, A_i) with A_i = c_i + P (1 - p_i). The optimum of `solve` is the
    least cost of all, and `misalignment` is how far its utility is from the greatest one.

    Between its ends J(v) is the least only among commitments under which users stay until the end or leave after the
    first failure. Where some xi < 0, one under which they mix, or would leave after several failures, can cost less:
    in about a third of random games at some v, by 10 to 50 %. No commitment costs less than the lower hull of both
    branches taken together.

    Args:
        game: One game, of any number of models.
        throttling: Whether the provider may delay re-prompts: users can then be made to leave in every game.

    Returns:
        The frontier.

    Raises:
        InvalidGameError: It is a batch of games.

    Examples:
        >>> from stackroute.analytic import Game
        >>> curve = frontier(Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5))
        >>> curve.stay.user_utility.round(4), curve.stay.provider_cost.round(4)
        (array([-0.1   ,  0.0125,  0.225 ]), array([0.3882, 0.6   , 1.    ]))
        >>> curve.cost([0.0, 0.2, 0.3]).round(4)
        array([0.5765, 0.9529,    inf])
    """
    if game.shape:
        raise InvalidGameError("game", f"shape {game.shape}", "one game")
    p, c, xi, kappa = game.success, game.cost, game.net_value, game.cost_of_pass
    n = game.models
    leave = None
    if throttling or (xi <= 0.0).any():
        slowest = np.broadcast_to(np.eye(n)[xi.argmin()], (n, n))
        leave = _branch(xi, c + game.churn_penalty * (1.0 - p), np.eye(n), slowest)
    # After a failure other models serve nobody for less.
    kept = np.flatnonzero(kernels.lower_hull(xi / p, kappa))
    first, last = np.repeat(np.arange(n), len(kept)), np.tile(kept, n)
    worth = (1.0 - p[first]) * xi[last] / p[last]
    utility, cost = xi[first] + worth, c[first] + (1.0 - p[first]) * kappa[last]
    alone = np.flatnonzero(worth >= 0.0)
    more, less = (each.ravel() for each in np.meshgrid(np.flatnonzero(worth > 0.0), np.flatnonzero(worth < 0.0)))
    one, other = np.r_[alone, more], np.r_[alone, less]
    share = np.r_[np.ones(len(alone)), -worth[less] / (worth[more] - worth[less])]
    if not len(one):
        return Frontier(game, None, leave)

    def mixed(of_pairs: FloatArray) -> FloatArray:
        weight = share.reshape(-1, *(1,) * (of_pairs.ndim - 1))
        both: FloatArray = weight * of_pairs[one] + (1.0 - weight) * of_pairs[other]
        return both

    passes = mixed(((1.0 - p[first]) / p[last])[:, None] * np.eye(n)[last])
    lottery = passes / passes.sum(axis=1, keepdims=True)
    return Frontier(game, _branch(mixed(utility), mixed(cost), mixed(np.eye(n)[first]), lottery), leave)


def _branch(utility: FloatArray, cost: FloatArray, start: FloatArray, lottery: FloatArray) -> Branch:
    """The lower hull of points, each with what the provider does there."""
    corners = np.flatnonzero(kernels.lower_hull(utility, cost))
    order = corners[np.argsort(utility[corners])]
    return Branch(utility[order], cost[order], start[order], lottery[order])


def regulate(
    game: Game, *, user_utility: float | None = None, success: float | None = None, throttling: bool = False
) -> float:
    """What a regulator's floor costs the provider: read from the frontier, with its restriction (beyond the paper).

    That users are told which model served changes nothing, as `solve` over all commitments holds for both. A ban on
    delays is `solve(game, routing="free", throttling=False)`.

    Args:
        game: One game.
        user_utility: The least utility that a task must give users.
        success: The least probability that a task is solved, in [0, 1].
        throttling: Whether the provider may delay.

    Returns:
        The provider's least cost of a task where users stay until the end or leave at once, money; infinite where the
        floor cannot be met.

    Raises:
        InvalidGameError: A floor is not a number, or the success is no probability.
        ValueError: Not exactly one floor is given.

    Examples:
        >>> from stackroute.analytic import Game
        >>> game = Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5)
        >>> round(regulate(game, user_utility=0.1), 4), round(regulate(game, success=0.9), 4)
        (0.7647, 0.3882)
    """
    found = frontier(game, throttling)
    if user_utility is not None and success is None:
        return float(found.cost(user_utility))
    if user_utility is not None or success is None:
        raise ValueError("user_utility, success: expected exactly one of the two floors")
    wanted = float(probability("success", success))
    costs = [] if found.stay is None else [float(found.stay.provider_cost[0])]
    if found.leave is not None:
        p = game.success
        left = _branch(p, game.cost + game.churn_penalty * (1.0 - p), np.eye(game.models), np.eye(game.models))
        costs.append(float(left.cost(wanted)))
    return min(costs)
