"""What happens without commitment: the Nash equilibria of the simultaneous game."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic.commitment import Commitment
from stackroute.analytic.kernels import ROUNDING, TIE
from stackroute.analytic.payoffs import provider_cost, user_utility

if TYPE_CHECKING:
    from stackroute.analytic.game import BoolArray, FloatArray, Game


@dataclass(frozen=True, eq=False)
class NashEquilibria:
    """The Nash equilibria of each game: static on the first model, static on the second model, and the provider's mix.

    They are on a leading axis of length 3, in this order. Numbers are NaN where the equilibrium does not exist.

    Attributes:
        exists: Whether it is an equilibrium, shape (3, ...).
        patience: The user's patience r, shape (3, ...).
        provider_cost: The provider's expected cost of a task, money, shape (3, ...).
        user_utility: The user's expected utility of a task, shape (3, ...).
        start: Probability that the first pass is on the first model, shape (3, ...).
        cascade: Probability that a re-prompted task moves from the first model to the second model, shape (3, ...).
    """

    exists: BoolArray
    patience: FloatArray
    provider_cost: FloatArray
    user_utility: FloatArray
    start: FloatArray
    cascade: FloatArray

    @property
    def best(self) -> FloatArray:
        """The provider's cost of the equilibrium that costs it least, money, shape (...)."""
        least: FloatArray = np.where(self.exists, self.provider_cost, np.inf).min(axis=0)
        return least

    @property
    def best_patience(self) -> FloatArray:
        """The user's patience in the equilibrium that costs the provider least, shape (...).

        Of several with this cost the one that is best for the user counts, then the first.
        """
        attains = self.exists & (self.provider_cost <= self.best * (1.0 + TIE))
        at = np.where(attains, self.user_utility, -np.inf).argmax(axis=0)
        chosen: FloatArray = np.take_along_axis(self.patience, at[None], axis=0)[0]
        return chosen


def _difference(plus: FloatArray, minus: FloatArray) -> FloatArray:
    """The difference of two non-negative numbers, exactly 0 within their rounding."""
    difference = plus - minus
    certain: FloatArray = difference * (np.abs(difference) > ROUNDING * (plus + minus))
    return certain


def _provider_preference(game: Game) -> tuple[FloatArray, FloatArray]:
    """D(0) and D(1), where serving the first model costs less than serving the second model exactly when D(r) < 0.

    D(r) = eta1 (1 - b r) - eta2 (1 - a r) is linear in r: D(0) = eta1 - eta2 and D(1) = p2 c1 - p1 c2.
    """
    p1, p2 = game.success[..., 0], game.success[..., 1]
    c1, c2 = game.cost[..., 0], game.cost[..., 1]
    impatient = _difference(c1 + game.churn_penalty * p2, c2 + game.churn_penalty * p1)
    return impatient, _difference(p2 * c1, p1 * c2)


def _static(game: Game, model: int, impatient: BoolArray, patient: BoolArray) -> tuple[BoolArray, FloatArray]:
    """Whether serving one model is an equilibrium, and the user's patience.

    `impatient` and `patient` tell where serving it is a best reply of the provider to r = 0 and to r = 1.
    """
    xi, eta = game.net_value[..., model], game.net_cost[..., model]
    stays_if_indifferent = patient & (~impatient | (eta <= 0.0))
    stays = np.where(xi == 0.0, stays_if_indifferent, xi > 0.0)
    return np.where(stays, patient, impatient), stays.astype(np.float64)


def _mix(game: Game, r: FloatArray) -> tuple[FloatArray, FloatArray]:
    """A start and a cascade to which the user's best response is r, where net values of both signs allow one.

    With xi1 >= 0 >= xi2, dU/dr = 0 for a cascade is the quadratic in s
    x2 a b r^2 s^2 + (x1 (1 - b r)^2 + x2 (1 - a b r^2)) s = x1 (1 - b r)^2, x_k = |xi_k|; its positive root is sL for
    r = 1 and sH for r = 0, and U has one peak (Mahmood 2026, Theorem 2). With xi1 < 0 < xi2 and s = 0 the payoff
    rho xi1 / (1 - a r) + (1 - rho) xi2 / (1 - b r) has one peak, because (1 - a r) / (1 - b r) falls in r.
    """
    x1, x2 = np.abs(game.net_value[..., 0]), np.abs(game.net_value[..., 1])
    p1, p2 = game.success[..., 0], game.success[..., 1]
    a, b = 1.0 - p1, 1.0 - p2
    ends1, ends2 = (1.0 - r) + r * p1, (1.0 - r) + r * p2
    constant = x1 * ends2**2
    linear = constant + x2 * (ends1 + a * r * ends2)
    root = linear + np.sqrt(linear**2 + 4.0 * x2 * a * b * r**2 * constant)
    cascade = np.divide(2.0 * constant, root, where=root > 0.0, out=np.zeros(np.shape(root)))

    pull = x2 * b * ends1**2
    push = x1 * a * ends2**2
    start = np.divide(pull, pull + push, where=pull + push > 0.0, out=np.ones(np.shape(push)))
    by_start = game.net_value[..., 1] > 0.0
    return np.where(by_start, start, 1.0), np.where(by_start, 0.0, cascade)


