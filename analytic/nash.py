"""What happens without commitment: the Nash equilibria of the simultaneous game."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic.commitment import Commitment
from stackroute.analytic.kernels import ROUNDING, TIE
from stackroute.analytic.payoffs import provider_cost, user_utility

if TYPE_CHECKING:
    from stackroute.analytic.game import BoolArray, FloatArray, Game


@dataclass(frozen=True, eq=False)
class NashEquilibria:
    """The Nash equilibria of each game: static on each of the n models, then a mix of each pair of models.

    They are on a leading axis of length k = n + n (n - 1) / 2, pairs in the order of `itertools.combinations`: for two
    models static on the first, static on the second, and the mix. Numbers are NaN where the equilibrium does not exist.

    Attributes:
        exists: Whether it is an equilibrium, shape (k, ...).
        patience: The user's patience r, shape (k, ...).
        provider_cost: The provider's expected cost of a task, money, shape (k, ...).
        user_utility: The user's expected utility of a task, shape (k, ...).
        routing: The provider's routing, which is not committed to, shape (k, ...); of no meaning where the equilibrium
            does not exist.
    """

    exists: BoolArray
    patience: FloatArray
    provider_cost: FloatArray
    user_utility: FloatArray
    routing: Commitment

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


def _preferences(game: Game) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """D(0), D(1) and the sizes of their terms, shape (..., n, n): model k costs less than model j where D_kj(r) < 0.

    D_kj(r) = eta_k (1 - (1 - p_j) r) - eta_j (1 - (1 - p_k) r) is linear in r, with
    D_kj(0) = (c_k + P p_j) - (c_j + P p_k) and D_kj(1) = p_j c_k - p_k c_j, which are exactly 0 within their rounding.
    """
    p, c, penalty = game.success[..., None, :], game.cost[..., :, None], game.churn_penalty[..., None, None]
    found, sizes = [], []
    for plus in (c + penalty * p, p * c):
        minus = plus.swapaxes(-1, -2)
        size = np.abs(plus) + np.abs(minus)
        found.append((plus - minus) * (np.abs(plus - minus) > ROUNDING * size))
        sizes.append(size)
    return found[0], found[1], sizes[0], sizes[1]


def _static(game: Game, impatient: BoolArray | np.bool, patient: BoolArray | np.bool) -> tuple[BoolArray, FloatArray]:
    """Whether serving each model is an equilibrium, and the user's patience.

    `impatient` and `patient` tell where serving it is a best reply of the provider to r = 0 and to r = 1.
    """
    xi, eta = game.net_value, game.net_cost
    stays_if_indifferent = patient & (~impatient | (eta <= 0.0))
    stays = np.where(xi == 0.0, stays_if_indifferent, xi > 0.0)
    return np.where(stays, patient, impatient), stays.astype(np.float64)


def _mix(p: FloatArray, xi: FloatArray, r: FloatArray) -> tuple[FloatArray, FloatArray]:
    """A start and a cascade to which the user's best response is r, where net values of both signs allow one.

    The two models are on the last axis, p1 <= p2. With xi1 >= 0 >= xi2, dU/dr = 0 for a cascade is the quadratic in s
    x2 a b r^2 s^2 + (x1 (1 - b r)^2 + x2 (1 - a b r^2)) s = x1 (1 - b r)^2, x_k = |xi_k|; its positive root is sL for
    r = 1 and sH for r = 0, and U has one peak (Mahmood 2026, Theorem 2). With xi1 < 0 < xi2 and s = 0 the payoff
    rho xi1 / (1 - a r) + (1 - rho) xi2 / (1 - b r) has one peak, because (1 - a r) / (1 - b r) falls in r.
    """
    x1, x2 = np.abs(xi[..., 0]), np.abs(xi[..., 1])
    a, b = 1.0 - p[..., 0], 1.0 - p[..., 1]
    ends1, ends2 = (1.0 - r) + r * p[..., 0], (1.0 - r) + r * p[..., 1]
    constant = x1 * ends2**2
    linear = constant + x2 * (ends1 + a * r * ends2)
    root = linear + np.sqrt(linear**2 + 4.0 * x2 * a * b * r**2 * constant)
    cascade = np.divide(2.0 * constant, root, where=root > 0.0, out=np.zeros(np.shape(root)))

    pull = x2 * b * ends1**2
    push = x1 * a * ends2**2
    start = np.divide(pull, pull + push, where=pull + push > 0.0, out=np.ones(np.shape(push)))
    by_start = xi[..., 1] > 0.0
    return np.where(by_start, start, 1.0), np.where(by_start, 0.0, cascade)


def _mixes(game: Game) -> tuple[BoolArray, FloatArray, Commitment]:
    """Where the mix of each pair of models exists, its patience and its routing, shape (..., pairs)."""
    first, second = np.array(list(combinations(range(game.models), 2)), dtype=np.intp).reshape(-1, 2).T
    impatient, patient, size_impatient, size_patient = (array[..., first, :] for array in _preferences(game))
    pairs = np.arange(len(first))
    at_0, at_1 = impatient[..., pairs, second], patient[..., pairs, second]
    crosses = at_0 * at_1 < 0.0
    r = np.divide(at_0, at_0 - at_1, where=crosses, out=np.zeros(crosses.shape))
    w = r[..., None]
    dearer = (1.0 - w) * impatient + w * patient > TIE * ((1.0 - w) * size_impatient + w * size_patient)

    in_order = game.success[..., first] <= game.success[..., second]
    models = np.stack([np.where(in_order, first, second), np.where(in_order, second, first)], axis=-1)
    p, xi = (np.take_along_axis(array[..., None, :], models, axis=-1) for array in (game.success, game.net_value))
    same_sign = (xi > 0.0).all(axis=-1) | (xi < 0.0).all(axis=-1)
    start, cascade = _mix(p, xi, r)
    lower, upper = np.moveaxis(np.eye(game.models)[models], -2, 0)
    begin = start[..., None] * lower + (1.0 - start[..., None]) * upper
    moves = cascade[..., None, None] * lower[..., :, None] * (upper - lower)[..., None, :]
    return crosses & ~dearer.any(axis=-1) & ~same_sign, r, Commitment(begin, np.eye(game.models) + moves)


def nash_equilibria(game: Game) -> NashEquilibria:
    """The equilibria against a user that does not see how the provider routes (beyond the paper).

    The user sees neither the routing nor which model serves, so the provider cannot commit: both move at once, with the
    payoffs of the game. At a fixed patience r every routing costs a mean of the static costs
    P + eta_k / (1 - (1 - p_k) r), because sum over k of N_k (1 - (1 - p_k) r) = 1. So the provider serves one model,
    or it is indifferent between all routings among the models that are cheapest at r:

    - Static on model k: the user's best response is r = 1 for xi_k > 0 and r = 0 for xi_k < 0, and it is an
      equilibrium where no other model is cheaper at this r.
    - The mix of two models: both static costs are equal at one r strictly between 0 and 1, no other model is cheaper
      there, and some routing makes r a best response. There is one unless their net values are both positive or both
      negative. With the less successful model first it is for xi1 > 0 > xi2 a cascade (of two models in the paper's
      order one with sL < s < sH), for xi1 < 0 < xi2 a start on the first model with probability rho and no moves. Other
      mixes with this r cost the provider the same but may be worth something else to the user.

    Ties: with xi_k = 0 any patience is a best response to model k. Static on model k then has, of r = 0 and r = 1, the
    one at which it is an equilibrium, if both are the one that is better for the provider, and r = 1 if it does not
    care; the patience at which the provider is indifferent is that of the mix. Models that are equally cheap at r
    (eta1 = eta2 at r = 0, c1 / p1 = c2 / p2 at r = 1) are each a best reply. Where two models cost the same at every r,
    only their static equilibria are reported. Where three meet at one r, the mixes of two of them are.

    At least one always exists. Let r grow from 0 to 1 and follow the cheapest model, of which each pair crosses once.
    If the first one has xi <= 0, or the last one xi >= 0, it is static. Otherwise xi changes from > 0 to <= 0 on the
    way, and the mix of the two models between which it does exists. A user that chooses its patience at random, once
    for a task, is not considered.

    Only equilibria without delays are computed. A delay that the user does not see changes nothing for the provider at
    a fixed patience, so that with throttling there are more: the user leaves because it expects everything to be slow,
    and the provider has no reason to be fast.

    Args:
        game: One game or a batch, of any number of models in any order.

    Returns:
        The equilibria of each game.

    Examples:
        >>> from stackroute.analytic import Game
        >>> found = nash_equilibria(Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5))
        >>> found.exists, found.best.round(4).item()
        (array([False, False,  True]), 1.2667)
    """
    impatient, patient, *_ = _preferences(game)
    static, stays = _static(game, np.all(impatient <= 0.0, axis=-1), np.all(patient <= 0.0, axis=-1))
    mixes, between, mixed = _mixes(game)
    eye = np.eye(game.models)
    begin = np.concatenate([np.broadcast_to(eye, (*game.shape, *eye.shape)), mixed.start], axis=-2)
    alone = np.broadcast_to(eye, (*game.shape, game.models, *eye.shape))
    routing = Commitment(
        np.moveaxis(begin, -2, 0), np.moveaxis(np.concatenate([alone, mixed.transition], axis=-3), -3, 0)
    )
    exists = np.moveaxis(np.concatenate([static, mixes], axis=-1), -1, 0)
    r = np.moveaxis(np.concatenate([stays, between], axis=-1), -1, 0)
    cost, utility = provider_cost(game, routing, r), user_utility(game, routing, r)
    patience, cost, utility = (np.where(exists, array, np.nan) for array in (r, cost, utility))
    return NashEquilibria(exists, patience, cost, utility, routing)
