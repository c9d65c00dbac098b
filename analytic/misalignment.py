"""How far the provider's optimum is from what the user would choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic.equilibrium import solve

if TYPE_CHECKING:
    from stackroute.analytic.equilibrium import Routing
    from stackroute.analytic.game import FloatArray, Game, IntArray


@dataclass(frozen=True, eq=False)
class Misalignment:
    """What the user would choose in the provider's place, and what it loses by not choosing.

    Attributes:
        preferred_model: The model that the user would be served by throughout, from 0, shape (...).
        gap: Delta_U, the user's utility under its preferred route minus that at the equilibrium, >= 0, shape (...).
    """

    preferred_model: IntArray
    gap: FloatArray


def misalignment(game: Game, throttling: bool = False, routing: Routing = "cascade") -> Misalignment:
    """The user's preferred route and the misalignment gap (Mahmood 2026, Proposition 1).

    The user's preferred route is static: while it stays its utility is a mean of the xi_k / p_k, and a user that would
    leave gains nothing from a cascade. Of models that it likes equally it gets the first.

    Args:
        game: One game or a batch.
        throttling: Whether the provider may delay (beyond the paper); the user's preferred route has no delay.
        routing: What the provider may commit to, as for `solve`; `"free"` for more than two models.

    Returns:
        The preferred model and the gap.

    Raises:
        InvalidGameError: As for `solve`.

    Examples:
        >>> from stackroute.analytic import Game
        >>> game = Game([0.3, 0.9], [0.3, 0.5], [0.1, 0.32], value=2, churn_penalty=3)
        >>> misaligned = misalignment(game)
        >>> int(misaligned.preferred_model), float(misaligned.gap.round(4))
        (0, 0.0222)
    """
    xi = game.net_value
    utility = np.where(xi > 0.0, xi / game.success, xi)
    gap = utility.max(axis=-1) - solve(game, routing, throttling).user_utility
    return Misalignment(utility.argmax(axis=-1), np.maximum(gap, 0.0)[()])