def nash_equilibria(game: Game) -> NashEquilibria:
    """The equilibria against a user that does not see the provider's commitment (beyond the paper).

    The user sees neither (i, s) nor which model serves, so the provider cannot commit: both move at once, with the
    paper's payoffs. At a fixed patience r every routing costs a mean of the static costs
    P + eta_k / (1 - (1 - p_k) r), because sum over k of N_k (1 - (1 - p_k) r) = 1. So the provider serves one model,
    or it is indifferent between all routings:

    - Static on model k: the user's best response is r = 1 for xi_k > 0 and r = 0 for xi_k < 0, and it is an
      equilibrium where the other model is not cheaper at this r.
    - The mix: both static costs are equal at one r strictly between 0 and 1, and some routing makes it a best response.
      There is one unless xi1 and xi2 are both positive or both negative. For xi1 > 0 > xi2 it is a cascade with
      sL < s < sH, for xi1 < 0 < xi2 a start on the first model with probability rho and s = 0. Other mixes with this r
      cost the provider the same but may be worth something else to the user.

    Ties: with xi_k = 0 any patience is a best response to model k. Static on model k then has, of r = 0 and r = 1, the
    one at which it is an equilibrium, if both are the one that is better for the provider, and r = 1 if it does not
    care; the patience at which the provider is indifferent is that of the mix. Models that are equally cheap at r
    (eta1 = eta2 at r = 0, c1 / p1 = c2 / p2 at r = 1) are each a best reply. At eta1 = eta2 = 0 all routings cost P at
    every r; only the static equilibria are then reported.

    At least one of the three always exists. D(r) = eta1 (1 - b r) - eta2 (1 - a r), which is <= 0 where the first model
    is a best reply, is linear in r. With net values of one sign r is 0 or 1 whichever model serves, and the cheaper
    model is an equilibrium. With xi1 > 0 > xi2 neither static one exists only if D(0) < 0 < D(1), with xi1 < 0 < xi2
    only if D(1) < 0 < D(0), and then the mix exists. A user that draws its patience at random, once for a task, is not
    considered.

    Only equilibria without delays are computed. A delay that the user does not see changes nothing for the provider at
    a fixed patience, so that with throttling there are more: the user leaves because it expects everything to be slow,
    and the provider has no reason to be fast.

    Args:
        game: One game or a batch, in the paper's orders.

    Returns:
        The three equilibria of each game.

    Raises:
        InvalidGameError: A game is not in the paper's orders: the mix needs p1 < p2.

    Examples:
        >>> from stackroute.analytic import Game
        >>> found = nash_equilibria(Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5))
        >>> found.exists, found.best.round(4).item()
        (array([False, False,  True]), 1.2667)
    """
    game.check_orders()
    impatient, patient = _provider_preference(game)
    exists1, r1 = _static(game, 0, impatient <= 0.0, patient <= 0.0)
    exists2, r2 = _static(game, 1, impatient >= 0.0, patient >= 0.0)

    crosses = impatient * patient < 0.0
    r3 = np.divide(impatient, impatient - patient, where=crosses, out=np.zeros(game.shape))
    same_sign = (game.net_value > 0.0).all(axis=-1) | (game.net_value < 0.0).all(axis=-1)
    start, cascade = _mix(game, r3)

    zero, one = np.zeros(game.shape), np.ones(game.shape)
    exists = np.stack([exists1, exists2, crosses & ~same_sign])
    r, rho, s = np.stack([r1, r2, r3]), np.stack([one, zero, start]), np.stack([zero, zero, cascade])
    routing = Commitment(np.stack([rho, 1.0 - rho], axis=-1), Commitment.cascade(0, s).transition)
    cost, utility = provider_cost(game, routing, r), user_utility(game, routing, r)
    return NashEquilibria(exists, *(np.where(exists, array, np.nan) for array in (r, cost, utility, rho, s)))
