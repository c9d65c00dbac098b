"""How far the provider's optimum is from what the user would choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic.equilibrium import solve
from stackroute.analytic.game import Commitment
from stackroute.analytic.payoffs import user_utility
from stackroute.analytic.response import best_response

if TYPE_CHECKING:
    from stackroute.analytic.game import FloatArray, Game, IntArray


@dataclass(frozen=True, eq=False)
class Misalignment:
    """What the user would choose in the provider's place, and what it loses by not choosing.

    Attributes:
        preferred_model: The model that the user would be served by throughout, 1 or 2, shape (...).
        gap: Delta_U, the user's utility under its preferred route minus that at the equilibrium, >= 0, shape (...).
    """

    preferred_model: IntArray
    gap: FloatArray


def misalignment(game: Game, throttling: bool = False) -> Misalignment:
    """The user's preferred route and the misalignment gap (Mahmood 2026, Proposition 1).

    The user's preferred route is static: with r = 1 from model 1 the utility is a mean of xi1 / p1 and xi2 / p2, and a
    user that would leave gains nothing from a cascade. A user that does not care gets model 1.

    Args:
        game: One game or a batch.
        throttling: Whether the provider may delay (beyond the paper); the user's preferred route has no delay.

    Returns:
        The preferred model and the gap.

    Raises:
        InvalidGameError: As for `solve`, of a game made with `strict=False`.

    Examples:
        >>> from stackroute.analytic import Game
        >>> game = Game([0.3, 0.9], [0.3, 0.5], [0.1, 0.32], value=2, churn_penalty=3)
        >>> misaligned = misalignment(game)
        >>> int(misaligned.preferred_model), float(misaligned.gap.round(4))
        (1, 0.0222)
    """
    static = [Commitment(np.full(game.shape, model), np.zeros(game.shape)) for model in (1, 2)]
    first, second = (user_utility(game, route, best_response(game, route)) for route in static)
    gap = np.maximum(first, second) - solve(game, throttling).user_utility
    return Misalignment(np.where(first >= second, 1, 2)[()], np.maximum(gap, 0.0)[()])
