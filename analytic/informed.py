"""The user that sees which model served its failed pass: its patience, and the provider's optimum against it.

Its payoffs are those of `stackroute.analytic.payoffs` with `by_model=True`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.analytic.commitment import Commitment
from stackroute.analytic.game import InvalidGameError
from stackroute.analytic.kernels import ROUNDING, TIE
from stackroute.analytic.payoffs import provider_cost, user_utility
from stackroute.analytic.response import tie_sign

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic.game import BoolArray, FloatArray, Game
    from stackroute.analytic.response import TieBreaking


@dataclass(frozen=True, eq=False)
class InformedEquilibrium:
    """A Stackelberg equilibrium of each game against a user that sees which model served (beyond the paper).

    Attributes:
        commitment: The provider's optimal commitment, shape (...).
        patience: The user's probability to re-prompt after a failure on each model, 0 or 1, shape (..., 2).
        provider_cost: The provider's expected cost of a task, money, shape (...).
        user_utility: The user's expected utility of a task, shape (...).
    """

    commitment: Commitment
    patience: FloatArray
    provider_cost: FloatArray
    user_utility: FloatArray


def _after_first(game: Game, s: FloatArray, payoff: FloatArray, stays_on_second: BoolArray) -> FloatArray:
    """A positive multiple of what a re-prompt after a failure on the first model gains, exactly 0 within rounding.

    With W2 = x2 / p2 for a user that stays on the second model and x2 for one that leaves it, re-prompting after every
    failure on the first gains G = s W2 + (1 - s)(x1 + a G), so that G has the sign of (1 - s) x1 + s W2.
    """
    x1, x2 = payoff[..., 0], payoff[..., 1]
    moved_on = s * x2 / np.where(stays_on_second, game.success[..., 1], 1.0)
    gain = (1.0 - s) * x1 + moved_on
    # Not |x1| (1 - s): the rounding of s itself moves the gain by its share of |x1|.
    rounding = ROUNDING * (np.abs(x1) * (s < 1.0) + np.abs(moved_on))
    certain: FloatArray = gain * (np.abs(gain) > rounding)
    return certain


def informed_response(game: Game, commitment: Commitment, tie_breaking: TieBreaking = "strong") -> FloatArray:
    """The best response of a user that sees which model served its failed pass (beyond the paper).

    Its patience may depend on the model, which makes its task an optimal stopping problem. After a failure on the
    second model it stays exactly when xi2 > 0. With W2 = xi2 / p2 if it stays there and xi2 if not, it stays after a
    failure on the first exactly when (1 - s) xi1 + s W2 > 0. A user that is indifferent within rounding after a failure
    chooses the answer that is best (`"strong"`) or worst (`"pessimistic"`) for the provider, and re-prompts if the
    provider does not care either. Ties on both models are resolved from the second backwards: whatever happens on the
    first, the provider's cost is least when what follows on the second costs least.

    An answer after a failure that never happens is that of a task which gets there all the same: the first model after
    a start on the second; the second after a start on the first with s = 0 or with a user that leaves.

    Args:
        game: One game or a batch; the paper's orders are not needed.
        commitment: One commitment or a batch; its delays lower the net values.
        tie_breaking: For (`"strong"`) or against (`"pessimistic"`) the provider.

    Returns:
        The probability to re-prompt after a failure on the first model and on the second model, 0 or 1, shape (..., 2).

    Raises:
        InvalidGameError: There are not two models, or the commitment is no cascade.
        ValueError: The tie-breaking is neither of the two.

    Examples:
        >>> from stackroute.analytic import Commitment, Game
        >>> game = Game([0.22, 0.7], [0.09, 0.11], [0.04, 0.51], value=0.64, churn_penalty=4.83)
        >>> informed_response(game, Commitment.cascade(0, [0.5, 0.7]))
        array([[1., 0.],
               [0., 0.]])
    """
    sign = tie_sign(tie_breaking)
    game.check_models(2)
    if commitment.models != 2 or not commitment.is_cascade.all():
        raise InvalidGameError("commitment", "another chain", "a cascade of two models, as Commitment.cascade makes it")
    s = commitment.cascade_probability[..., 0]
    xi, eta = game.with_delay(commitment.delay), sign * game.net_cost
    on_second = np.where(xi[..., 1] == 0.0, eta[..., 1] >= 0.0, xi[..., 1] > 0.0)
    user, provider = (_after_first(game, s, payoff, on_second) for payoff in (xi, eta))
    on_first = np.where(user == 0.0, provider >= 0.0, user > 0.0)
    return np.stack(np.broadcast_arrays(on_first, on_second), axis=-1).astype(np.float64)


def solve_informed(game: Game) -> InformedEquilibrium:
    """The provider's optimum, without delays, against a user that sees which model served (beyond the paper).

    The user's answer on the second model does not depend on s, and that on the first model changes at most once, where
    (1 - s) xi1 + s W2 = 0. On either side J is a Moebius function of s, hence monotone, and at the change the user
    takes the provider's side. So the optimum lies among `static(0)`, `static(1)`, `cascade(0, 1)` and the change. With
    xi1 <= 0 < xi2 the change is s0, and the equilibrium is that of `solve`: a user that sees which model served learns
    nothing it would act on. With xi1 > 0 >= xi2 it is sH, the user leaves after a failure on the second model, and a
    true cascade is never strictly optimal: while the user stays on the first, J goes monotonically from kappa1 towards
    c1 + (1 - p1) A2, which is below kappa1 only if A2, the cost of `static(1)`, is lower still.

    Among commitments of the same least cost the one that is best for the user is returned, then the first in this
    order.

    Args:
        game: One game or a batch; the paper's orders are not needed.

    Returns:
        The equilibrium under strong tie-breaking, of the game's batch shape.

    Examples:
        >>> from stackroute.analytic import Game
        >>> game = Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5)
        >>> equilibrium = solve_informed(game)
        >>> equilibrium.commitment.cascade_probability.round(5), equilibrium.patience
        (array([0.30769]), array([1., 1.]))
    """
    game.check_models(2)
    xi1, xi2 = game.net_value[..., 0], game.net_value[..., 1]
    against, moved_on = np.abs(xi1), np.abs(xi2) / np.where(xi2 > 0.0, game.success[..., 1], 1.0)
    changes = (xi1 > 0.0) != (xi2 > 0.0)
    change = np.divide(against, against + moved_on, where=changes & (against > 0.0), out=np.zeros(game.shape))
    zero, one = np.zeros(game.shape), np.ones(game.shape)
    tried = Commitment.cascade(np.stack([zero, one, zero, zero]), np.stack([zero, zero, one, change]))
    patience = informed_response(game, tried)
    cost = provider_cost(game, tried, patience, by_model=True)
    utility = user_utility(game, tried, patience, by_model=True)

    welcome = np.where(cost <= cost.min(axis=0) * (1.0 + TIE), utility, -np.inf)
    rounding = TIE * (game.value + game.latency.sum(axis=-1))
    at = (welcome >= welcome.max(axis=0) - rounding).argmax(axis=0)[None]

    def chosen(array: npt.NDArray[Any]) -> Any:
        return np.take_along_axis(array, at, axis=0)[0]

    return InformedEquilibrium(
        commitment=Commitment.cascade(chosen(tried.first_model), chosen(tried.cascade_probability[..., 0])),
        patience=np.take_along_axis(patience, at[..., None], axis=0)[0],
        provider_cost=chosen(cost),
        user_utility=chosen(utility),
    )
