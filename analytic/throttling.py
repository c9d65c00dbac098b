"""Throttling, solved completely: when slowing models down pays the provider, what it gains and what the user loses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic.commitment import Commitment
from stackroute.analytic.equilibrium import Route, solve
from stackroute.analytic.regimes import Regime

if TYPE_CHECKING:
    from stackroute.analytic.game import BoolArray, FloatArray, Game


@dataclass(frozen=True, eq=False)
class ThrottlingGain:
    """What delays change at the equilibrium.

    Attributes:
        pays: Whether throttling lowers the provider's cost, shape (...).
        provider_gain: J* without delays minus J* with them, money, >= 0, shape (...).
        user_loss: U* without delays minus U* with them, utility, shape (...), at the equilibrium that is best for the
            user; negative where the user gains, because the provider then serves another model.
        user_loss_worst: The same at the equilibrium that is worst for the user, where delays go up to the value; equal
            to `user_loss` where throttling does not pay.
        churn_penalty_low: Throttling pays only for churn penalties above this one, money, shape (...); -infinity where
            there is no such bound, NaN where throttling pays at no churn penalty.
        churn_penalty_high: P*: throttling pays only for churn penalties below this one; NaN likewise.
        least: The commitment with the least delay in all among those that make throttling pay, shape (...); the
            equilibrium without delays where it does not. It may slow the model it starts with where the equilibrium
            that is best for the user threatens with the other.
        threat: Whether the equilibrium that is best for the user serves the first model at full speed and slows
            the second only, shape (...).
    """

    pays: BoolArray
    provider_gain: FloatArray
    user_loss: FloatArray
    user_loss_worst: FloatArray
    churn_penalty_low: FloatArray
    churn_penalty_high: FloatArray
    least: Commitment
    threat: BoolArray


def throttling_gain(game: Game) -> ThrottlingGain:
    """When and how throttling pays (Mahmood 2026, Proposition 2; complete solution beyond the paper).

    It strictly lowers the provider's cost in exactly two cases:

    1. xi1, xi2 > 0 and P < min(kappa1, kappa2). The user is made to leave after one pass. Where the first model is
       served, by P <= (c2 - c1) / (p2 - p1), slowing the second alone and threatening with it, s = 1, is enough.
    2. xi1 <= 0 < xi2, kappa2 < kappa1 and (c2 - c1) / (p2 - p1) < P < kappa2: the second is served, below worth.

    Args:
        game: One game or a batch, in the paper's orders.

    Returns:
        The gain, the loss, and the churn penalties between which throttling pays.

    Raises:
        InvalidGameError: A game is not in the paper's orders, which the two cases need.

    Examples:
        >>> from stackroute.analytic import Game
        >>> gain = throttling_gain(Game([0.5, 0.8], [0.3, 0.6], [0.1, 0.2], value=2, churn_penalty=0.4))
        >>> gain.pays.item(), gain.provider_gain.round(3).item(), gain.churn_penalty_high.round(3).item()
        (True, 0.1, 0.6)
    """
    game.check_orders()
    free, slow = solve(game), solve(game, throttling=True)
    success, kappa = game.success, game.cost_of_pass
    both = free.regime == Regime.BOTH_WORTH
    second = (free.regime == Regime.ONLY_REASONING_WORTH) & (kappa[..., 1] < kappa[..., 0])
    slope = (game.cost[..., 1] - game.cost[..., 0]) / (success[..., 1] - success[..., 0])
    high = np.where(both, kappa.min(axis=-1), np.where(second, kappa[..., 1], 0.0))
    possible = high > 0
    low = np.where(possible, np.where(both, -np.inf, slope), np.nan)
    high = np.where(possible, high, np.nan)
    penalty = game.churn_penalty
    # Within rounding of a bound the solver sees no gain, and does not delay.
    pays = possible & (penalty > low) & (penalty < high) & slow.commitment.delay.any(axis=-1)

    threat = pays & (slow.route == Route.LEAVE_BY_THREAT)
    # Slowing the first model itself may need less than the threat of a slow second one.
    xi = np.maximum(game.net_value, 0.0)
    slow_first = threat & (xi[..., 0] <= xi[..., 1])
    slow_second = pays & ~slow_first
    least = Commitment.cascade(
        slow.commitment.first_model,
        np.where(slow_first, 0.0, slow.commitment.cascade_probability[..., 0]),
        delay=np.where(np.stack([slow_first, slow_second], axis=-1), xi, 0.0),
    )
    return ThrottlingGain(
        pays=pays[()],
        provider_gain=np.where(pays, np.maximum(free.provider_cost - slow.provider_cost, 0.0), 0.0)[()],
        user_loss=(free.user_utility - slow.user_utility)[()],
        user_loss_worst=(free.user_utility - np.where(pays, slow.user_utility_worst, slow.user_utility))[()],
        churn_penalty_low=low[()],
        churn_penalty_high=high[()],
        least=least,
        threat=threat[()],
    )
