"""Variants of the game that are games again, so that every solver, environment and learner has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy

from stackroute.analytic.game import Game, InvalidGameError, as_floats, check, over_models, probability

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic.game import FloatArray


def _of_models(name: str, value: npt.ArrayLike, game: Game) -> FloatArray:
    """One finite number for all models, or one for each."""
    array = as_floats(name, value)
    array = np.full(game.models, array) if array.ndim == 0 else over_models(name, array, game.models)
    check(name, array, np.isfinite(array), "a finite number")
    return array


def priced(game: Game, price: npt.ArrayLike) -> Game:
    """The game in which the user pays for every pass (beyond the paper): latency t + pi, cost c - pi.

    A price above the cost makes the cost negative, a profit; such games are solved over all commitments
    (`solve(game, routing="free")`), as the paper's theorems are about costs. Value, latency and price are in one unit.

    Args:
        game: One game or a batch.
        price: What a pass on each model costs the user, >= 0, shape (..., n), or one number for all models.

    Returns:
        The game, of the common batch shape.

    Raises:
        InvalidGameError: A price is negative or not a number.

    Examples:
        >>> game = Game([0.5, 0.8], [0.2, 0.6], [0.1, 0.3], value=2, churn_penalty=3)
        >>> priced(game, [0.25, 0.5]).cost
        array([-0.05,  0.1 ])
    """
    pi = _of_models("price", price, game)
    check("price", pi, pi >= 0.0, "at least 0")
    return game.with_valid(latency=game.latency + pi, cost=game.cost - pi)


def with_outside_option(game: Game, utility: npt.ArrayLike) -> Game:
    """The game in which a user that leaves gets its task done elsewhere (beyond the paper): value V - omega.

    A solved task is then worth omega less than before, more than leaving is. Add omega to the utilities of this game to
    get those of the user.

    Args:
        game: One game or a batch.
        utility: What the user gets where it leaves, omega, less than the value, shape (...).

    Returns:
        The game, of the common batch shape.

    Raises:
        InvalidGameError: The outside option is worth the value or more.

    Examples:
        >>> game = Game([0.5, 0.8], [0.2, 0.6], [0.1, 0.3], value=2, churn_penalty=3)
        >>> with_outside_option(game, 0.5).value
        array(1.5)
    """
    omega = as_floats("utility", utility)
    check("utility", omega, omega < game.value.min(), f"less than the value, {game.value.min():g}")
    return game.with_valid(value=game.value - omega)


def unverified(
    game: Game, false_accept: npt.ArrayLike = 0.0, false_reject: npt.ArrayLike = 0.0, harm: npt.ArrayLike = 0.0
) -> Game:
    """The game of users that cannot verify answers (beyond the paper).

    A wrong answer is taken for right with probability f, at a harm H, and a right one for wrong with probability g. A
    pass then ends the task with probability sigma = p (1 - g) + (1 - p) f. With sigma as its success and the latency
    t + V (sigma - p (1 - g)) + H (1 - p) f, the net value of a pass is that of an answer that is right and accepted.

    Args:
        game: One game or a batch.
        false_accept: f, in [0, 1], shape (..., n), or one number for all models.
        false_reject: g, in [0, 1), shape (..., n), or one number for all models.
        harm: H, utility, >= 0, shape (...).

    Returns:
        The game, of the common batch shape: "solved" means accepted.

    Raises:
        InvalidGameError: One of them holds a value that is not allowed.

    Examples:
        >>> game = Game([0.5, 0.8], [0.2, 0.6], [0.1, 0.3], value=2, churn_penalty=3)
        >>> unverified(game, false_accept=0.1).success
        array([0.55, 0.82])
    """
    f = probability("false_accept", _of_models("false_accept", false_accept, game))
    g = probability("false_reject", _of_models("false_reject", false_reject, game))
    check("false_reject", g, g < 1.0, "less than 1")
    check("false_accept", f, f < 1.0, "less than 1")
    hurt = as_floats("harm", harm)
    check("harm", hurt, np.isfinite(hurt) & (hurt >= 0.0), "a finite number >= 0")
    accepted_wrong = (1.0 - game.success) * f
    success = game.success * (1.0 - g) + accepted_wrong
    latency = game.latency + (game.value + hurt)[..., None] * accepted_wrong
    return game.with_valid(success=success, latency=latency)


def efforts(game: Game, between: int = 9) -> Game:
    """The game in which the provider also chooses how long a model reasons (beyond the paper).

    The models of `game` are one model at efforts that were measured. Between two of them cost and latency grow
    geometrically, and the log-odds of a success follow the logarithm of the cost on a monotone cubic through those
    measured. What of these models is worth using is on the lower hull of `solve(game, routing="free")`.

    Args:
        game: One game with at least two models, in the order of their cost and latency.
        between: How many efforts to add between two that were measured, >= 0.

    Returns:
        The game, of (n - 1) (between + 1) + 1 models; every (between + 1)-th is a measured one, as it was.

    Raises:
        InvalidGameError: It is a batch, costs or latencies do not grow from one model to the next or are not > 0, or
            `between` is negative.

    Examples:
        >>> measured = Game([0.3, 0.6, 0.7], [0.01, 0.02, 0.08], [5, 10, 50], value=100, churn_penalty=1)
        >>> efforts(measured, between=1).cost.round(3)
        array([0.01 , 0.014, 0.02 , 0.04 , 0.08 ])
    """
    if game.shape or game.models < 2:
        raise InvalidGameError("game", f"{game.models} models of shape {game.shape}", "one game of at least two models")
    check("between", np.asarray(float(between)), np.asarray(between >= 0), "at least 0")
    grows = {name: getattr(game, name) for name in ("cost", "latency")}
    for name, array in grows.items():
        check(name, array, array > np.r_[0.0, array[:-1]], "> 0 and more than that of the model before")
    measured = np.arange(game.models)
    level = np.linspace(0.0, game.models - 1, (game.models - 1) * (between + 1) + 1)
    grown = {name: np.exp(np.interp(level, measured, np.log(array))) for name, array in grows.items()}
    log_odds = np.log(game.success / (1.0 - game.success))
    success = 1.0 / (
        1.0 + np.exp(-scipy.interpolate.PchipInterpolator(np.log(game.cost), log_odds)(np.log(grown["cost"])))
    )
    exact = np.arange(0, len(level), between + 1)
    for name, array in {**grown, "success": success}.items():
        array[exact] = getattr(game, name)
    return Game(success, grown["cost"], grown["latency"], game.value, game.churn_penalty)
