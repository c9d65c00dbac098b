"""Users: how a commitment is answered, exactly or by rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import best_response
from stackroute.analytic.game import probability

if TYPE_CHECKING:
    from stackroute.analytic import Commitment, Game, TieBreaking
    from stackroute.analytic.game import FloatArray


class RationalUser:
    """The user of the theory: the exact best response (Mahmood 2026, Theorems 1 and 2).

    Args:
        tie_breaking: How it chooses where it is indifferent: for (`"strong"`) or against (`"pessimistic"`) the
            provider.
    """

    def __init__(self, tie_breaking: TieBreaking = "strong") -> None:
        self.tie_breaking = tie_breaking

    def patience(self, game: Game, commitment: Commitment, draws: FloatArray) -> FloatArray:
        """The best response, shape (...)."""
        return best_response(game, commitment, self.tie_breaking)


class FixedPatienceUser:
    """A user that re-prompts with the same probability whatever the provider commits to.

    Args:
        patience: Probability of re-prompting after a failed pass, in [0, 1].

    Raises:
        InvalidGameError: The patience lies outside [0, 1].
    """

    def __init__(self, patience: float) -> None:
        self._patience = probability("patience", patience)

    def patience(self, game: Game, commitment: Commitment, draws: FloatArray) -> FloatArray:
        """The fixed patience, shape (...)."""
        return np.broadcast_to(self._patience, commitment.shape)


class RandomUser:
    """A user whose patience for each commitment is uniform on [0, 1]."""

    def patience(self, game: Game, commitment: Commitment, draws: FloatArray) -> FloatArray:
        """The draws themselves, shape (...)."""
        return draws
