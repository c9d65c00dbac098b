"""The Stackelberg equilibrium: the provider's optimum over a finite set of candidate commitments."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic.game import Commitment, check
from stackroute.analytic.payoffs import provider_cost, user_utility
from stackroute.analytic.response import best_response

if TYPE_CHECKING:
    from stackroute.analytic.game import BoolArray, FloatArray, Game, IntArray
    from stackroute.analytic.response import TieBreaking

_TIE = 1e-12


class Regime(enum.IntEnum):
    """Which models are worth a pass to the user, xi > 0 (Mahmood 2026, Theorems 1 and 2).

    A model with xi > 0 is value-dominated in the paper's words, one with xi <= 0 latency-dominated.
    """

    BOTH_WORTH = 0
    NEITHER_WORTH = 1
    ONLY_REASONING_WORTH = 2
    ONLY_STANDARD_WORTH = 3

    @property
    def label(self) -> str:
        """The regime in words."""
        return {
            Regime.BOTH_WORTH: "both models are worth the wait",
            Regime.NEITHER_WORTH: "neither model is worth the wait",
            Regime.ONLY_REASONING_WORTH: "only the reasoning model is worth the wait",
            Regime.ONLY_STANDARD_WORTH: "only the standard model is worth the wait",
        }[self]


@dataclass(frozen=True, eq=False)
class Candidates:
    """The commitments among which the provider's optimum lies, on a leading axis of length K.

    Attributes:
        commitment: The commitments, batch shape (K, ...).
        patience: The user's best response to each, shape (K, ...).
        provider_cost: J of each, money, shape (K, ...).
        user_utility: U of each, utility, shape (K, ...).
        attains: Whether the candidate attains the least cost, within 1e-12 of it, shape (K, ...).
    """

    commitment: Commitment
    patience: FloatArray
    provider_cost: FloatArray
    user_utility: FloatArray
    attains: BoolArray


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """A strong Stackelberg equilibrium of each game.

    Attributes:
        commitment: The provider's optimal commitment, shape (...).
        patience: The user's best response r to it, shape (...).
        provider_cost: The provider's expected cost of a task J*, money, shape (...).
        user_utility: The user's expected utility of a task, shape (...).
        regime: A `Regime` as an integer, shape (...).
        candidates: All candidates with their payoffs, and which of them attain the optimum.
    """

    commitment: Commitment
    patience: FloatArray
    provider_cost: FloatArray
    user_utility: FloatArray
    regime: IntArray
    candidates: Candidates


def regime(game: Game) -> IntArray:
    """The regime of each game, from the signs of the net values without delay.

    Args:
        game: One game or a batch.

    Returns:
        `Regime` values as integers, shape (...).

    Example:
        >>> from stackroute.analytic import Game, Regime
        >>> Regime(regime(Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5))).label
        'only the reasoning model is worth the wait'
    """
    standard, reasoning = game.net_value[..., 0] > 0, game.net_value[..., 1] > 0
    codes = np.where(
        standard,
        np.where(reasoning, Regime.BOTH_WORTH, Regime.ONLY_STANDARD_WORTH),
        np.where(reasoning, Regime.ONLY_REASONING_WORTH, Regime.NEITHER_WORTH),
    )
    return codes.astype(np.int64)[()]


def cascade_candidate(game: Game) -> FloatArray:
    """The cascade probability at which the user's response changes: s0 or sL, and 1 in the other regimes.

    s0 = -xi1 / (xi2 / p2 - xi1) is the least cascade probability at which the user stays when xi1 < 0 < xi2
    (Mahmood 2026, Theorem 2). sL is the largest at which it still never leaves when xi1 > 0 > xi2: the positive
    root of a b xi2 s^2 + (xi2 (1 - a b) - xi1 p2^2) s + xi1 p2^2 = 0 (beyond the paper), in the form whose terms
    all have one sign.

    Args:
        game: One game or a batch.

    Returns:
        The cascade probability in [0, 1], shape (...).
    """
    p1, p2 = game.success[..., 0], game.success[..., 1]
    xi1, xi2 = game.net_value[..., 0], game.net_value[..., 1]
    rise, fall = np.maximum(xi1, 0.0), np.maximum(-xi2, 0.0)
    s0_numerator, s0_rest = np.maximum(-xi1, 0.0) * p2, np.maximum(xi2, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        s0 = s0_numerator / (s0_rest + s0_numerator)
        linear = fall * (p1 + p2 * (1 - p1)) + rise * p2**2
        square = (1 - p1) * (1 - p2) * fall
        s_low = 2 * rise * p2**2 / (linear + np.sqrt(linear**2 + 4 * square * rise * p2**2))
    code = regime(game)
    only_reasoning, only_standard = code == Regime.ONLY_REASONING_WORTH, code == Regime.ONLY_STANDARD_WORTH
    return np.where(only_reasoning, s0, np.where(only_standard, s_low, 1.0))[()]


def solve(game: Game, throttling: bool = False, tie_breaking: TieBreaking = "strong") -> Equilibrium:
    """The provider's optimal commitment and the user's response (Mahmood 2026, Theorems 3 to 5).

    The optimum lies among (1, 0), (2, 0), (1, 1) and one cascade, (1, s0) or (1, sL); each is judged by the
    user's exact best response. With throttling (Mahmood 2026, Proposition 2, and its complete solution beyond the
    paper) the provider may also make a user that would stay leave after one pass: by the threat (1, 1) with a slow
    model 2, or by slowing the model it starts with, in each case just enough to make the user indifferent.

    Among commitments of the same least cost the one that is best for the user is returned, then the one with the
    least delay.

    Args:
        game: One game or a batch.
        throttling: Allow delays.
        tie_breaking: How an indifferent user chooses. With `"pessimistic"` the infimum of the cost may not be
            attained; the best of the same candidates is returned.

    Returns:
        The equilibrium, of the game's batch shape.

    Raises:
        InvalidGameError: A game made with `strict=False` has a reasoning model that is both worse and cheaper: the
            optimum may then be a mix of the user's that is no candidate. In all other games without the paper's
            orders the candidates were confirmed by brute force.

    Example:
        >>> from stackroute.analytic import Game
        >>> game = Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5)
        >>> equilibrium = solve(game)
        >>> equilibrium.commitment.model, equilibrium.commitment.cascade.round(5)
        (array(1), np.float64(0.30769))
    """
    worse_and_cheaper = (game.success[..., 0] > game.success[..., 1]) & (game.cost[..., 0] > game.cost[..., 1])
    check("success", game.success[..., 0], ~worse_and_cheaper, "a reasoning model that is not both worse and cheaper")
    commitment = _candidate_commitments(game, throttling)
    patience = best_response(game, commitment, tie_breaking)
    cost = provider_cost(game, commitment, patience)
    utility = user_utility(game, commitment, patience)
    attains = cost <= cost.min(axis=0) * (1 + _TIE)
    worth = np.where(attains, utility, -np.inf)
    scale = game.value + game.latency.sum(axis=-1)
    best_for_user = attains & (worth >= worth.max(axis=0) - _TIE * scale)
    delay = np.where(best_for_user, commitment.delay.sum(axis=-1), np.inf)
    chosen = delay.argmin(axis=0)

    def pick(array: FloatArray) -> FloatArray:
        picked: FloatArray = np.take_along_axis(array, chosen[None], axis=0)[0]
        return picked[()]

    best = Commitment(
        model=np.where(pick(commitment.model.astype(np.float64)) == 1, 1, 2),
        cascade=pick(commitment.cascade),
        delay=np.take_along_axis(commitment.delay, chosen[None, ..., None], axis=0)[0],
    )
    candidates = Candidates(commitment, patience, cost, utility, attains)
    return Equilibrium(best, pick(patience), pick(cost), pick(utility), regime(game), candidates)


def _candidate_commitments(game: Game, throttling: bool) -> Commitment:
    zero, one = np.zeros(game.shape), np.ones(game.shape)
    none = np.zeros((*game.shape, 2))
    rows = [(1, zero, none), (2, zero, none), (1, one, none), (1, cascade_candidate(game), none)]
    if throttling:
        # The delay that leaves a model worth exactly nothing.
        enough = np.maximum(game.net_value, 0.0)
        slow_standard = enough * np.array([1.0, 0.0])
        slow_reasoning = enough * np.array([0.0, 1.0])
        rows += [(1, one, slow_reasoning), (2, zero, slow_reasoning), (1, zero, slow_standard)]
    models, cascades, delays = zip(*rows, strict=True)
    return Commitment(
        model=np.stack([np.full(game.shape, model) for model in models]),
        cascade=np.stack(cascades),
        delay=np.stack(delays),
    )
