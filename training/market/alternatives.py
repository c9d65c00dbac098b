"""What else a provider might do: which models are never needed, the best single model, and the best cascade of two."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stackroute.analytic import Route, solve
from stackroute.analytic.kernels import lower_hull

if TYPE_CHECKING:
    from stackroute.analytic import Game
    from stackroute.analytic.game import BoolArray, FloatArray, IntArray

_MOST_COMPARED = 300
"""Models of which all pairs are compared."""


class SingleModels(NamedTuple):
    """Each model alone, against the users' best response.

    Attributes:
        provider_cost: The provider's expected cost of a task, money, shape (n,).
        user_utility: The user's expected utility of a task, shape (n,).
        stays: The share of the users that stay until their task is solved, shape (n,).
    """

    provider_cost: FloatArray
    user_utility: FloatArray
    stays: FloatArray


class Cascade(NamedTuple):
    """The best of the paper's cascades among two models.

    Attributes:
        first: The model that starts.
        then: The model to which a re-prompt moves.
        probability: With which it does.
        provider_cost: The provider's expected cost of a task, money.
    """

    first: int
    then: int
    probability: float
    provider_cost: float


def dominated(game: Game) -> dict[int, int]:
    """Models that another one dominates: it is as good in everything, and better in something.

    It succeeds at least as often, costs no more and takes no longer, and one of these strictly.

    Args:
        game: One game.

    Returns:
        Each dominated model, and of those that dominate it the one whose solution is cheapest and that nobody
        dominates. Of equal models none dominates the other.
    """
    quantities = np.stack([-game.success, game.cost, game.latency])
    by: BoolArray = np.ones((game.models, game.models), dtype=np.bool_)
    strictly = np.zeros_like(by)
    for one in quantities:
        by &= one <= one[:, None]
        strictly |= one < one[:, None]
    by &= strictly
    undominated = ~by.any(axis=1)
    price = np.where(by & undominated, game.cost_of_pass, np.inf)
    return {k: int(price[k].argmin()) for k in np.flatnonzero(~undominated).tolist()}


def never_needed(game: Game) -> BoolArray:
    """Models that serve nobody at any optimum over all commitments, whatever the users are like (beyond the paper).

    Retries of users that stay are served along the lower hull of what a solution costs over how long it takes, and the
    first answer by a corner of the lower hull of the cost of a pass over its success: see `stackroute.analytic.solve`.

    Returns:
        Shape (n,). Models that are needed for nothing but a threat, which makes users leave, count as never needed.
    """
    needed: BoolArray = lower_hull(-game.latency / game.success, game.cost_of_pass)
    needed |= lower_hull(game.success, game.cost)
    # Of equal models the hull has the first.
    _, kind = np.unique(np.stack([game.success, game.cost, game.latency]), axis=1, return_inverse=True)
    # The inverse has a second axis in NumPy 2.0.
    kind = kind.reshape(-1)
    never: BoolArray = ~np.isin(kind, kind[needed])
    return never


def single_models(games: Game, share: FloatArray) -> SingleModels:
    """Each model alone, for types of users with their shares.

    Users stay where xi = V p - t is more than 0, which every pass is worth to them (Mahmood 2026, Theorem 1); one that
    is indifferent does what costs the provider less.

    Args:
        games: What the game is to each type of users, shape (m,).
        share: Of each type, shape (m,).
    """
    p, xi, lost = games.success, games.net_value, games.churn_penalty[:, None]
    stays = np.where(xi == 0.0, games.cost_of_pass <= lost, xi > 0.0)
    cost = np.where(stays, games.cost_of_pass, games.cost + (1.0 - p) * lost)
    return SingleModels(share @ cost, share @ np.where(stays, xi / p, xi), share @ stays)


def best_cascade(game: Game) -> Cascade | None:
    """The best of the paper's cascades from one model to another (Mahmood 2026, Theorems 3 to 5).

    None where one of the two alone costs as little.

    Of all pairs but those whose second model is both worse and cheaper, which `solve` does not take: of models that
    nobody dominates, and of these of the 300 whose solutions are cheapest.
    """
    left = np.setdiff1d(np.arange(game.models), list(dominated(game)))
    left = left[np.argsort(game.cost_of_pass[left], kind="stable")][:_MOST_COMPARED]
    one, other = (each.ravel() for each in np.meshgrid(left, left))
    p, c = game.success, game.cost
    kept = (one != other) & ~((p[one] > p[other]) & (c[one] > c[other]))
    pairs: IntArray = np.stack([one[kept], other[kept]], axis=1)
    if not len(pairs):
        return None
    found = solve(game.with_valid(**{name: getattr(game, name)[pairs] for name in ("success", "cost", "latency")}))
    at = int(found.provider_cost.argmin())
    if found.route[at] != Route.CASCADE:
        return None
    probability = float(found.commitment.cascade_probability[at, 0])
    first, then = pairs[at].tolist()
    return Cascade(first, then, probability, float(found.provider_cost[at]))
