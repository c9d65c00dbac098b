"""Providers in a market: rivals, prices, and users that come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import kernels
from stackroute.analytic.equilibrium import solve
from stackroute.analytic.frontier import frontier
from stackroute.analytic.game import Game, InvalidGameError, as_floats, check, probability

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from stackroute.analytic.game import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Competition:
    """Who serves when users choose between providers, and what they get.

    Attributes:
        provider: The provider that serves, from 0.
        user_utility: What users get.
        provider_cost: What a task costs that provider, money; the others pay their churn penalty.
        offers: The greatest utility that each provider is willing to give, shape (m,); minus infinity for one that
            would rather lose the task.
    """

    provider: int
    user_utility: float
    provider_cost: float
    offers: FloatArray


def compete(games: Game | Sequence[Game], throttling: bool = False) -> Competition:
    """Users choose the provider that commits to the most for them; one that is not chosen pays its churn penalty.

    Each provider m is willing to give up to v_m, the greatest utility with J_m(v_m) <= P_m. The one that is willing to
    give most serves, and gives what the second would, or its own optimum where that is more (beyond the paper). What
    they are willing to give is read from the frontier, with its restriction.

    Args:
        games: The providers' games, a batch of shape (m,), or a list where they have different numbers of models: the
            same users, with the same value.
        throttling: Whether they may delay.

    Returns:
        The equilibrium; of providers that would give the same the first serves.

    Raises:
        InvalidGameError: It is not a batch of games, or no provider is willing to serve.

    Examples:
        >>> from stackroute.analytic import Game
        >>> rivals = Game([[0.5, 0.8], [0.4, 0.7]], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=1)
        >>> found = compete(rivals)
        >>> found.provider, round(found.user_utility, 4), found.offers.round(4)
        (0, 0.0, array([0.225, 0.   ]))
    """
    if isinstance(games, Game) and len(games.shape) != 1:
        raise InvalidGameError("games", f"shape {games.shape}", "a batch of shape (m,)")
    curves = [frontier(game, throttling) for game in games]
    offers = np.array([curve.utility(float(game.churn_penalty)) for curve, game in zip(curves, games, strict=True)])
    if np.isneginf(offers).all():
        raise InvalidGameError("games", offers.tolist(), "a provider that would rather serve than lose the task")
    chosen = int(offers.argmax())
    others = np.delete(offers, chosen)
    own = float(solve(games[chosen], "free", throttling).user_utility)
    utility = max(own, float(others.max(initial=-np.inf)))
    return Competition(chosen, utility, float(curves[chosen].cost(utility)), offers)


@dataclass(frozen=True, eq=False)
class PricedEquilibrium:
    """What a provider that sets prices does.

    Attributes:
        model: The model that serves throughout, from 0, shape (...).
        price: What a pass on it costs the user, shape (...).
        stays: Whether users stay until the task is solved, shape (...); they leave after a failed first pass where
            solving it is worth less than it costs by more than the churn penalty.
        profit: What the provider earns with a task, shape (...).
    """

    model: IntArray
    price: FloatArray
    stays: BoolArray
    profit: FloatArray


def priced_equilibrium(game: Game, entry_utility: npt.ArrayLike = 0.0) -> PricedEquilibrium:
    """The provider's optimum where it sets a price for every pass and users enter by choice (beyond the paper).

    All that the two can gain is the provider's, less what users want for entering. So the efficient route is taken: the
    model with the least (c_k + t_k) / p_k, and there is neither misalignment nor throttling. Value, waiting and money
    are in one unit.

    Args:
        game: One game or a batch.
        entry_utility: What users must expect of a task to enter, >= 0, shape (...).

    Returns:
        The optimum.

    Raises:
        InvalidGameError: The entry utility is negative or not a number.

    Examples:
        >>> from stackroute.analytic import Game
        >>> found = priced_equilibrium(Game([0.5, 0.8], [0.1, 0.3], [0.2, 0.1], value=2, churn_penalty=5))
        >>> int(found.model), float(found.price.round(4)), float(found.profit.round(4))
        (1, 1.5, 1.5)
    """
    wanted = as_floats("entry_utility", entry_utility)
    check("entry_utility", wanted, np.isfinite(wanted) & (wanted >= 0.0), "a finite number >= 0")
    p, spent, value = game.success, game.cost + game.latency, game.value[..., None]
    solved = (value - spent / p).max(axis=-1)
    lost = game.churn_penalty
    stays = solved >= -lost
    surplus = value * p - spent + (1.0 - p) * np.where(stays, solved, -lost)[..., None]
    model = surplus.argmax(axis=-1)

    def of_model(array: FloatArray) -> FloatArray:
        chosen: FloatArray = np.take_along_axis(array, model[..., None], axis=-1)[..., 0]
        return chosen

    worth = game.value - np.where(stays, wanted, 0.0)
    price = of_model(p) * worth - of_model(game.latency) - np.where(stays, 0.0, wanted)
    return PricedEquilibrium(model, price[()], stays[()], (surplus.max(axis=-1) - wanted)[()])


@dataclass(frozen=True, eq=False)
class RelationshipEquilibrium:
    """The churn penalty that follows from what a user is worth later.

    Attributes:
        churn_penalty: P, money, shape (...).
        relationship: What a user is worth to the provider from its next task on, money, shape (...).
        provider_cost: The cost of a task without the churn penalty, money, shape (...).
        abandoned: Probability that a task is abandoned, shape (...).
    """

    churn_penalty: FloatArray
    relationship: FloatArray
    provider_cost: FloatArray
    abandoned: FloatArray


def churn_from_relationship(
    game: Game, margin: npt.ArrayLike, leave: npt.ArrayLike, discount: npt.ArrayLike, throttling: bool = False
) -> RelationshipEquilibrium:
    """The churn penalty if an abandoned task ends the relationship (beyond the paper).

    A user brings a margin m a task; an abandoned task ends the relationship with probability l, and the next task
    counts g times as much. Then P = l g R with R = (m - C) / (1 - g (1 - l a)), for the cost C and the abandoned share
    a of the optimum at P: policy iteration, which ends after a few steps.

    Args:
        game: One game or a batch; its own churn penalty does not matter.
        margin: m, money a task, shape (...).
        leave: l, in [0, 1], shape (...).
        discount: g, in [0, 1), shape (...).
        throttling: Whether the provider may delay.

    Returns:
        What the relationship is worth.

    Raises:
        InvalidGameError: A number is not allowed, or the provider loses money with every user.

    Examples:
        >>> from stackroute.analytic import Game
        >>> game = Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=0)
        >>> churn_from_relationship(game, margin=0.7, leave=0.5, discount=0.9).churn_penalty.round(4)
        np.float64(1.4029)
    """
    worth = as_floats("margin", margin)
    ends, later = probability("leave", leave), probability("discount", discount)
    check("discount", later, later < 1.0, "less than 1")
    penalty = np.zeros(np.broadcast_shapes(game.shape, worth.shape, ends.shape, later.shape))
    while True:
        played = game.with_valid(churn_penalty=penalty)
        found = solve(played, "free", throttling)
        first = found.commitment.first_model[..., None]
        fails = 1.0 - np.take_along_axis(played.success, first, axis=-1)[..., 0]
        abandoned = np.where(found.patience == 0.0, fails, 0.0)
        cost = found.provider_cost - penalty * abandoned
        relationship = (worth - cost) / (1.0 - later * (1.0 - ends * abandoned))
        check("margin", relationship, relationship >= 0.0, "more than a task costs the provider")
        updated = ends * later * relationship
        if (updated <= penalty * (1.0 + kernels.TIE)).all():
            return RelationshipEquilibrium(updated[()], relationship[()], cost[()], abandoned[()])
        penalty = updated
