"""Users: how a commitment is answered, exactly or by rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import best_response, informed_response, nash_equilibria
from stackroute.analytic.game import probability

if TYPE_CHECKING:
    from stackroute.analytic import Commitment, Game, TieBreaking
    from stackroute.analytic.game import FloatArray


class RationalUser:
    """The user of the theory: the exact best response (Mahmood 2026, Theorems 1 and 2).

    Where it sees no commitment it plays its part of the Nash equilibrium that costs the provider least (beyond the
    paper, `stackroute.analytic.nash_equilibria`).

    Args:
        tie_breaking: How it chooses where it is indifferent: for (`"strong"`) or against (`"pessimistic"`) the
            provider.
    """

    def __init__(self, tie_breaking: TieBreaking = "strong") -> None:
        self.tie_breaking = tie_breaking

    def patience(self, game: Game, commitment: Commitment | None, draws: FloatArray) -> FloatArray:
        """The best response, shape (...)."""
        if commitment is None:
            return nash_equilibria(game).best_patience
        return best_response(game, commitment, self.tie_breaking)


class InformedUser:
    """The user that sees which model served it: optimal stopping (beyond the paper).

    Args:
        tie_breaking: How it chooses where it is indifferent: for (`"strong"`) or against (`"pessimistic"`) the
            provider.
    """

    def __init__(self, tie_breaking: TieBreaking = "strong") -> None:
        self.tie_breaking = tie_breaking

    def patience_by_model(self, game: Game, commitment: Commitment | None, draws: FloatArray) -> FloatArray:
        """The best response after a failed pass on each model, 0 or 1, shape (..., 2).

        Raises:
            ValueError: It sees no commitment.
        """
        if commitment is None:
            raise ValueError("user: an informed user answers a commitment that it sees; commitment='pass' hides it")
        return informed_response(game, commitment, self.tie_breaking)


class FixedPatienceUser:
    """A user that re-prompts with the same probability whatever the provider commits to.

    Args:
        patience: Probability of re-prompting after a failed pass, in [0, 1].

    Raises:
        InvalidGameError: The patience lies outside [0, 1].
    """

    def __init__(self, patience: float) -> None:
        self._patience = probability("patience", patience)

    def patience(self, game: Game, commitment: Commitment | None, draws: FloatArray) -> FloatArray:
        """The fixed patience, shape (...)."""
        return np.broadcast_to(self._patience, np.shape(draws))


class RandomUser:
    """A user whose patience for each commitment is uniform on [0, 1]."""

    def patience(self, game: Game, commitment: Commitment | None, draws: FloatArray) -> FloatArray:
        """The draws themselves, shape (...)."""
        return draws
