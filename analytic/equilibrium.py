"""The Stackelberg equilibrium: the provider's optimum over a finite set of candidate commitments."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import kernel
from stackroute.analytic.game import Commitment, check
from stackroute.analytic.payoffs import provider_cost, user_utility
from stackroute.analytic.response import best_response, tie_sign

if TYPE_CHECKING:
    from stackroute.analytic.game import BoolArray, FloatArray, Game, IntArray
    from stackroute.analytic.response import TieBreaking


class Regime(enum.IntEnum):
    """Which models are worth a pass to the user, xi > 0 (Mahmood 2026, Theorems 1 and 2).

    A model with xi > 0 is value-dominated in the paper's words, one with xi <= 0 latency-dominated.
    """

    BOTH_WORTH = kernel.BOTH_WORTH
    NEITHER_WORTH = kernel.NEITHER_WORTH
    ONLY_REASONING_WORTH = kernel.ONLY_REASONING_WORTH
    ONLY_STANDARD_WORTH = kernel.ONLY_STANDARD_WORTH

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
    """The commitments among which the provider's optimum lies (Mahmood 2026, Theorems 3 to 5; delays beyond the paper).

    They are on a leading axis of length K.

    K is the largest number that a game of the batch has; games with fewer repeat their first, `attains` included.

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
    """A Stackelberg equilibrium of each game.

    Attributes:
        game: The games.
        throttling: Whether the provider may delay.
        tie_breaking: How an indifferent user chooses.
        commitment: The provider's optimal commitment, shape (...).
        patience: The user's best response r to it, shape (...).
        provider_cost: The provider's expected cost of a task J*, money, shape (...).
        user_utility: The user's expected utility of a task, shape (...): the best for the user among the equilibria
            with this cost.
        user_utility_worst: The worst for the user among them (beyond the paper), shape (...); with throttling delays
            go up to the value, without a bound there would be no worst.
        regime: A `Regime` as an integer, shape (...).
    """

    game: Game
    throttling: bool
    tie_breaking: TieBreaking
    commitment: Commitment
    patience: FloatArray
    provider_cost: FloatArray
    user_utility: FloatArray
    user_utility_worst: FloatArray
    regime: IntArray

    @cached_property
    def candidates(self) -> Candidates:
        """All candidates with their payoffs, and which of them attain the optimum; computed when first asked for."""
        success, xi = self.game.success, self.game.net_value
        most = 2
        for rule in np.unique(self.regime):
            reasoning_worth = rule in (Regime.BOTH_WORTH, Regime.ONLY_REASONING_WORTH)
            most = max(most, kernel.count_candidates(int(rule), float(reasoning_worth), self.throttling))
        inputs = [success[..., 0], success[..., 1], xi[..., 0], xi[..., 1], self.game.value]
        delay = np.empty((most, *self.game.shape, 2))
        model, cascade = np.empty(delay.shape[:-1], dtype=np.int64), np.empty(delay.shape[:-1])
        for k in range(most):
            outputs = [model[k, ...], cascade[k, ...], delay[k, ..., 0], delay[k, ..., 1]]
            settings = (k, self.throttling, tie_sign(self.tie_breaking))
            kernel.in_chunks(kernel.candidates_many, inputs, settings, outputs)
        commitment = Commitment(model, cascade, delay)
        patience = best_response(self.game, commitment, self.tie_breaking)
        cost = provider_cost(self.game, commitment, patience)
        utility = user_utility(self.game, commitment, patience)
        return Candidates(commitment, patience, cost, utility, cost <= cost.min(axis=0) * (1 + kernel.TIE))


def regime(game: Game) -> IntArray:
    """The regime of each game, from the signs of the net values without delay (Mahmood 2026, Theorems 1 and 2).

    Args:
        game: One game or a batch.

    Returns:
        `Regime` values as integers, shape (...).

    Examples:
        >>> from stackroute.analytic import Game, Regime
        >>> Regime(regime(Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5))).label
        'only the reasoning model is worth the wait'
    """
    xi = game.net_value
    codes: IntArray = kernel.in_chunks(kernel.regimes_many, [xi[..., 0], xi[..., 1]], (), [np.int64])[0]
    return codes


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
        tie_breaking: How an indifferent user chooses. Against a user that chooses `"pessimistic"` an optimum at
            indifference is not attained but approached: the commitment goes a hair beyond, 1e-9 in the cascade
            probability and 1e-9 of the value in delays, and its cost is that of the infimum within about as much.

    Returns:
        The equilibrium, of the game's batch shape.

    Raises:
        InvalidGameError: A game made with `strict=False` has a reasoning model that is both worse and cheaper: the
            optimum may then be a mix of the user's that is no candidate. In all other games without the paper's
            orders the candidates were confirmed by brute force.

    Examples:
        >>> from stackroute.analytic import Game
        >>> game = Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5)
        >>> equilibrium = solve(game)
        >>> equilibrium.commitment.model.item(), equilibrium.commitment.cascade.round(5).item()
        (1, 0.30769)
    """
    if not game.strict:
        worse_and_cheaper = (game.success[..., 0] > game.success[..., 1]) & (game.cost[..., 0] > game.cost[..., 1])
        allowed = "a reasoning model that is not both worse and cheaper"
        check("success", game.success[..., 0], ~worse_and_cheaper, allowed)
    inputs = [
        *(array[..., k] for array in (game.success, game.cost, game.latency) for k in (0, 1)),
        game.value,
        game.churn_penalty,
    ]
    delay = np.empty((*game.shape, 2))
    outputs = [np.int64, np.float64, delay[..., 0], delay[..., 1], *[np.float64] * 4, np.int64]
    solved = kernel.in_chunks(kernel.solve_many, inputs, (throttling, tie_sign(tie_breaking)), outputs)
    model, cascade, _, _, *results = solved
    commitment = Commitment.of_valid(model=model, cascade=cascade, delay=delay)
    return Equilibrium(game, throttling, tie_breaking, commitment, *results)
